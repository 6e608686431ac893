//! The Chinook music shop: seven documents over ten tables, on PostgreSQL and on SQLite.
//!
//! Each document has a YAML file (`documents.<database>`) and one independent SQL statement that says what it must be
//! (`expected.<database>`). The tests load the data set, change it as an application would, and compare mirror and
//! targets with what the statements give at that time.
//!
//! To add a document: its YAML file and its SQL file, for both databases.

mod changes;
mod dataset;
mod embedded;
mod expectations;
mod losses;
mod postgresql;
mod sessions;
