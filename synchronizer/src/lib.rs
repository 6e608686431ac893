//! Targets, and everything between mirror and target.

pub mod target;
pub mod targets;
