//! Triggers on the real databases. `contract` runs on both; `postgres` and `sqlite` hold what only one of them has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod cost;
mod postgres;
mod postgres_schema;
mod shop;
mod sqlite;
