//! The checks that hold for every target.

use std::collections::BTreeMap;

use super::{body, delete, live, one, products, put, scan, variants};
use crate::target::{Accept, Held, Operation, Outcome, Target, Write};

/// What differs between targets.
pub struct Case<'a> {
    pub target: &'a dyn Target,
    /// Whether `versions` shows tombstones.
    pub shows_tombstones: bool,
    /// A write that this target fails.
    pub bad: Write,
}

pub async fn exercise(case: Case<'_>) {
    let target = case.target;
    let collections = [products(), variants()];
    let (a, b) = futures::join!(target.prepare(&collections), target.prepare(&collections));
    a.and(b).unwrap();
    target.prepare(&collections).await.unwrap();
    target.ping().await.unwrap();
    only_higher_is_accepted(target).await;
    an_equal_revision_heals(target).await;
    a_delete_is_remembered(target).await;
    bodies_come_back_to_the_byte(target).await;
    versions_say_what_is_held(&case).await;
    a_bad_item_hurts_itself_only(&case).await;
    any_order_ends_at_the_maximum(&case).await;
    large_batches_answer_in_order(target).await;
    a_scan_gives_exactly_the_own_live_keys(target).await;
}

async fn only_higher_is_accepted(target: &dyn Target) {
    let key = "product:order";
    assert_eq!(live(target, put(key, 5, r#"{"n":5}"#)).await, Outcome::Applied);
    assert_eq!(
        live(target, put(key, 5, r#"{"n":"again"}"#)).await,
        Outcome::Stale
    );
    assert_eq!(live(target, put(key, 4, r#"{"n":4}"#)).await, Outcome::Stale);
    assert_eq!(live(target, delete(key, 4)).await, Outcome::Stale);
    assert_eq!(live(target, delete(key, 5)).await, Outcome::Stale);
    assert_eq!(body(target, key).await.as_deref(), Some(r#"{"n":5}"#));
    // As text "10" would be lower than "5".
    assert_eq!(live(target, put(key, 10, r#"{"n":10}"#)).await, Outcome::Applied);
    // Two neighbours just below 2^53.
    let top = (1 << 53) - 1;
    assert_eq!(live(target, put(key, top - 1, "{}")).await, Outcome::Applied);
    assert_eq!(live(target, put(key, top, r#"{"n":1}"#)).await, Outcome::Applied);
    assert_eq!(live(target, put(key, top - 1, "{}")).await, Outcome::Stale);
    assert_eq!(body(target, key).await.as_deref(), Some(r#"{"n":1}"#));
}

async fn an_equal_revision_heals(target: &dyn Target) {
    let key = "product:heal";
    assert_eq!(
        live(target, put(key, 5, r#"{"n":"damaged"}"#)).await,
        Outcome::Applied
    );
    let healed = put(key, 5, r#"{"n":"right"}"#);
    assert_eq!(one(target, healed, Accept::HigherOrEqual).await, Outcome::Applied);
    assert_eq!(body(target, key).await.as_deref(), Some(r#"{"n":"right"}"#));
    assert_eq!(
        one(target, put(key, 4, "{}"), Accept::HigherOrEqual).await,
        Outcome::Stale
    );
    assert_eq!(
        one(target, delete(key, 5), Accept::HigherOrEqual).await,
        Outcome::Applied
    );
    assert_eq!(body(target, key).await, None);
    assert_eq!(
        one(target, put(key, 4, "{}"), Accept::HigherOrEqual).await,
        Outcome::Stale
    );
}

async fn a_delete_is_remembered(target: &dyn Target) {
    let key = "product:delete";
    assert_eq!(live(target, put(key, 9, "{}")).await, Outcome::Applied);
    assert_eq!(live(target, delete(key, 10)).await, Outcome::Applied);
    for write in [
        put(key, 9, "{}"),
        put(key, 10, "{}"),
        delete(key, 10),
        delete(key, 9),
    ] {
        assert_eq!(live(target, write).await, Outcome::Stale);
    }
    assert_eq!(body(target, key).await, None);
    assert_eq!(live(target, put(key, 11, r#"{"n":11}"#)).await, Outcome::Applied);
    assert_eq!(body(target, key).await.as_deref(), Some(r#"{"n":11}"#));
    assert_eq!(live(target, delete(key, 12)).await, Outcome::Applied);

    let absent = "product:absent";
    assert_eq!(live(target, delete(absent, 20)).await, Outcome::Applied);
    assert_eq!(live(target, put(absent, 19, "{}")).await, Outcome::Stale);
    assert_eq!(body(target, absent).await, None);
    assert_eq!(live(target, put(absent, 21, "{}")).await, Outcome::Applied);
}

async fn bodies_come_back_to_the_byte(target: &dyn Target) {
    let long = format!(r#"{{"name":"{}"}}"#, "ä".repeat(1 << 20));
    let bodies = [
        "{}",
        r#"{"a":1.0,"b":19.90,"c":12345678901234567890,"d":1e3}"#,
        r#"{"inner":{"_revision":3},"list":[{},[],null]}"#,
        r#"{"text":"é 𝄞 \u0000 \n \"quoted\" \\"}"#,
        r#"{ "spaced" : true }"#,
        &long,
    ];
    let keys: Vec<String> = (0..bodies.len()).map(|at| format!("product:body-{at}")).collect();
    let writes: Vec<Write> = keys
        .iter()
        .zip(bodies)
        .map(|(key, body)| put(key, 1, body))
        .collect();
    let outcomes = target.apply(&products(), &writes, Accept::Higher).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Applied; writes.len()]);
    let held = target.bodies(&products(), &keys).await.unwrap();
    for (held, body) in held.iter().zip(bodies) {
        assert!(
            held.as_deref() == Some(body),
            "{:.80?} instead of {body:.80}",
            held
        );
    }
}

async fn versions_say_what_is_held(case: &Case<'_>) {
    let target = case.target;
    let revision = 1_800_000_000_000_000;
    live(target, put("product:held", revision, "{}")).await;
    live(target, put("product:dead", 1, "{}")).await;
    live(target, delete("product:dead", revision)).await;
    let keys = ["product:held", "product:dead", "product:never"].map(str::to_owned);
    let versions = target.versions(&products(), &keys).await.unwrap();
    let dead = case.shows_tombstones.then_some(Held {
        revision,
        deleted: true,
    });
    assert_eq!(
        versions,
        [
            Some(Held {
                revision,
                deleted: false
            }),
            dead,
            None
        ]
    );
    assert_eq!(
        target.bodies(&products(), &keys).await.unwrap(),
        [Some("{}".to_owned()), None, None]
    );
    assert_eq!(target.versions(&products(), &[]).await.unwrap(), []);
    assert_eq!(target.apply(&products(), &[], Accept::Higher).await.unwrap(), []);
}

async fn a_bad_item_hurts_itself_only(case: &Case<'_>) {
    let no_object = put("product:list", 1, "[]");
    let writes = [
        put("product:left", 1, "{}"),
        case.bad.clone(),
        no_object,
        put("product:right", 1, "{}"),
    ];
    let outcomes = case
        .target
        .apply(&products(), &writes, Accept::Higher)
        .await
        .unwrap();
    assert!(matches!(outcomes[1], Outcome::Failed { .. }), "{outcomes:?}");
    assert!(
        matches!(outcomes[2], Outcome::Failed { class: "body", .. }),
        "{outcomes:?}"
    );
    assert_eq!(
        (&outcomes[0], &outcomes[3]),
        (&Outcome::Applied, &Outcome::Applied)
    );
    for key in ["product:left", "product:right"] {
        assert_eq!(body(case.target, key).await.as_deref(), Some("{}"));
    }
}

/// Puts and deletes at random revisions in random batches, many twice, against a model that keeps the maximum.
async fn any_order_ends_at_the_maximum(case: &Case<'_>) {
    let mut random = Random(0x5EED);
    let mut model: BTreeMap<String, Write> = BTreeMap::new();
    for _ in 0..60 {
        let mut batch: BTreeMap<String, Write> = BTreeMap::new();
        for _ in 0..random.below(12) {
            let key = format!("product:random-{}", random.below(15));
            // One revision, one content.
            let revision = i64::try_from(random.below(40)).unwrap() + 1;
            let write = if revision % 3 == 0 {
                delete(&key, revision)
            } else {
                put(&key, revision, &format!(r#"{{"r":{revision}}}"#))
            };
            batch.insert(key, write);
        }
        let writes: Vec<Write> = batch.into_values().collect();
        let outcomes = case
            .target
            .apply(&products(), &writes, Accept::Higher)
            .await
            .unwrap();
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            let higher = model
                .get(&write.key)
                .is_none_or(|held| write.revision > held.revision);
            assert_eq!(
                outcome,
                if higher { Outcome::Applied } else { Outcome::Stale },
                "{write:?}"
            );
            if higher {
                model.insert(write.key.clone(), write);
            }
        }
    }
    let keys: Vec<String> = model.keys().cloned().collect();
    let bodies = case.target.bodies(&products(), &keys).await.unwrap();
    let versions = case.target.versions(&products(), &keys).await.unwrap();
    for ((write, body), version) in model.values().zip(bodies).zip(versions) {
        let deleted = matches!(write.operation, Operation::Delete);
        assert_eq!(
            body,
            (!deleted).then(|| format!(r#"{{"r":{}}}"#, write.revision)),
            "{write:?}"
        );
        let held = Held {
            revision: write.revision,
            deleted,
        };
        assert_eq!(
            version,
            (!deleted || case.shows_tombstones).then_some(held),
            "{write:?}"
        );
    }
}

async fn large_batches_answer_in_order(target: &dyn Target) {
    let write = |at: usize| match at % 3 {
        0 => delete(&format!("product:large-{at}"), 2),
        _ => put(&format!("product:large-{at}"), 2, &format!(r#"{{"n":{at}}}"#)),
    };
    let writes: Vec<Write> = (0..1201).map(write).collect();
    let some: Vec<Write> = writes.iter().step_by(7).cloned().collect();
    target.apply(&products(), &some, Accept::Higher).await.unwrap();
    let outcomes = target.apply(&products(), &writes, Accept::Higher).await.unwrap();
    let expected = |at: usize| {
        if at.is_multiple_of(7) {
            Outcome::Stale
        } else {
            Outcome::Applied
        }
    };
    assert_eq!(outcomes, (0..writes.len()).map(expected).collect::<Vec<_>>());
}

/// Runs last: counts on what the other checks left.
async fn a_scan_gives_exactly_the_own_live_keys(target: &dyn Target) {
    let foreign = [
        put("product:1:red", 7, "{}"),
        put("product:2:blue", 8, "{}"),
        delete("product:3:red", 9),
    ];
    target.apply(&variants(), &foreign, Accept::Higher).await.unwrap();
    let others = collection_of_shelves();
    target.prepare(std::slice::from_ref(&others)).await.unwrap();
    target
        .apply(&others, &[put("products:1", 1, "{}")], Accept::Higher)
        .await
        .unwrap();

    let products = scan(target, &products(), 50).await;
    assert!(
        products
            .keys()
            .all(|key| key.starts_with("product:") && key.matches(':').count() == 1)
    );
    let live = (0..1201)
        .filter(|at| at % 3 != 0)
        .map(|at| format!("product:large-{at}"));
    for key in live.chain(["product:held", "product:left", "product:absent"].map(str::to_owned)) {
        assert!(products.contains_key(&key), "{key} is missing");
    }
    for key in [
        "product:large-0",
        "product:dead",
        "product:delete",
        "product:never",
    ] {
        assert!(!products.contains_key(key), "{key} is deleted");
    }
    assert_eq!(products["product:held"], 1_800_000_000_000_000);
    let variants = scan(target, &variants(), 1).await;
    assert_eq!(
        variants,
        [("product:1:red".to_owned(), 7), ("product:2:blue".to_owned(), 8)].into()
    );
}

fn collection_of_shelves() -> pubsync_schema::shape::Collection {
    use pubsync_schema::shape::KeyPart;
    super::collection(
        "shelf",
        vec![KeyPart::Literal("products:".to_owned()), super::value("root.id")],
    )
}

/// xorshift64: the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
