//! What all parts of pubsync agree on: wire, own tables and migrations, ledger SQL, the shape of a document.

pub mod definition;
pub mod dialect;
pub mod failure;
pub mod fault;
pub mod health;
pub mod inventory;
pub mod lease;
pub mod ledger;
pub mod migration;
pub mod mirror;
pub mod names;
pub mod outbox;
pub mod pause;
pub mod redact;
pub mod removal;
pub mod run;
pub mod shape;
pub mod store;
pub mod wire;
pub mod writeset;
