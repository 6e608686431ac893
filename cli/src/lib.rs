//! pubsync keeps Redis and OpenSearch equal to a SQL database. This crate composes the parts: configuration, wiring, and
//! the command line. Programs with publishers of their own begin at [`App`].

mod app;
pub mod command;
pub mod config;
pub mod demo;
pub mod fail;
pub mod shop;
pub mod terminal;
pub mod wiring;

pub use app::App;
pub use async_trait::async_trait;
pub use pubsync_publisher::build::{BuildError, Built, BuiltDocument, DocumentFailure};
pub use pubsync_publisher::handwritten::Declaration;
pub use pubsync_publisher::publisher::{Publisher, RootPage, Source, Walked, key_value, select_of, walk};
pub use pubsync_schema::wire::TableImages;
pub use sea_orm::DbErr;
