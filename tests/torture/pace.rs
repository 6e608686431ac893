//! The only place of the torture where time passes by itself: the pace of load and readers, and the length of faults.

use std::time::Duration;

pub async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}
