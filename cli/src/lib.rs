//! pubsync keeps Redis and OpenSearch equal to a SQL database. This crate composes the parts: configuration, wiring, and
//! the command line.

pub mod command;
pub mod config;
pub mod demo;
pub mod fail;
pub mod shop;
pub mod terminal;
pub mod wiring;
