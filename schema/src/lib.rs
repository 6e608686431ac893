//! What all parts of pubsync agree on: wire, own tables and migrations, ledger SQL, the shape of a document.

pub mod dialect;
pub mod names;
pub mod shape;
