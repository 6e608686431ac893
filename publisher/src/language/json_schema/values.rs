//! What a body holds: columns, lists, objects, and nodes.

use serde_json::{Value as Json, json};

use super::rows::{one_link, option};
use super::{about, closed, defined, merge, name, scalar};
use crate::language::parse::body::{KEYWORDS, node_keys};

pub fn define(define: &mut impl FnMut(&str, Json) -> Option<Json>) {
    define("value", json!({ "anyOf": alternatives(true) }));
    define("single", json!({ "anyOf": alternatives(false) }));
    define("object", object());
    define("plain_object", plain_object());
    define("escaped_object", escaped_object());
    for keyword in KEYWORDS {
        define(&node_name(keyword), node(keyword));
    }
}

/// The body of the document, in which no keyword means anything.
pub fn whole_body() -> Json {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "not": { "enum": ["_revision"] } },
        "additionalProperties": defined("value"),
    })
}

fn node_name(keyword: &str) -> String {
    format!("node_{keyword}")
}

/// With objects and lists, or without.
fn alternatives(composed: bool) -> Vec<Json> {
    let column = about(
        "A column of this row, or `root.x`, `scope.x`, `via.x`, `parent.x`.",
        name(),
    );
    let list = json!({
        "description": "An array of these, nulls left out.",
        "type": "array",
        "items": defined("value"),
    });
    let composed = composed.then(|| [list, defined("object")]).into_iter().flatten();
    let nodes = KEYWORDS.iter().map(|keyword| defined(&node_name(keyword)));
    std::iter::once(column).chain(nodes).chain(composed).collect()
}

fn object() -> Json {
    json!({ "anyOf": [defined("escaped_object"), defined("plain_object")] })
}

fn plain_object() -> Json {
    json!({
        "description": "An object with these members.",
        "type": "object",
        "propertyNames": { "not": { "enum": KEYWORDS } },
        "additionalProperties": defined("value"),
    })
}

fn escaped_object() -> Json {
    let members = json!({ "type": "object", "additionalProperties": defined("value") });
    json!({
        "type": "object",
        "properties": { "body": about("An object whose members may have keywords as names.", members) },
        "required": ["body"],
        "additionalProperties": false,
    })
}

fn node(keyword: &str) -> Json {
    let required: &[&str] = match keyword {
        "one" | "many" => &["body"],
        "ancestors" | "tree" => &["parent", "body"],
        _ => &[],
    };
    let required: Vec<&str> = std::iter::once(keyword).chain(required.iter().copied()).collect();
    let keys = node_keys(keyword);
    let mut schema = closed(&keys, &required, |key| match key {
        key if key == keyword => meaning(keyword),
        "body" if keyword == "tree" => about(
            "What each row gives: an object, which gets a member with the rows below.",
            defined("object"),
        ),
        "body" => about(
            "What each row gives: a column, a node, or an object.",
            defined("value"),
        ),
        _ => option(key),
    });
    if keys.known.contains(&"via") {
        schema = one_link(schema);
    }
    if keys.known.contains(&"by") {
        let arrays = json!({ "anyOf": [
            { "properties": { "flat": { "enum": [true] } }, "required": ["flat"] },
            { "properties": { "distinct": { "enum": [true] } }, "required": ["distinct"] },
        ] });
        merge(
            &mut schema,
            json!({ "anyOf": [{ "not": { "required": ["by"] } }, { "not": arrays }] }),
        );
    }
    schema
}

/// What stands under the keyword itself.
fn meaning(keyword: &str) -> Json {
    // With its table: `t.x`, or a query's.
    let column = json!({ "anyOf": [
        { "type": "string", "pattern": "\\." },
        defined("query_as_table"),
    ] });
    let some = |items: &str| json!({ "type": "array", "items": defined(items), "minItems": 1 });
    match keyword {
        "one" => about(
            "The row of this table that the current row names, or by `match` the first; else null.",
            defined("table"),
        ),
        "many" => about(
            "The rows of this table that name the current row: an array.",
            defined("table"),
        ),
        "count" => about("How many rows `many` would give.", defined("table")),
        "sum" => about("Sum of a column, `table.column`; 0 without rows.", column),
        "avg" => about("Average of a column, `table.column`; null without rows.", column),
        "min" => about(
            "Least value of a column, `table.column`; null without rows.",
            column,
        ),
        "max" => about(
            "Greatest value of a column, `table.column`; null without rows.",
            column,
        ),
        "any" => about("Whether a boolean, `table.column`, is true in some row.", column),
        "all" => about("Whether a boolean, `table.column`, is true in every row.", column),
        "ancestors" => about(
            "The row that the current row names and all above it, top first.",
            name(),
        ),
        "tree" => about("The rows below the current row, to any depth.", name()),
        "first" => about("The first that is not null.", some("single")),
        "merge" => about("Objects merged, later wins; or arrays appended.", some("value")),
        "sql" => about("An expression of the database; columns in braces.", scalar()),
        "text" => about("This column as a JSON string.", name()),
        "value" => about("A constant of any shape.", json!({})),
        _ => json!({}),
    }
}
