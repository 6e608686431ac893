//! Operations of people: library functions that return plain data. The command line only prints it.

pub mod apply;
mod compare;
mod define;
pub(crate) mod expressions;
pub mod graph;
pub mod init;
mod leaving;
mod lines;
mod moves;
pub mod plan;
pub mod rebuild;
pub mod remains;
pub mod repair;
pub mod verify;
mod wanted;
