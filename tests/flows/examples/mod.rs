//! The sets under `examples/` with generated rows, on PostgreSQL and SQLite.

mod commands;
