//! What all parts of pubsync agree on: wire, own tables and migrations, ledger SQL, the shape of a document.

pub mod dialect;
pub mod fault;
pub mod migration;
pub mod names;
pub mod shape;
pub mod store;
