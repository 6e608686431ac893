//! Numbers that a seed repeats, by the name that the flows know.

pub use pubsync_tests::Random;
