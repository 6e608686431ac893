//! The document language, capture, relay, publish and mirror.

pub mod capture;
pub mod catalogue;
pub mod document;
