//! What this version cannot read: nothing of it is dropped, and it is told what it was.

use pubsync_publisher::{publish::PublishError, registry::Registry};
use pubsync_schema::{
    failure::Filter,
    names::Lane,
    wire::{PublishMessage, PublishWork, SyncBody, SyncMessage},
};
use pubsync_synchronizer::retry;
use pubsync_worker::broker::{Outgoing, SendOutcome};
use serde::Serialize;

use super::scene::{PRODUCT, Scene};

const ONE: &str = "INSERT INTO product VALUES (1, NULL, 'a', 'one');";

fn body(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("a message")
}

/// A newer publisher or synchronizer may read them: the ledger keeps their rows.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_another_version_are_failures() {
    let scene = Scene::sqlite("version", &[PRODUCT], ONE).await;
    let street = &scene.process.street;
    let names = &street.store.names;
    let publish = PublishMessage {
        v: 99,
        id: 1,
        document: "product".to_owned(),
        attempt: 0,
        changed_at: 1,
        run: None,
        work: PublishWork::Roots(vec!["1".to_owned()]),
    };
    let sync = SyncMessage {
        v: 98,
        id: 2,
        document: "product".to_owned(),
        target: "local".to_owned(),
        attempt: 0,
        changed_at: 1,
        run: None,
        work: SyncBody::Orphans { cursor: None },
    };
    let messages = [
        (names.publish_queue("product", Lane::Live), body(&publish)),
        (names.sync_queue("local", "product", Lane::Live), body(&sync)),
    ];
    let outgoing = |(id, (queue, body)): (usize, (String, Vec<u8>))| Outgoing {
        id: id as i64,
        queue,
        body,
        trace: None,
    };
    let batch: Vec<Outgoing> = messages.into_iter().enumerate().map(outgoing).collect();
    let sent = street.broker.send(&batch).await.expect("a broker");
    assert_eq!(sent, [SendOutcome::Confirmed, SendOutcome::Confirmed]);

    scene.shop.script("UPDATE product SET name = 'new'").await;
    scene.process.drain().await;
    let failures = format!(
        "SELECT stage, class, error FROM {} ORDER BY error",
        scene.own("failure")
    );
    let told = scene.shop.rows(&failures).await;
    let expected = [
        "message version 98, this pubsync reads 1",
        "message version 99, this pubsync reads 1",
    ];
    assert_eq!(
        told,
        expected.map(|error| ["message", "unreadable", error]
            .map(|text| Some(text.to_owned()))
            .to_vec())
    );
    let new = "{\"name\":\"new\",\"brand\":null,\"offers\":[]}";
    scene.assert_shown("product", &[("product:a", new)]).await;
}

/// What stands in an outbox row, as SQL, and what its failure says of it.
type Odd = (&'static str, &'static str, &'static str, &'static str);

/// Kind, table, changes, and why nobody can read it.
const ODD: [Odd; 6] = [
    (
        "'rows'",
        "'product'",
        "'nonsense'",
        "expected ident at line 1 column 2",
    ),
    (
        "'rows'",
        "'product'",
        "'[{\"n\":{\"id\":7}}]'",
        "invalid type: integer `7`, expected a string at line 1 column 13",
    ),
    (
        "'rows'",
        "'nowhere'",
        "'{'",
        "invalid type: map, expected a sequence at line 1 column 0",
    ),
    (
        "'publish'",
        "''",
        "'{\"document\":\"product\",\"ids\":[1]}'",
        "invalid type: integer `1`, expected a string at line 1 column 30",
    ),
    (
        "'publish'",
        "''",
        "''",
        "EOF while parsing a value at line 1 column 0",
    ),
    (
        "'dance'",
        "'product'",
        "'{}'",
        "its kind \"dance\" is none that this pubsync knows",
    ),
];

/// SQLite keeps in a column of texts what is none.
const ODDER: [Odd; 3] = [
    ("'rows'", "'product'", "x'ff00'", "its changes is no UTF-8"),
    (
        "5",
        "'product'",
        "CAST(x'7bff' AS text)",
        "its changes is no UTF-8",
    ),
    (
        "'rows'",
        "'product'",
        "8",
        "invalid type: integer `8`, expected a sequence at line 1 column 1",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn outbox_rows_that_nobody_can_read_are_failures() {
    unreadable(Scene::postgres("outbox", &[PRODUCT], ONE).await, &ODD).await;
    unreadable(
        Scene::sqlite("outbox", &[PRODUCT], ONE).await,
        &[&ODD[..], &ODDER].concat(),
    )
    .await;
}

/// They stop nobody; what they may have said is in what a retry builds.
async fn unreadable(scene: Scene, odd: &[Odd]) {
    let outbox = scene.own("outbox");
    // A change that only such a row tells of.
    scene
        .shop
        .script(&format!(
            "BEGIN; UPDATE product SET name = 'told by nobody'; DELETE FROM {outbox}; COMMIT;"
        ))
        .await;
    for (kind, table, changes, _) in odd {
        scene
            .shop
            .script(&format!(
                "INSERT INTO {outbox} (kind, table_name, changes, lane, at) VALUES ({kind}, {table}, {changes}, 'live', 1)"
            ))
            .await;
    }
    scene
        .shop
        .script("INSERT INTO product VALUES (2, NULL, 'b', 'two')")
        .await;
    scene.process.drain().await;
    let (one, two) = (
        ("product:a", "{\"name\":\"one\",\"brand\":null,\"offers\":[]}"),
        ("product:b", "{\"name\":\"two\",\"brand\":null,\"offers\":[]}"),
    );
    scene.assert_shown("product", &[one, two]).await;
    assert_told(&scene, odd).await;

    let again = retry::now(&scene.process.street.store, &Filter::default())
        .await
        .expect("a retry");
    let lost = odd.iter().filter(|odd| concerns(odd).is_empty()).count() as u64;
    assert_eq!(
        (again.queued, again.not_retryable),
        (odd.len() as u64 - lost, lost)
    );
    scene.process.drain().await;
    let told = (
        "product:a",
        "{\"name\":\"told by nobody\",\"brand\":null,\"offers\":[]}",
    );
    scene.assert_shown("product", &[told, two]).await;
    assert_eq!(
        scene.count("failure").await,
        lost as i64,
        "what concerns nobody known stays"
    );
}

/// The document that its failure is of.
fn concerns((_, table, changes, _): &Odd) -> &'static str {
    match *table == "'product'" || changes.contains("\"product\"") {
        true => "product",
        false => "",
    }
}

/// One failure for each, with its text and what is wrong with it.
async fn assert_told(scene: &Scene, odd: &[Odd]) {
    let failures = format!(
        "SELECT stage, class, document, error, payload FROM {} ORDER BY id",
        scene.own("failure")
    );
    let told = scene.shop.rows(&failures).await;
    assert_eq!(told.len(), odd.len(), "{told:?}");
    for (told, odd) in told.iter().zip(odd) {
        let [stage, class, document, error, payload] =
            [0, 1, 2, 3, 4].map(|at| told[at].clone().unwrap_or_default());
        assert_eq!(
            (stage.as_str(), class.as_str(), document.as_str()),
            ("capture", "unreadable", concerns(odd))
        );
        let (mend, table) = match concerns(odd) {
            "" => (
                "`pubsync publish --all` brings everything up to date, then `pubsync failures drop`",
                odd.1.trim_matches('\''),
            ),
            _ => (
                "`pubsync failures retry` rebuilds product",
                odd.1.trim_matches('\''),
            ),
        };
        let expected = format!(
            "an outbox row of table {table:?} cannot be read: {}. A newer pubsync has written it, or something that is none; \
             what changed is not known. {mend}",
            odd.3
        );
        assert_eq!(error, expected);
        let text = odd.2.trim_matches('\'');
        assert!(
            payload == text || ODDER.contains(odd),
            "{payload} instead of {text}"
        );
    }
}

/// Law 10: who knows an older definition only does nothing, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn work_by_an_older_definition_is_refused() {
    let scene = Scene::sqlite("older", &[PRODUCT], ONE).await;
    let old = scene
        .process
        .with_registry(Registry::load(&scene.process.street).await.expect("a registry"));
    let compiled = old.compiled("product");
    scene
        .apply(&scene.process, &[&PRODUCT.replace("name: name", "title: name")])
        .await;
    let job = old.job(&["1"], &[]).await;
    let refused = old.publish.run(&compiled, &job).await.unwrap_err();
    assert!(matches!(refused, PublishError::OutOfDate(_)), "{refused:?}");
    assert_eq!(refused.to_string(), "document product has a newer definition");
}
