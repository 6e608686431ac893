//! Random schemas, documents and histories: after all that happened the mirror must hold what a second, naive reading of
//! the language says (docs/differential.md).
//!
//! A seed gives a case, always the same. To add a construct: the generator writes it (`nodes`, `conditions`, `links`,
//! `life`, `document`) behind a name in `features`, and `pubsync_tests::naive` says what it means.

pub(crate) mod case;
mod compare;
mod conditions;
mod databases;
mod document;
mod drive;
mod features;
mod history;
mod invent;
mod life;
mod links;
mod model;
mod mutants;
mod nodes;
mod rows;
mod settle;
mod shelf;
mod shrink;
mod statements;

use std::{
    collections::BTreeMap,
    env,
    fmt::Debug,
    ops::Range,
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{FutureExt as _, StreamExt as _, future, stream};
use pubsync_tests::naive::CONSTRUCTS;

use case::Case;
use databases::Databases;
use drive::Tally;

/// Seeds of every run.
const SEEDS: Range<u64> = 0..200;

/// Cases at once: more than processors, because they wait for databases and for each other.
const AT_ONCE: usize = 8;

/// What the constructs are for must have been seen after so many seeds.
const ENOUGH: u64 = 150;

/// Of [`compare::Sights`], beside what is left out.
const SIGHTS: [&str; 6] = [
    "documents of vanished roots that stay",
    "documents outside of their time",
    "documents that a filter leaves out",
    "documents that nobody announced, behind",
    "tombstones that hold something",
    "unhashed members that did not count",
];

/// Refused documents in a hundred; more means that generator and product do not agree on the language.
const MOST_REFUSED: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn differential() {
    let first = setting("PUBSYNC_SEED", SEEDS.start);
    let count = setting(
        "PUBSYNC_SEEDS",
        if env::var_os("PUBSYNC_SEED").is_some() {
            1
        } else {
            SEEDS.end
        },
    );
    let collect = env::var_os("PUBSYNC_COLLECT").is_some();
    let databases = &Databases::default();
    // Neighbours of a case that fails are played to their end: to break them off takes longer.
    let stop = AtomicBool::new(false);
    let mut played = stream::iter(first..first + count)
        .take_while(|_| future::ready(!stop.load(Ordering::Relaxed)))
        .map(|seed| async move { (seed, outcome(databases, &Case::of_seed(seed)).await) })
        .buffer_unordered(AT_ONCE);
    let (mut total, mut failing, mut done) = (Tally::default(), Vec::new(), 0_u64);
    while let Some((seed, outcome)) = played.next().await {
        done += 1;
        match outcome {
            Ok(tally) => add(&mut total, tally),
            Err(difference) => {
                failing.push(seed);
                if !stop.load(Ordering::Relaxed) {
                    report(databases, seed, &difference, collect).await;
                }
                stop.store(!collect, Ordering::Relaxed);
            }
        }
        if done.is_multiple_of(100) {
            println!("{done} seeds: {}", shown(&total));
        }
    }
    println!("{done} seeds: {}", shown(&total));
    for refusal in total.refused.iter().filter(|_| collect) {
        println!("refused: {refusal}");
    }
    println!("bodies by construct: {}", counts(&total.constructs).join(", "));
    println!("seen: {}", counts(&total.sights.0).join(", "));
    assert!(failing.is_empty(), "seeds that fail: {failing:?}");
    if done >= ENOUGH {
        assert_tried(&total);
    }
    assert_accepted(&total);
}

/// Every construct was compared, and what it is there for was seen.
fn assert_tried(total: &Tally) {
    let untried = |name: &&&str| !total.constructs.contains_key(**name);
    let untried: Vec<_> = CONSTRUCTS.iter().filter(untried).collect();
    assert!(
        untried.is_empty(),
        "constructs that no body was compared of: {untried:?}"
    );
    let unseen = |sight: &&&str| !total.sights.0.contains_key(**sight);
    let unseen: Vec<_> = SIGHTS.iter().filter(unseen).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:?}");
}

fn assert_accepted(total: &Tally) {
    let some: Vec<String> = total.refused.iter().take(5).cloned().collect();
    assert!(
        total.refused.len() * 100 <= MOST_REFUSED * total.documents,
        "{} of {} documents were refused, such as:\n{}",
        total.refused.len(),
        total.documents,
        some.join("\n")
    );
}

fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// A panic is a difference, too.
async fn outcome(databases: &Databases, case: &Case) -> Result<Tally, String> {
    let played = AssertUnwindSafe(drive::play(databases, case))
        .catch_unwind()
        .await;
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// The smallest case that still fails, and how to see it again.
async fn report(databases: &Databases, seed: u64, difference: &str, briefly: bool) {
    println!("seed {seed} fails\n{difference}");
    println!(
        "again: PUBSYNC_SEED={seed} cargo test -p pubsync-tests --test flows differential::differential -- --nocapture"
    );
    let file = env::temp_dir().join(format!("pubsync-differential-{seed}.txt"));
    let case = Case::of_seed(seed);
    match std::fs::write(&file, format!("{case}\n{difference}\n")) {
        Ok(()) => println!("the whole case: {}", file.display()),
        Err(error) => println!("{}: {error}", file.display()),
    }
    if briefly || env::var_os("PUBSYNC_BRIEFLY").is_some() {
        return;
    }
    let (case, difference) = shrink::shrink(databases, case, difference.to_owned()).await;
    println!("as small as it gets:\n{case}\n{difference}");
}

fn add(total: &mut Tally, tally: Tally) {
    total.documents += tally.documents;
    total.refused.extend(tally.refused);
    total.compared += tally.compared;
    total.failed += tally.failed;
    total.statements += tally.statements;
    total.rejected += tally.rejected;
    total.beside += tally.beside;
    for (construct, bodies) in tally.constructs {
        *total.constructs.entry(construct).or_default() += bodies;
    }
    for (sight, times) in tally.sights.0 {
        total.sights.add(sight, times);
    }
}

fn counts(of: &BTreeMap<&'static str, usize>) -> Vec<String> {
    of.iter().map(|(name, count)| format!("{name} {count}")).collect()
}

fn shown(tally: &Tally) -> String {
    format!(
        "{} with workers beside, {} documents declared ({} refused), {} statements ({} rejected by the database), {} bodies equal, {} failures as they must be",
        tally.beside,
        tally.documents,
        tally.refused.len(),
        tally.statements,
        tally.rejected,
        tally.compared,
        tally.failed
    )
}
