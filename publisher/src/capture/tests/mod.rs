//! Triggers on the real databases. `contract` runs on both; `postgres` and `sqlite` hold what only one of them has.

mod contract;
mod postgres;
mod postgres_schema;
mod shop;
mod sqlite;
