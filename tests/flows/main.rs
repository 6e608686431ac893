//! Flows of the whole product on the real services. One module a data set or subject.

// A test fails by panicking, also in its own functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beginning;
mod chinook;
mod cluster;
mod convergence;
mod deadly;
mod demo;
mod differential;
mod direct;
mod endurance;
mod errors;
mod examples;
mod failing;
mod fanout;
mod letters;
mod lost;
mod messages;
mod planning;
mod poison;
mod random;
mod removal;
mod road;
mod rotation;
mod schemas;
mod shop;
mod shutdown;
mod targets;
mod telemetry;
mod tidy;
mod troubles;
mod verifying;
mod waiting;
