//! From captured changes to mirror rows: the document language, what is derived from a document, capture, relay, and
//! the publisher that locks, looks and writes.

pub mod build;
pub mod capture;
pub mod catalogue;
pub mod declarative;
pub mod document;
pub mod handwritten;
mod hash;
pub mod language;
pub mod operate;
pub mod plan;
pub mod publish;
pub mod publisher;
pub mod registry;
pub mod relay;
pub mod workers;
