//! Triggers on the real databases. `contract` runs on both; `postgres` and `sqlite` hold what only one of them has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod cost;
mod partitions;
mod postgres;
mod postgres_schema;
mod repair;
mod shop;
mod sqlite;
mod subscription;
mod writers;
