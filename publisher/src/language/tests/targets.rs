//! `targets`: which keys go where.

use pubsync_schema::shape::{Binding, Template};
use serde_json::json;

use super::*;

const STORES: &str = "document: d
root: product
each: { store: { table: store, via: product_store }, locale: { table: locale, via: store_locale } }
key: \"d:{store.code}:{locale.code}:{id}:{token}:{is_active}:{day}\"
body: { id: id }
targets:
";

fn binding(target: &str) -> Binding {
    let document = good(&format!("{STORES}  search: {target}"));
    document.targets.unwrap().remove(0).1
}

#[test]
fn values_stand_as_in_keys() {
    let only = binding(
        "{ only: { store.code: [DE, AT], id: +7, root.token: 6F9619FF-8B86-D011-B42D-00C04FC964FF, is_active: true, day: 2024-02-01 } }",
    )
    .only;
    assert_eq!(
        json!(only),
        json!({
            "store.code": ["AT", "DE"],
            "root.id": ["7"],
            "root.token": ["6f9619ff-8b86-d011-b42d-00c04fc964ff"],
            "root.is_active": ["true"],
            "root.day": ["2024-02-01"],
        })
    );
}

#[test]
fn an_index_may_name_columns_of_the_key() {
    let binding = binding("{ index: \"product-{locale.code}-{id}\", routing: \"{store.code}\" }");
    let index = binding.index.unwrap();
    assert_eq!(index.to_string(), "product-{locale.code}-{root.id}");
    assert_eq!(binding.routing.unwrap().to_string(), "{store.code}");
    assert_eq!((index.fixed(), Template::text("a").fixed()), (None, Some("a")));
}

#[test]
fn mapping_and_settings_are_json() {
    let binding = binding(
        "{ mapping: { properties: { id: { type: keyword } } }, settings: { number_of_shards: 2, analysis: { filter: { x: { words: [a] } } } } }",
    );
    assert_eq!(
        binding.mapping,
        Some(json!({ "properties": { "id": { "type": "keyword" } } }))
    );
    assert_eq!(
        binding.settings,
        Some(json!({ "number_of_shards": 2, "analysis": { "filter": { "x": { "words": ["a"] } } } }))
    );
}

#[test]
fn indexes_of_two_documents_are_told_apart() {
    let text = |name: &str, index: &str| {
        format!(
            "document: {name}\nroot: product\nkey: \"{name}:{{id}}\"\ntargets: {{ search: {{ index: \"{index}\" }} }}\nbody: {{ id: id }}"
        )
    };
    for (a, b) in [
        ("p-{id}", "p-{id}"),
        ("p-{id}", "p-x"),
        ("p-{id}-x", "p-1-2-x"),
        ("p{id}", "p"),
    ] {
        let found = documents(&[&text("a", a), &text("b", b)]).unwrap_err();
        assert_eq!(found.len(), 1, "{a} {b}: {found:?}");
        let message = format!("this could be an index of a document in a.yaml: {b} and {a}");
        assert!(found[0].ends_with(&message), "{}", found[0]);
    }
    documents(&[&text("a", "p-{id}"), &text("b", "q-{id}")]).unwrap();
    documents(&[&text("a", "p-{id}-x"), &text("b", "p-{id}-y")]).unwrap();
}
