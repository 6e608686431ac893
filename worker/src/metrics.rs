//! What pubsync counts and measures: all metric names, and one function a fact, which logs it where people want to read
//! it and counts it where machines do. Labels are names out of the configuration (documents, targets, queues) and short
//! fixed words, never ids or keys.
//!
//! To add a metric: its name and its help in [`ALL`], and the function of its fact. Without a recorder
//! ([`recorder`]) all of them do nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::broker::{Delivery, SendOutcome};

const BUILD_INFO: &str = "pubsync_build_info";
const OUTBOX_ROWS: &str = "pubsync_outbox_rows";
const OUTBOX_OLDEST: &str = "pubsync_outbox_oldest_age_seconds";
const OUTBOX_CLAIMED: &str = "pubsync_outbox_claimed_total";
const LEDGER_ROWS: &str = "pubsync_ledger_rows";
const LEDGER_OLDEST: &str = "pubsync_ledger_oldest_age_seconds";
const LEDGER_RESENT: &str = "pubsync_ledger_resent_total";
const MESSAGES_SENT: &str = "pubsync_messages_sent_total";
const MESSAGES_CONSUMED: &str = "pubsync_messages_consumed_total";
const CONFIRM_SECONDS: &str = "pubsync_broker_confirm_seconds";
const BROKER_BLOCKED: &str = "pubsync_broker_blocked";
const BROKER_BREAKER: &str = "pubsync_broker_breaker_state";
const DOCUMENTS_PUBLISHED: &str = "pubsync_documents_published_total";
const PUBLISH_SECONDS: &str = "pubsync_publish_seconds";
const LOCK_WAIT_SECONDS: &str = "pubsync_lock_wait_seconds";
const WRITES: &str = "pubsync_writes_total";
const TARGET_BATCH_SECONDS: &str = "pubsync_target_batch_seconds";
const TARGET_BREAKER: &str = "pubsync_target_breaker_state";
const END_TO_END_SECONDS: &str = "pubsync_end_to_end_seconds";
const FAILURES: &str = "pubsync_failures";

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric, with its help text.
const ALL: [(&str, Kind, &str); 20] = [
    (BUILD_INFO, Kind::Gauge, "1, with the version of this process"),
    (
        OUTBOX_ROWS,
        Kind::Gauge,
        "Captured changes that no relay has taken",
    ),
    (OUTBOX_OLDEST, Kind::Gauge, "Age of the oldest of them"),
    (OUTBOX_CLAIMED, Kind::Counter, "Outbox rows taken by this process"),
    (
        LEDGER_ROWS,
        Kind::Gauge,
        "Messages whose effect is not durable yet",
    ),
    (LEDGER_OLDEST, Kind::Gauge, "Age of the oldest change in them"),
    (
        LEDGER_RESENT,
        Kind::Counter,
        "Messages taken back to be sent again",
    ),
    (
        MESSAGES_SENT,
        Kind::Counter,
        "Messages given to the broker, by what became of them",
    ),
    (MESSAGES_CONSUMED, Kind::Counter, "Messages received"),
    (
        CONFIRM_SECONDS,
        Kind::Histogram,
        "From sending a window of messages to its last confirm",
    ),
    (
        BROKER_BLOCKED,
        Kind::Gauge,
        "1: the broker takes no messages now (memory or disk alarm)",
    ),
    (
        BROKER_BREAKER,
        Kind::Gauge,
        "1: the broker is left alone but for probes, or takes no messages",
    ),
    (
        DOCUMENTS_PUBLISHED,
        Kind::Counter,
        "Documents built, by what that came to",
    ),
    (
        PUBLISH_SECONDS,
        Kind::Histogram,
        "One transaction of a publisher, committed",
    ),
    (
        LOCK_WAIT_SECONDS,
        Kind::Histogram,
        "Taking the locks of a batch of roots",
    ),
    (WRITES, Kind::Counter, "Writes that a target has answered"),
    (
        TARGET_BATCH_SECONDS,
        Kind::Histogram,
        "One request to a target, answered or failed",
    ),
    (
        TARGET_BREAKER,
        Kind::Gauge,
        "1: the target is paused, nothing is sent to it",
    ),
    (
        END_TO_END_SECONDS,
        Kind::Histogram,
        "From the oldest captured change of a batch to the answer of the target",
    ),
    (FAILURES, Kind::Gauge, "What could not be done and waits"),
];

/// Upper bounds of all histograms, in seconds: those of the OpenTelemetry messaging conventions.
const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Why nothing is recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("metrics cannot be recorded")]
    Build(#[from] BuildError),
}

/// The recorder of this process, installed by the first call: what happened before is not counted.
///
/// # Errors
/// Where the process has another recorder already.
pub fn recorder() -> Result<PrometheusHandle, RecorderError> {
    // A recorder is of the process by nature: the macros find it without being handed it.
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let handle = builder()?.install_recorder()?;
    describe();
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
}

fn describe() {
    for (name, kind, help) in ALL {
        match kind {
            Kind::Counter => describe_counter!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
            Kind::Histogram => describe_histogram!(name, help),
        }
    }
}

/// Which program this is.
pub fn build(version: &'static str) {
    gauge!(BUILD_INFO, "version" => version).set(1.0);
}

/// A relay has moved outbox rows to the ledger.
pub fn relayed(rows: usize, messages: usize) {
    tracing::debug!(rows, messages, "relayed");
    counter!(OUTBOX_CLAIMED).increment(rows as u64);
}

/// The sweeper has taken claims back.
pub fn resent(queue: &str, messages: u64) {
    tracing::info!(
        queue,
        messages,
        "sent again: their messages were lost, or their worker"
    );
    counter!(LEDGER_RESENT, "queue" => queue.to_owned()).increment(messages);
}

/// The broker has answered for each of these messages.
pub fn sent<'a>(messages: impl Iterator<Item = (&'a str, &'a SendOutcome)>) {
    let mut counts: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    for (queue, outcome) in messages {
        *counts.entry((queue, result(outcome))).or_default() += 1;
    }
    for ((queue, result), count) in counts {
        counter!(MESSAGES_SENT, "queue" => queue.to_owned(), "result" => result).increment(count);
    }
}

fn result(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Confirmed => "confirmed",
        SendOutcome::Returned => "returned",
        SendOutcome::Refused => "refused",
        SendOutcome::Unknown => "unknown",
        SendOutcome::TooLarge => "too_large",
    }
}

/// The broker could not be asked: nothing of this was sent.
pub fn unsent<'a>(queues: impl Iterator<Item = &'a str>) {
    for queue in queues {
        counter!(MESSAGES_SENT, "queue" => queue.to_owned(), "result" => "failed").increment(1);
    }
}

/// Messages have arrived.
pub fn consumed(queue: &str, deliveries: &[Delivery]) {
    let redelivered = deliveries.iter().filter(|delivery| delivery.redelivered).count();
    for (word, count) in [("false", deliveries.len() - redelivered), ("true", redelivered)] {
        counter!(MESSAGES_CONSUMED, "queue" => queue.to_owned(), "redelivered" => word)
            .increment(count as u64);
    }
}

/// A publisher's transaction has committed.
pub fn published(document: &str, roots: usize, results: &[(&'static str, usize)], took: Duration) {
    tracing::debug!(document, roots, ?results, ?took, "published");
    for (result, count) in results {
        counter!(DOCUMENTS_PUBLISHED, "document" => document.to_owned(), "result" => *result)
            .increment(*count as u64);
    }
    histogram!(PUBLISH_SECONDS, "document" => document.to_owned()).record(took);
}

/// A message was given up: what is left of it is a failure row.
pub fn publish_given_up(document: &str, root: Option<&str>, error: &impl std::fmt::Display) {
    tracing::warn!(document, root, %error, "could not be published");
    counter!(DOCUMENTS_PUBLISHED, "document" => document.to_owned(), "result" => "failed").increment(1);
}

/// A target has answered for a batch, whose oldest change was captured at `changed_at` (microseconds since 1970 by the
/// database clock; `None` where no change is behind it: rebuilds and resyncs).
pub fn written(target: &str, document: &str, outcomes: &[(&'static str, usize)], changed_at: Option<i64>) {
    tracing::debug!(document, target, ?outcomes, "synchronized");
    for (outcome, count) in outcomes {
        counter!(WRITES, "target" => target.to_owned(), "document" => document.to_owned(), "outcome" => *outcome)
            .increment(*count as u64);
    }
    if let Some(age) = changed_at.map(age) {
        histogram!(END_TO_END_SECONDS, "target" => target.to_owned(), "document" => document.to_owned())
            .record(age);
    }
}

/// As good as the clocks of the database and of this host agree; never negative.
fn age(changed_at: i64) -> Duration {
    let then = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(changed_at).unwrap_or(0));
    SystemTime::now().duration_since(then).unwrap_or_default()
}

/// Measures one request to a target.
pub async fn target_batch<T>(target: &str, request: impl Future<Output = T>) -> T {
    timed(TARGET_BATCH_SECONDS, ("target", target), request).await
}

/// Measures the taking of root locks.
pub async fn lock_wait<T>(document: &str, locking: impl Future<Output = T>) -> T {
    timed(LOCK_WAIT_SECONDS, ("document", document), locking).await
}

/// Measures a window of messages until its last confirm.
pub async fn confirm<T>(sending: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = sending.await;
    histogram!(CONFIRM_SECONDS).record(begun.elapsed());
    done
}

async fn timed<T>(
    name: &'static str,
    (label, value): (&'static str, &str),
    work: impl Future<Output = T>,
) -> T {
    let begun = Instant::now();
    let done = work.await;
    histogram!(name, label => value.to_owned()).record(begun.elapsed());
    done
}

/// How much waits at one moment, and since when. Every process that measures gives the same numbers: take the
/// maximum over processes, not the sum.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Rows, and seconds since the oldest.
    pub outbox: (i64, f64),
    /// By queue: rows, and seconds since the oldest change in them.
    pub ledger: BTreeMap<String, (i64, f64)>,
    /// By document, stage and class.
    pub failures: BTreeMap<(String, String, String), i64>,
    /// By target: whether it is paused.
    pub paused: BTreeMap<String, bool>,
    /// The broker takes nothing now.
    pub blocked: bool,
    /// It is left alone, or takes nothing.
    pub troubled: bool,
}

/// Sets all gauges; what `before` had and `now` has not is 0.
pub fn backlog(before: &Backlog, now: &Backlog) {
    gauge!(OUTBOX_ROWS).set(now.outbox.0 as f64);
    gauge!(OUTBOX_OLDEST).set(now.outbox.1);
    gauge!(BROKER_BLOCKED).set(f64::from(u8::from(now.blocked)));
    gauge!(BROKER_BREAKER).set(f64::from(u8::from(now.troubled)));
    for queue in before.ledger.keys().chain(now.ledger.keys()) {
        let (rows, age) = now.ledger.get(queue).copied().unwrap_or_default();
        gauge!(LEDGER_ROWS, "queue" => queue.clone()).set(rows as f64);
        gauge!(LEDGER_OLDEST, "queue" => queue.clone()).set(age);
    }
    for group in before.failures.keys().chain(now.failures.keys()) {
        let count = now.failures.get(group).copied().unwrap_or_default();
        let (document, stage, class) = group.clone();
        gauge!(FAILURES, "document" => document, "stage" => stage, "class" => class).set(count as f64);
    }
    for (target, paused) in &now.paused {
        gauge!(TARGET_BREAKER, "target" => target.clone()).set(f64::from(u8::from(*paused)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(facts: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            facts();
        });
        recorder.handle().render()
    }

    #[track_caller]
    fn assert_has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "no line {line}\n{text}");
    }

    #[test]
    fn unchanged_documents_are_counted() {
        let results = [("changed", 1), ("unchanged", 2), ("deleted", 0), ("failed", 0)];
        let text = rendered(|| published("product", 3, &results, Duration::from_millis(7)));
        for (result, count) in results {
            let line = format!(
                r#"pubsync_documents_published_total{{document="product",result="{result}"}} {count}"#
            );
            assert_has(&text, &line);
        }
        assert_has(
            &text,
            r#"pubsync_publish_seconds_bucket{document="product",le="0.005"} 0"#,
        );
        assert_has(
            &text,
            r#"pubsync_publish_seconds_bucket{document="product",le="0.01"} 1"#,
        );
    }

    #[test]
    fn outcomes_are_counted_by_queue() {
        let outcomes = [
            ("a", SendOutcome::Confirmed),
            ("b", SendOutcome::Returned),
            ("a", SendOutcome::Confirmed),
        ];
        let text = rendered(|| sent(outcomes.iter().map(|(queue, outcome)| (*queue, outcome))));
        assert_has(
            &text,
            r#"pubsync_messages_sent_total{queue="a",result="confirmed"} 2"#,
        );
        assert_has(
            &text,
            r#"pubsync_messages_sent_total{queue="b",result="returned"} 1"#,
        );
    }

    #[test]
    fn only_batches_with_a_change_behind_them_have_an_age() {
        let text = rendered(|| written("storage", "product", &[("applied", 1)], None));
        assert!(!text.contains(&format!("{END_TO_END_SECONDS}_count")), "{text}");
        // A clock of the database that is ahead gives no negative age.
        let text = rendered(|| written("storage", "product", &[("applied", 1)], Some(i64::MAX / 2)));
        assert_has(
            &text,
            r#"pubsync_end_to_end_seconds_sum{target="storage",document="product"} 0"#,
        );
    }

    #[test]
    fn a_queue_that_is_empty_again_shows_zero() {
        let full = Backlog {
            ledger: [("publish.product".to_owned(), (3, 1.5))].into(),
            ..Backlog::default()
        };
        let text = rendered(|| {
            backlog(&Backlog::default(), &full);
            backlog(&full, &Backlog::default());
        });
        assert_has(&text, r#"pubsync_ledger_rows{queue="publish.product"} 0"#);
        assert_has(
            &text,
            r#"pubsync_ledger_oldest_age_seconds{queue="publish.product"} 0"#,
        );
    }

    #[test]
    fn every_name_has_the_prefix_and_the_unit_of_its_kind() {
        for (name, kind, _) in ALL {
            assert!(name.starts_with("pubsync_"), "{name}");
            match kind {
                Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
                Kind::Gauge => assert!(!name.ends_with("_total"), "{name}"),
                Kind::Histogram => assert!(name.ends_with("_seconds"), "{name}"),
            }
        }
    }
}
