//! What a worker stands on: broker, lanes, back-off, shutdown, logs. Nothing here knows what a document is.

pub mod broker;
