//! Messages that nobody sent: those of now twice, those of a while ago again, in any order, and some that nobody can read.

use std::time::Duration;

use pubsync_tests::Tapped;

use super::Arena;
use crate::{pace, poison};

const TAP: &str = "tap";
const MOST: u32 = 300;
/// How long messages are collected.
const LISTEN: Duration = Duration::from_secs(2);
/// How many are sent again at a time, and how many are remembered.
const AGAIN: usize = 60;

impl Arena<'_> {
    /// Up to sixty of the last two seconds and sixty of an earlier time, shuffled.
    pub(super) async fn echoed(&mut self) -> bool {
        let broker = self.world.broker();
        broker.tap(TAP, MOST).await;
        pace::pause(LISTEN).await;
        let mut fresh = broker.untap(TAP).await;
        self.random.shuffle(&mut fresh);
        fresh.truncate(AGAIN);
        let mut all: Vec<Tapped> = fresh.clone();
        all.extend(std::mem::replace(&mut self.remembered, fresh));
        self.random.shuffle(&mut all);
        for message in &all {
            broker.publish(message).await;
        }
        self.echoes += all.len() as u64;
        !all.is_empty()
    }

    /// To a queue of each kind of worker.
    pub(super) async fn unreadable(&mut self) -> bool {
        let broker = self.world.broker();
        let mut queues = broker.queues().await;
        queues.retain(|(name, _)| !name.ends_with("dead"));
        for (queue, _) in &queues {
            broker
                .publish(&Tapped {
                    queue: queue.clone(),
                    properties: serde_json::json!({}),
                    payload: poison::UNREADABLE.to_owned(),
                })
                .await;
        }
        !queues.is_empty()
    }
}
