//! What every broker must do. The suite runs on each implementation: see the two modules at the end.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;

use super::*;

/// Long enough for a busy machine; nothing waits that long where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// The test RabbitMQ. A missing one fails the test: a skipped test looks like a passed one.
pub(super) fn service(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests with `make test`"))
}

/// A name that no other test, and no other run, has.
pub(super) fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "test.{}.{}.{what}",
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Runs a test with a queue of its own, which `cleaner` deletes at the end, also when the test fails. The cleaner is
/// the same broker on other connections, since the test may close the first.
pub(super) async fn run(
    broker: &dyn Broker,
    cleaner: &dyn Broker,
    dead: &str,
    test: impl AsyncFnOnce(&dyn Broker, &str),
) {
    let queue = unique("queue");
    let outcome = AssertUnwindSafe(tokio::time::timeout(PATIENCE, test(broker, &queue)))
        .catch_unwind()
        .await;
    broker.close().await;
    // Fails only where closing one memory broker has closed both.
    let _ = cleaner.delete(&[queue, dead.to_owned()]).await;
    cleaner.close().await;
    match outcome {
        Ok(in_time) => in_time.expect("the test did not end"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(super) fn message(id: i64, queue: &str, body: &str) -> Outgoing {
    Outgoing {
        id,
        queue: queue.to_owned(),
        body: body.into(),
        trace: None,
    }
}

pub(super) async fn declare(broker: &dyn Broker, queue: &str) {
    broker.declare(&[queue.to_owned()]).await.unwrap();
}

/// Declares the queue and puts messages into it, with these bodies.
pub(super) async fn fill(broker: &dyn Broker, queue: &str, bodies: &[&str]) {
    declare(broker, queue).await;
    let batch: Vec<_> = (1..)
        .zip(bodies)
        .map(|(id, body)| message(id, queue, body))
        .collect();
    assert_eq!(
        broker.send(&batch).await.unwrap(),
        vec![SendOutcome::Confirmed; bodies.len()]
    );
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.body).unwrap()
}

/// Waits until the broker tells this depth: it may lag behind what it has done.
pub(super) async fn until_depth(broker: &dyn Broker, queue: &str, ready: u64, consumers: u64) {
    while broker.depth(queue).await.unwrap() != Some(Depth { ready, consumers }) {
        tokio::task::yield_now().await;
    }
}

async fn confirms(broker: &dyn Broker, queue: &str) {
    declare(broker, queue).await;
    declare(broker, queue).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = Outgoing {
        trace: Some(trace.to_owned()),
        ..message(2, queue, "b")
    };
    let batch = [message(1, queue, "a"), traced, message(3, queue, "")];
    assert_eq!(
        broker.send(&batch).await.unwrap(),
        vec![SendOutcome::Confirmed; 3]
    );
    assert_eq!(broker.send(&[]).await.unwrap(), vec![]);

    let mut subscription = broker.subscribe(queue, 10).await.unwrap();
    for (body, expected) in [("a", None), ("b", Some(trace)), ("", None)] {
        let delivery = subscription.next().await.unwrap();
        assert_eq!((text(&delivery), delivery.trace.as_deref()), (body, expected));
        assert!(!delivery.redelivered);
        delivery.settle(Settlement::Ack);
    }
    drop(subscription);
    until_depth(broker, queue, 0, 0).await;
}

/// Many returned ones among many confirmed ones, so that a return that is taken for another message's shows.
async fn returned_where_the_queue_is_absent(broker: &dyn Broker, queue: &str) {
    declare(broker, queue).await;
    let absent = unique("absent");
    let is_absent = |id: i64| id % 7 == 3;
    let batch: Vec<_> = (0..200)
        .map(|id| message(id, if is_absent(id) { &absent } else { queue }, "x"))
        .collect();
    let outcomes = broker.send(&batch).await.unwrap();
    for (message, outcome) in batch.iter().zip(outcomes) {
        let expected = if is_absent(message.id) {
            SendOutcome::Returned
        } else {
            SendOutcome::Confirmed
        };
        assert_eq!(outcome, expected, "message {}", message.id);
    }
    assert_eq!(broker.depth(&absent).await.unwrap(), None);
}

async fn requeued_is_redelivered(broker: &dyn Broker, queue: &str) {
    fill(broker, queue, &["a"]).await;
    let mut subscription = broker.subscribe(queue, 1).await.unwrap();
    let first = subscription.next().await.unwrap();
    assert!(!first.redelivered);
    first.settle(Settlement::Requeue);

    let second = subscription.next().await.unwrap();
    assert!(second.redelivered);
    drop(second);

    let third = subscription.next().await.unwrap();
    assert!(third.redelivered, "dropping a delivery puts it back");
    assert_eq!(text(&third), "a");
    third.settle(Settlement::Ack);
    drop(subscription);
    until_depth(broker, queue, 0, 0).await;
}

async fn a_dropped_subscription_gives_back(broker: &dyn Broker, queue: &str) {
    fill(broker, queue, &["done", "held", "waiting"]).await;
    let mut subscription = broker.subscribe(queue, 10).await.unwrap();
    let done = subscription.next().await.unwrap();
    let held = subscription.next().await.unwrap();
    done.settle(Settlement::Ack);
    drop(subscription);
    until_depth(broker, queue, 2, 0).await;

    let mut subscription = broker.subscribe(queue, 10).await.unwrap();
    let again = [
        subscription.next().await.unwrap(),
        subscription.next().await.unwrap(),
    ];
    assert_eq!(again.each_ref().map(text), ["held", "waiting"]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
    held.settle(Settlement::Ack);
    drop((again, subscription));
    until_depth(broker, queue, 2, 0).await;
}

async fn prefetch_bounds_what_is_out(broker: &dyn Broker, queue: &str) {
    fill(broker, queue, &["1", "2", "3", "4", "5"]).await;
    let mut subscription = broker.subscribe(queue, 2).await.unwrap();
    let mut held = vec![
        subscription.next().await.unwrap(),
        subscription.next().await.unwrap(),
    ];
    until_depth(broker, queue, 3, 1).await;
    assert!(
        subscription.next().now_or_never().is_none(),
        "a third delivery is out"
    );

    held.remove(0).settle(Settlement::Ack);
    held.push(subscription.next().await.unwrap());
    until_depth(broker, queue, 2, 1).await;
    assert!(
        subscription.next().now_or_never().is_none(),
        "a third delivery is out"
    );
}

async fn depth_tells_what_waits(broker: &dyn Broker, queue: &str) {
    assert_eq!(broker.depth(queue).await.unwrap(), None);
    declare(broker, queue).await;
    until_depth(broker, queue, 0, 0).await;
    fill(broker, queue, &["a", "b"]).await;
    until_depth(broker, queue, 2, 0).await;
    let _subscription = broker.subscribe(queue, 1).await.unwrap();
    until_depth(broker, queue, 1, 1).await;
}

async fn a_batch_of_a_thousand(broker: &dyn Broker, queue: &str) {
    declare(broker, queue).await;
    let batch: Vec<_> = (0..1000).map(|id| message(id, queue, &id.to_string())).collect();
    assert_eq!(
        broker.send(&batch).await.unwrap(),
        vec![SendOutcome::Confirmed; 1000]
    );

    let mut subscription = broker.subscribe(queue, 300).await.unwrap();
    let mut seen = HashSet::new();
    while seen.len() < 1000 {
        let mut some = vec![subscription.next().await.unwrap()];
        subscription
            .more(&mut some, 100, Duration::from_millis(5))
            .await
            .unwrap();
        for delivery in some {
            assert!(seen.insert(text(&delivery).to_owned()), "delivered twice");
            delivery.settle(Settlement::Ack);
        }
    }
    drop(subscription);
    until_depth(broker, queue, 0, 0).await;
}

async fn too_large_is_never_sent(broker: &dyn Broker, queue: &str) {
    declare(broker, queue).await;
    let sized = |id, size| Outgoing {
        body: vec![b'x'; size],
        ..message(id, queue, "")
    };
    let batch = [sized(1, 1), sized(2, MAX_BODY + 1), sized(3, MAX_BODY)];
    let outcomes = broker.send(&batch).await.unwrap();
    assert_eq!(
        outcomes,
        [
            SendOutcome::Confirmed,
            SendOutcome::TooLarge,
            SendOutcome::Confirmed
        ]
    );
    until_depth(broker, queue, 2, 0).await;
}

async fn deleted_is_gone(broker: &dyn Broker, queue: &str) {
    fill(broker, queue, &["old"]).await;
    broker.delete(&[queue.to_owned()]).await.unwrap();
    assert_eq!(broker.depth(queue).await.unwrap(), None);
    fill(broker, queue, &["new"]).await;
    let delivery = broker.subscribe(queue, 1).await.unwrap().next().await.unwrap();
    assert_eq!(text(&delivery), "new");

    broker.delete(&[queue.to_owned()]).await.unwrap();
    broker.delete(&[queue.to_owned()]).await.unwrap();
    let lost = broker.send(&[message(1, queue, "lost")]).await.unwrap();
    assert_eq!(lost, [SendOutcome::Returned]);
}

async fn a_subscription_ends_with_its_queue(broker: &dyn Broker, queue: &str) {
    let mut subscription = broker.subscribe(queue, 1).await.unwrap();
    broker.delete(&[queue.to_owned()]).await.unwrap();
    let error = subscription.next().await.map(drop).unwrap_err();
    assert!(matches!(&error, BrokerError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(queue), "{error}");
    let error = subscription.next().await.map(drop).unwrap_err();
    assert!(matches!(error, BrokerError::Closed), "{error:?}");
}

async fn closing_ends_everything(broker: &dyn Broker, queue: &str) {
    broker.ping().await.unwrap();
    fill(broker, queue, &["a"]).await;
    let mut subscription = broker.subscribe(queue, 1).await.unwrap();
    let delivery = subscription.next().await.unwrap();
    broker.close().await;
    let error = subscription.next().await.map(drop).unwrap_err();
    assert!(matches!(error, BrokerError::Closed), "{error:?}");
    drop(delivery);
    let all = [
        broker.ping().await,
        broker.declare(&[]).await,
        broker.send(&[]).await.map(drop),
        broker.subscribe(queue, 1).await.map(drop),
        broker.depth(queue).await.map(drop),
        broker.delete(&[]).await,
    ];
    for outcome in all {
        assert!(matches!(outcome, Err(BrokerError::Closed)), "{outcome:?}");
    }
}

mod memory {
    use super::*;
    use crate::broker::memory::MemoryBroker;

    async fn on(test: impl AsyncFnOnce(&dyn Broker, &str)) {
        let broker = MemoryBroker::new(10_000);
        run(&broker, &broker, "dead", test).await;
    }

    #[tokio::test]
    async fn confirms() {
        on(super::confirms).await;
    }
    #[tokio::test]
    async fn returned_where_the_queue_is_absent() {
        on(super::returned_where_the_queue_is_absent).await;
    }
    #[tokio::test]
    async fn requeued_is_redelivered() {
        on(super::requeued_is_redelivered).await;
    }
    #[tokio::test]
    async fn a_dropped_subscription_gives_back() {
        on(super::a_dropped_subscription_gives_back).await;
    }
    #[tokio::test]
    async fn prefetch_bounds_what_is_out() {
        on(super::prefetch_bounds_what_is_out).await;
    }
    #[tokio::test]
    async fn depth_tells_what_waits() {
        on(super::depth_tells_what_waits).await;
    }
    #[tokio::test]
    async fn a_batch_of_a_thousand() {
        on(super::a_batch_of_a_thousand).await;
    }
    #[tokio::test]
    async fn too_large_is_never_sent() {
        on(super::too_large_is_never_sent).await;
    }
    #[tokio::test]
    async fn deleted_is_gone() {
        on(super::deleted_is_gone).await;
    }
    #[tokio::test]
    async fn a_subscription_ends_with_its_queue() {
        on(super::a_subscription_ends_with_its_queue).await;
    }
    #[tokio::test]
    async fn closing_ends_everything() {
        on(super::closing_ends_everything).await;
    }
}

mod rabbitmq {
    use super::*;
    use crate::broker::rabbitmq::RabbitMq;

    async fn on(test: impl AsyncFnOnce(&dyn Broker, &str)) {
        let (url, dead) = (service("PUBSYNC_TEST_RABBITMQ"), unique("dead"));
        let [broker, cleaner] = [(); 2].map(|()| RabbitMq::new(&url, &dead).unwrap());
        run(&broker, &cleaner, &dead, test).await;
    }

    #[tokio::test]
    async fn confirms() {
        on(super::confirms).await;
    }
    #[tokio::test]
    async fn returned_where_the_queue_is_absent() {
        on(super::returned_where_the_queue_is_absent).await;
    }
    #[tokio::test]
    async fn requeued_is_redelivered() {
        on(super::requeued_is_redelivered).await;
    }
    #[tokio::test]
    async fn a_dropped_subscription_gives_back() {
        on(super::a_dropped_subscription_gives_back).await;
    }
    #[tokio::test]
    async fn prefetch_bounds_what_is_out() {
        on(super::prefetch_bounds_what_is_out).await;
    }
    #[tokio::test]
    async fn depth_tells_what_waits() {
        on(super::depth_tells_what_waits).await;
    }
    #[tokio::test]
    async fn a_batch_of_a_thousand() {
        on(super::a_batch_of_a_thousand).await;
    }
    #[tokio::test]
    async fn too_large_is_never_sent() {
        on(super::too_large_is_never_sent).await;
    }
    #[tokio::test]
    async fn deleted_is_gone() {
        on(super::deleted_is_gone).await;
    }
    #[tokio::test]
    async fn a_subscription_ends_with_its_queue() {
        on(super::a_subscription_ends_with_its_queue).await;
    }
    #[tokio::test]
    async fn closing_ends_everything() {
        on(super::closing_ends_everything).await;
    }
}
