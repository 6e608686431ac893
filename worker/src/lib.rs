//! What a worker stands on: broker, lanes, back-off, shutdown, health, metrics, logs. Nothing here knows what a document is.

pub mod backoff;
pub mod breaker;
pub mod broker;
pub mod health;
pub mod lanes;
pub mod logs;
pub mod metrics;
pub mod shutdown;
