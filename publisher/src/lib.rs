//! The document language, capture, relay, publish and mirror.

pub mod build;
pub mod catalogue;
pub mod document;
pub mod plan;
