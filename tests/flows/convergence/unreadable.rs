//! What this version cannot read: nothing of it is dropped, and it is told what it was.

use pubsync_publisher::{publish::PublishError, registry::Registry};
use pubsync_schema::{
    names::Lane,
    wire::{PublishMessage, PublishWork, SyncBody, SyncMessage},
};
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

/// Nothing is taken out of the outbox behind a row that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn outbox_rows_that_are_no_json_stay() {
    let scene = Scene::sqlite("outbox", &[PRODUCT], ONE).await;
    let outbox = scene.own("outbox");
    for (kind, told) in [
        (
            "rows",
            "Json Error: outbox row {id} of table product: expected ident at line 1 column 2",
        ),
        (
            "publish",
            "Json Error: outbox row {id}: expected ident at line 1 column 2",
        ),
        (
            "dance",
            "Custom Error: outbox row of kind \"dance\": written by a newer pubsync? nothing is taken",
        ),
    ] {
        scene
            .shop
            .script(&format!(
                "INSERT INTO {outbox} (kind, table_name, changes, lane, at) VALUES ('{kind}', 'product', 'nonsense', 'live', 1)"
            ))
            .await;
        let id = scene.number(&format!("SELECT max(id) FROM {outbox}")).await;
        let error = scene.process.relay.once().await.unwrap_err().to_string();
        assert_eq!(error, told.replace("{id}", &id.to_string()));
        assert_eq!(scene.count("outbox").await, 1);
        scene.shop.script(&format!("DELETE FROM {outbox}")).await;
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
