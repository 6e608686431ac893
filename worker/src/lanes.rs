//! The two lanes of a document: live edits first, and a small guaranteed share for rebuilds.

use std::time::Duration;

use tokio::select;

use crate::broker::{BrokerError, Delivery, Subscription};

/// Every so many-th batch is bulk, if there is any.
const BULK_EVERY: u32 = 10;

/// Which lane a batch comes from. A batch is of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    /// Edits that somebody waits for.
    Live,
    /// Imports, rebuilds, repairs.
    Bulk,
}

/// The subscriptions of both lanes. Either may be absent; with none at all, nothing ever arrives.
pub struct Lanes {
    live: Option<Subscription>,
    bulk: Option<Subscription>,
    /// Live batches since the last bulk one.
    live_in_a_row: u32,
    /// The batch that is being gathered, so that nothing is lost when the caller stops waiting.
    gathered: Option<(LaneKind, Vec<Delivery>)>,
}

impl Lanes {
    /// Takes both subscriptions; their prefetch bounds what waits here.
    pub fn new(live: Option<Subscription>, bulk: Option<Subscription>) -> Self {
        Self {
            live,
            bulk,
            live_in_a_row: 0,
            gathered: None,
        }
    }

    /// Waits for a delivery, then up to `linger` for more of the same lane, at most `max` in all. Live goes first;
    /// a bulk batch is taken when live is empty, and when nine live ones went before it.
    ///
    /// `Err` means that one subscription has ended: make new lanes. Safe to drop in `select!`: the next call goes
    /// on with what was gathered.
    pub async fn next_batch(
        &mut self,
        max: usize,
        linger: Duration,
    ) -> Result<(LaneKind, Vec<Delivery>), BrokerError> {
        if self.gathered.is_none() {
            let (kind, delivery) = self.first().await?;
            self.gathered = Some((kind, vec![delivery]));
        }
        if let Some((kind, batch)) = &mut self.gathered {
            let lane = match kind {
                LaneKind::Live => &mut self.live,
                LaneKind::Bulk => &mut self.bulk,
            };
            if let Some(lane) = lane {
                lane.more(batch, max, linger).await?;
            }
        }
        // Nothing is awaited from here on.
        let (kind, batch) = self.gathered.take().ok_or(BrokerError::Closed)?;
        self.live_in_a_row = match kind {
            LaneKind::Live => self.live_in_a_row.saturating_add(1),
            LaneKind::Bulk => 0,
        };
        Ok((kind, batch))
    }

    async fn first(&mut self) -> Result<(LaneKind, Delivery), BrokerError> {
        let bulk_is_due = self.live_in_a_row + 1 >= BULK_EVERY;
        let (live, bulk) = (next(&mut self.live), next(&mut self.bulk));
        let (kind, delivery) = if bulk_is_due {
            select! {
                biased;
                delivery = bulk => (LaneKind::Bulk, delivery),
                delivery = live => (LaneKind::Live, delivery),
            }
        } else {
            select! {
                biased;
                delivery = live => (LaneKind::Live, delivery),
                delivery = bulk => (LaneKind::Bulk, delivery),
            }
        };
        Ok((kind, delivery?))
    }
}

async fn next(lane: &mut Option<Subscription>) -> Result<Delivery, BrokerError> {
    match lane {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::broker::{Broker, Outgoing, SendOutcome, Settlement};

    const LIVE: &str = "publish.product";
    const BULK: &str = "publish.product.bulk";
    const SOON: Duration = Duration::from_millis(1);

    async fn broker() -> MemoryBroker {
        let broker = MemoryBroker::new(10_000);
        broker.declare(&[LIVE.to_owned(), BULK.to_owned()]).await.unwrap();
        broker
    }

    async fn lanes(broker: &MemoryBroker) -> Lanes {
        let live = broker.subscribe(LIVE, 100).await.unwrap();
        let bulk = broker.subscribe(BULK, 100).await.unwrap();
        Lanes::new(Some(live), Some(bulk))
    }

    async fn send(broker: &MemoryBroker, queue: &str, count: i64) {
        let message = |id| Outgoing {
            id,
            queue: queue.to_owned(),
            body: b"x".to_vec(),
            trace: None,
        };
        let batch: Vec<_> = (0..count).map(message).collect();
        let outcomes = broker.send(&batch).await.unwrap();
        assert!(
            outcomes.iter().all(|outcome| *outcome == SendOutcome::Confirmed),
            "{outcomes:?}"
        );
    }

    /// Lets the broker's tasks hand out all that the prefetch allows.
    async fn until_arrived(lanes: &Lanes, live: usize, bulk: usize) {
        let arrived = |lane: &Option<Subscription>| lane.as_ref().map_or(0, |lane| lane.deliveries.len());
        let all = async {
            while arrived(&lanes.live) < live || arrived(&lanes.bulk) < bulk {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all)
            .await
            .expect("the deliveries did not arrive");
    }

    fn settle(batch: Vec<Delivery>) {
        batch
            .into_iter()
            .for_each(|delivery| delivery.settle(Settlement::Ack));
    }

    #[tokio::test]
    async fn live_goes_first_and_a_batch_is_of_one_lane() {
        let broker = broker().await;
        send(&broker, BULK, 5).await;
        send(&broker, LIVE, 5).await;
        let mut lanes = lanes(&broker).await;
        until_arrived(&lanes, 5, 5).await;

        let (kind, batch) = lanes.next_batch(3, SOON).await.unwrap();
        assert_eq!((kind, batch.len()), (LaneKind::Live, 3));
        let (kind, batch) = lanes.next_batch(3, SOON).await.unwrap();
        assert_eq!((kind, batch.len()), (LaneKind::Live, 2));
        let (kind, batch) = lanes.next_batch(9, SOON).await.unwrap();
        assert_eq!((kind, batch.len()), (LaneKind::Bulk, 5));
    }

    #[tokio::test]
    async fn bulk_is_not_starved_under_steady_live_load() {
        let broker = broker().await;
        send(&broker, BULK, 1000).await;
        send(&broker, LIVE, 1000).await;
        let mut lanes = lanes(&broker).await;
        let mut kinds = Vec::new();
        for _ in 0..200 {
            until_arrived(&lanes, 1, 1).await;
            let (kind, batch) = lanes.next_batch(1, SOON).await.unwrap();
            kinds.push(kind);
            settle(batch);
        }
        for ten in kinds.chunks(10) {
            let bulk = ten.iter().filter(|kind| **kind == LaneKind::Bulk).count();
            assert_eq!(bulk, 1, "{ten:?}");
        }
    }

    #[tokio::test]
    async fn live_does_not_wait_for_bulk_that_is_due() {
        let broker = broker().await;
        send(&broker, LIVE, 50).await;
        let mut lanes = lanes(&broker).await;
        until_arrived(&lanes, 50, 0).await;
        for _ in 0..50 {
            let (kind, batch) = lanes.next_batch(1, SOON).await.unwrap();
            assert_eq!(kind, LaneKind::Live);
            settle(batch);
        }
    }

    #[tokio::test]
    async fn one_lane_is_enough() {
        let broker = broker().await;
        send(&broker, BULK, 2).await;
        let mut lanes = Lanes::new(None, Some(broker.subscribe(BULK, 10).await.unwrap()));
        let (kind, batch) = lanes.next_batch(2, Duration::from_secs(60)).await.unwrap();
        assert_eq!((kind, batch.len()), (LaneKind::Bulk, 2));
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_loses_nothing() {
        let broker = broker().await;
        send(&broker, LIVE, 1).await;
        let mut lanes = lanes(&broker).await;
        until_arrived(&lanes, 1, 0).await;
        let gathering = lanes.next_batch(2, Duration::from_secs(3600));
        assert!(
            tokio::time::timeout(SOON, gathering).await.is_err(),
            "lingers for the second delivery"
        );

        send(&broker, LIVE, 1).await;
        let (_, batch) = lanes.next_batch(2, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(batch.len(), 2);
        assert!(
            batch.iter().all(|delivery| !delivery.redelivered),
            "the first one went back in between"
        );
    }

    #[tokio::test]
    async fn a_lost_subscription_ends_the_lanes() {
        let broker = broker().await;
        let mut lanes = lanes(&broker).await;
        broker.delete(&[BULK.to_owned()]).await.unwrap();
        let error = lanes.next_batch(1, SOON).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");
    }
}
