//! The JSON Schema of document files, for editors. Made from the key lists of the parser, so that it knows what the
//! parser knows; what only the catalogue can tell is not in it.
//!
//! One more key somewhere: an arm in the function that describes the keys of that place.

mod rows;
mod values;

use serde_json::{Map, Value as Json, json};

use super::parse::document::{DOCUMENT, LONGEST_NAME, RESERVED, SCOPE};
use super::parse::fields::Keys;
use super::parse::life::VISIBLE;
use super::parse::queries::QUERY;
use super::parse::targets::{OF_MAPPINGS, OWN_MAPPING, OWN_SETTINGS, TARGET};

/// Draft 2020-12.
#[must_use]
pub fn json_schema() -> Json {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A document of pubsync",
        "description": "Which rows make a document, under which key, and what it looks like.",
    });
    merge(
        &mut schema,
        closed(&DOCUMENT, &["document", "root", "key", "body"], top_level),
    );
    let mut definitions = Map::new();
    let mut define = |name: &str, schema: Json| definitions.insert(name.to_owned(), schema);
    define(
        "scope",
        rows::one_link(closed(&SCOPE, &["table"], rows::of_scope)),
    );
    define("query", closed(&QUERY, QUERY.known, of_query));
    define("target", target());
    rows::define(&mut define);
    values::define(&mut define);
    merge(&mut schema, json!({ "$defs": definitions }));
    schema
}

/// A map with these keys and no others.
fn closed(keys: &Keys, required: &[&str], describe: impl Fn(&str) -> Json) -> Json {
    let properties: Map<_, _> = keys
        .known
        .iter()
        .map(|key| ((*key).to_owned(), describe(key)))
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        merge(&mut schema, json!({ "required": required }));
    }
    merge(&mut schema, json!({ "additionalProperties": false }));
    schema
}

/// Puts the members of an object behind those of another.
fn merge(schema: &mut Json, more: Json) {
    if let (Json::Object(members), Json::Object(more)) = (schema, more) {
        members.extend(more);
    }
}

/// What an editor shows, before the rest.
fn about(description: &str, schema: Json) -> Json {
    let mut described = json!({ "description": description });
    merge(&mut described, schema);
    described
}

fn defined(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn name() -> Json {
    json!({ "type": "string", "minLength": 1 })
}

fn names() -> Json {
    json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 })
}

/// Text, also where YAML reads a number or a boolean.
fn scalar() -> Json {
    json!({ "type": ["string", "number", "boolean"] })
}

fn top_level(key: &str) -> Json {
    let identifier = json!({
        "type": "string",
        "pattern": format!("^[a-z][a-z0-9_-]{{0,{}}}$", LONGEST_NAME - 1),
    });
    let (description, schema) = match key {
        "document" => (
            "Name of the document: lower-case letters, digits, - and _.",
            identifier,
        ),
        "root" => ("Table whose rows the documents are about.", name()),
        "id" => (
            "Columns of a unique index without nulls, where the root has no primary key or another identity.",
            names(),
        ),
        "each" => (
            "Scopes: one document per root and combination of these rows.",
            scopes(),
        ),
        "queries" => ("SELECTs that stand in place of tables.", queries()),
        "key" => (
            "Template of the key; columns in braces: \"product:{store.code}:{root.id}\".",
            name(),
        ),
        "aliases" => ("Templates of further keys that lead to the document.", names()),
        "where" => (
            "Conditions on the root's row. A root that does not meet them has no documents.",
            defined("conditions"),
        ),
        "visible" => (
            "From when until when the document shows, by the database's clock.",
            visible(),
        ),
        "body" => ("What the document looks like.", values::whole_body()),
        "targets" => (
            "Targets that get the document; all that are configured where left out.",
            targets(),
        ),
        "sync" => (
            "How writes reach targets: by queue, or directly from the publisher.",
            json!({ "enum": ["queue", "direct"] }),
        ),
        "queue" => ("Group of documents that share queues.", identifier),
        "inline_limit" => (
            "Bytes. A larger body travels as a reference; 0: every body.",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        "unhashed" => (
            "Members of the body that do not count when it is compared.",
            names(),
        ),
        "tombstone" => (
            "Members that a delete keeps, so that its message can name them.",
            names(),
        ),
        "absent" => (
            "What becomes of documents whose root vanished from the source.",
            json!({ "enum": ["delete", "keep"] }),
        ),
        "capture" => (
            "Who says what changed: triggers, or the application by itself.",
            json!({ "enum": ["triggers", "manual"] }),
        ),
        _ => return json!({}),
    };
    about(description, schema)
}

fn scopes() -> Json {
    json!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "not": { "enum": RESERVED } },
        "additionalProperties": defined("scope"),
    })
}

fn queries() -> Json {
    json!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "additionalProperties": defined("query"),
    })
}

fn of_query(key: &str) -> Json {
    match key {
        "sql" => about("One SELECT.", scalar()),
        "id" => about("Columns that tell which of its rows a change touches.", names()),
        "depends" => about(
            "For every table that it reads: a SELECT of the ids that a row touches; the row's columns in braces.",
            json!({ "type": "object", "additionalProperties": scalar() }),
        ),
        _ => json!({}),
    }
}

fn visible() -> Json {
    let mut schema = closed(&VISIBLE, &[], |key| match key {
        "from" => about("Column of the first moment; null is open.", name()),
        "until" => about("Column of the moment at which it is gone; null is open.", name()),
        _ => json!({}),
    });
    merge(&mut schema, json!({ "minProperties": 1 }));
    schema
}

fn targets() -> Json {
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": { "anyOf": [defined("target"), { "type": "null" }] },
    })
}

fn target() -> Json {
    closed(&TARGET, &[], |key| match key {
        "only" => about(
            "Columns of the key, and the values that this target takes.",
            only(),
        ),
        "index" => about(
            "Index; the document's name where left out. Columns of the key in braces make several.",
            json!({ "type": "string", "pattern": "^[^A-Z{_.-]" }),
        ),
        "mapping" => about(
            "Merged over the mapping that follows from column types.",
            mapping(),
        ),
        "settings" => about(
            "Settings of the index.",
            json!({ "type": "object", "propertyNames": { "not": { "enum": OWN_SETTINGS } } }),
        ),
        "routing" => about(
            "Template of the routing: \"{store.code}\".",
            json!({ "type": "string", "pattern": "\\{" }),
        ),
        _ => json!({}),
    })
}

fn only() -> Json {
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": { "anyOf": [
            scalar(),
            { "type": "array", "items": scalar(), "minItems": 1 },
        ] },
    })
}

/// With something that a mapping has.
fn mapping() -> Json {
    let holds: Vec<Json> = std::iter::once("properties")
        .chain(OF_MAPPINGS)
        .filter(|member| !OWN_MAPPING.contains(member))
        .map(|member| json!({ "required": [member] }))
        .collect();
    json!({
        "type": "object",
        "propertyNames": { "not": { "enum": OWN_MAPPING } },
        "properties": { "properties": { "type": "object" } },
        "anyOf": holds,
    })
}
