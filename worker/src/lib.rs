//! What a worker stands on: broker, lanes, back-off, shutdown, logs. Nothing here knows what a document is.

pub mod backoff;
pub mod broker;
pub mod lanes;
pub mod logs;
pub mod shutdown;
