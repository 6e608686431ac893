//! OpenSearch: an index for each value of a column, routing, and indexes that take each other's place.

use pubsync_schema::shape::{Collection, KeyPart, Template};
use serde_json::{Value, json};

use super::super::{collection, value};
use super::{Method, OpenSearchTarget, ask, delete, products, put, scan, with_index};
use crate::target::{Accept, Outcome, Target, TargetError, Write};

/// Keys `item:<locale>:<id>`, an index for each locale, and the id as routing.
fn items() -> Collection {
    let literal = |text: &str| KeyPart::Literal(text.to_owned());
    let key = vec![
        literal("item:"),
        value("locale.code"),
        literal(":"),
        value("root.id"),
    ];
    Collection {
        index: Template(vec![literal("product-"), value("locale.code")]),
        routing: Some(Template(vec![value("root.id")])),
        settings: json!({ "index": { "number_of_shards": 3, "refresh_interval": "1h" } }),
        ..collection("item", key)
    }
}

async fn applied(target: &OpenSearchTarget, to: &Collection, writes: &[Write]) {
    let outcomes = target.apply(to, writes, Accept::Higher).await.unwrap();
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::Applied),
        "{outcomes:?}"
    );
}

/// The members of an answer: indexes.
async fn names(path: &str) -> Vec<String> {
    let answer = ask(Method::Get, path, None).await;
    let mut names: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    names
}

async fn indexes(prefix: &str) -> Vec<String> {
    names(&format!("{prefix}*/_settings?expand_wildcards=all")).await
}

/// Keys that readers find behind an alias, or a pattern of some.
async fn found(alias: &str) -> Vec<String> {
    ask(
        Method::Post,
        &format!("{alias}/_refresh?expand_wildcards=all"),
        None,
    )
    .await;
    let answer = ask(Method::Get, &format!("{alias}/_search?size=100"), None).await;
    let mut keys: Vec<String> = answer["hits"]["hits"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn each_value_has_an_index() {
    with_index(|target, alias| async move {
        let items = items();
        target.prepare(std::slice::from_ref(&items)).await.unwrap();
        assert_eq!(indexes(&alias).await, Vec::<String>::new());
        let keys = [
            "item:de_DE:1",
            "item:de_DE:2",
            "item:fr_FR:1",
            "item:de_de:1",
            "item:Ä:1",
        ];
        let writes: Vec<Write> = keys.iter().map(|key| put(key, 5, r#"{"price":1}"#)).collect();
        applied(&target, &items, &writes).await;
        assert_eq!(
            indexes(&alias).await,
            ["-=c3=a4~1", "-de_de~1", "-fr_fr~1"].map(|end| format!("{alias}{end}"))
        );
        let found_in = async |end: &str| found(&format!("{alias}{end}")).await;
        assert_eq!(
            found_in("-de_de").await,
            ["item:de_DE:1", "item:de_DE:2", "item:de_de:1"]
        );
        assert_eq!(found_in("-fr_fr").await, ["item:fr_FR:1"]);
        assert_eq!(found_in("-*").await.len(), keys.len());

        let held = target.versions(&items, &keys.map(str::to_owned)).await.unwrap();
        assert!(
            held.iter()
                .all(|held| held.is_some_and(|held| held.revision == 5)),
            "{held:?}"
        );
        let bodies = target
            .bodies(&items, &["item:xx:1".to_owned(), keys[4].to_owned()])
            .await;
        assert_eq!(bodies.unwrap(), [None, Some(r#"{"price":1}"#.to_owned())]);
        for limit in [1, 100] {
            assert_eq!(scan(&target, &items, limit).await.len(), keys.len());
        }

        // Routing is that of the write: a delete, and a put of a lower revision, meet the same shard.
        applied(
            &target,
            &items,
            &[delete("item:de_DE:1", 6), delete("item:fr_FR:1", 6)],
        )
        .await;
        let late = [put("item:de_DE:1", 5, "{}"), put("item:de_DE:2", 4, "{}")];
        let outcomes = target.apply(&items, &late, Accept::Higher).await.unwrap();
        assert_eq!(outcomes, [Outcome::Stale, Outcome::Stale]);
        assert_eq!(found_in("-de_de").await, ["item:de_DE:2", "item:de_de:1"]);
    })
    .await;
}

#[tokio::test]
async fn deletes_alone_make_no_index_by_themselves() {
    with_index(|target, alias| async move {
        let deletes = [delete("item:de:1", 6), delete("item:fr:1", 6)];
        applied(&target, &items(), &deletes).await;
        // Made by us, with mapping and aliases, not by the engine.
        let aliases = ask(
            Method::Get,
            &format!("{alias}-*/_alias?expand_wildcards=all"),
            None,
        )
        .await;
        for end in ["-de", "-fr"] {
            let own = &aliases[format!("{alias}{end}~1")]["aliases"];
            assert!(own[format!("{alias}{end}")].is_object(), "{aliases}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_without_a_place_fails_alone() {
    with_index(|target, _| async move {
        let long = format!("item:{}:1", "x".repeat(240));
        let writes = [
            put(&long, 1, "{}"),
            put("other", 1, "{}"),
            delete("other:2", 1),
            put("item:de:1", 1, "{}"),
        ];
        let outcomes = target.apply(&items(), &writes, Accept::Higher).await.unwrap();
        let nameless = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Failed {
                    class: "index_name",
                    ..
                }
            )
        };
        assert!(nameless(&outcomes[0]) && nameless(&outcomes[1]), "{outcomes:?}");
        assert_eq!(outcomes[2..], [Outcome::Applied, Outcome::Applied]);
    })
    .await;
}

#[tokio::test]
async fn what_the_document_says_of_mapping_and_settings_holds() {
    with_index(|target, alias| async move {
        let mut items = items();
        items.mapping = json!({ "properties": { "name": { "type": "keyword" } } });
        applied(&target, &items, &[put("item:de:1", 1, r#"{"name":"A b"}"#)]).await;
        let index = format!("{alias}-de~1");
        let made = ask(Method::Get, &index, None).await[&index].clone();
        assert_eq!(
            made["mappings"]["properties"]["name"],
            json!({ "type": "keyword" })
        );
        assert_eq!(
            made["mappings"]["properties"]["price"],
            json!({ "type": "double" })
        );
        assert_eq!(made["settings"]["index"]["refresh_interval"], "1h");
        assert_eq!(made["settings"]["index"]["gc_deletes"], "1h");

        items.settings = json!({ "index.no_such_setting": Value::Bool(true) });
        let error = target
            .apply(&items, &[put("item:fr:1", 1, "{}")], Accept::Higher)
            .await;
        assert!(
            matches!(&error, Err(TargetError::Refused { reason, .. }) if reason.contains("no_such_setting")),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_index_is_filled_unseen_and_takes_the_place_of_the_old_one() {
    with_index(|target, alias| async move {
        let old = items();
        let mut new = Collection {
            number: 2,
            filling: true,
            ..old.clone()
        };
        let writes = [put("item:de:1", 1, "{}"), put("item:de:2", 1, "{}")];
        applied(&target, &old, &writes).await;
        applied(&target, &new, &writes[..1]).await;
        // A locale that came while the other was filled.
        applied(&target, &new, &[put("item:fr:1", 1, "{}")]).await;
        assert_eq!(found(&format!("{alias}-de")).await, ["item:de:1", "item:de:2"]);
        assert_eq!(found(&format!("{alias}-*")).await, ["item:de:1", "item:de:2"]);
        assert_eq!(scan(&target, &new, 10).await.len(), 2);

        new.filling = false;
        for _ in 0..2 {
            target.show(&new).await.unwrap();
            assert_eq!(found(&format!("{alias}-*")).await, ["item:de:1", "item:fr:1"]);
        }
        // Somebody who knows only the old one does not bring it back.
        target.prepare(std::slice::from_ref(&old)).await.unwrap();
        applied(&target, &old, &[put("item:fr:2", 1, "{}")]).await;
        assert_eq!(found(&format!("{alias}-*")).await, ["item:de:1", "item:fr:1"]);
        for _ in 0..2 {
            assert!(target.discard(&old).await.unwrap());
            assert_eq!(
                indexes(&alias).await,
                ["-de~2", "-fr~2"].map(|end| format!("{alias}{end}"))
            );
        }
        assert_eq!(found(&format!("{alias}-*")).await, ["item:de:1", "item:fr:1"]);
    })
    .await;
}

#[tokio::test]
async fn an_alias_on_an_index_of_others_is_refused() {
    with_index(|target, alias| async move {
        let body = json!({ "aliases": { &alias: {} } });
        ask(Method::Put, &format!("{alias}-theirs"), Some(body)).await;
        let error = target.prepare(&[products()]).await.unwrap_err();
        let expected = format!(
            "alias {alias} stands on index {alias}-theirs, which pubsync did not make: take the alias away, or give the \
             document another index"
        );
        assert!(error.to_string().contains(&expected), "{error}");
    })
    .await;
}
