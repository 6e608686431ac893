//! Operations of people: library functions that return plain data. The command line only prints it.

pub mod apply;
pub mod rebuild;
pub mod verify;
