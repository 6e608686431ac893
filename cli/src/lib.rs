//! (to be written)

pub mod config;
pub mod shop;
