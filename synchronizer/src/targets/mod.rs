//! The targets: Redis, OpenSearch and the local SQLite file behind [`Target`](crate::target::Target).
//!
//! To add one more: a file here that implements `Target`, a variant in [`config::TargetConfig`] with its arm in
//! [`config::build`], and one line in the contract suite (`contract/mod.rs`), which says what every target must do.

pub mod config;
pub mod local;
pub mod opensearch;
pub mod redis;

mod stamp;

#[cfg(test)]
mod contract;
