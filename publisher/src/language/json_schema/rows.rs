//! Which rows: tables, joins, conditions, order.

use serde_json::{Value as Json, json};

use super::{about, closed, defined, merge, name, names, scalar};
use crate::language::parse::conditions::{EXISTING, TESTS};
use crate::language::parse::queries::NAMED;
use crate::language::parse::recursion::START;
use crate::language::parse::rows::VIA;

pub fn define(define: &mut impl FnMut(&str, Json) -> Option<Json>) {
    define("table", json!({ "anyOf": [name(), defined("query_as_table")] }));
    define(
        "query_as_table",
        closed(&NAMED, NAMED.known, |_| {
            about("Name of a query of this document.", scalar())
        }),
    );
    define(
        "hop",
        json!({ "anyOf": [name(), closed(&VIA, &["table"], of_hop)] }),
    );
    define(
        "via",
        json!({ "anyOf": [defined("hop"), { "type": "array", "items": defined("hop"), "minItems": 1 }] }),
    );
    define("match", matches());
    define("conditions", conditions());
    define("existing", one_link(closed(&EXISTING, &["table"], of_existing)));
    define("condition", condition());
    define("operand", operand());
    define("start", start());
}

/// `via` and `match` exclude each other.
pub fn one_link(mut schema: Json) -> Json {
    merge(&mut schema, json!({ "not": { "required": ["via", "match"] } }));
    schema
}

pub fn of_scope(key: &str) -> Json {
    match key {
        "table" => about("Table of the scope's rows.", name()),
        "optional" => about(
            "Without a row: one document with null columns, instead of none.",
            json!({ "type": "boolean" }),
        ),
        _ => option(key),
    }
}

fn of_existing(key: &str) -> Json {
    match key {
        "table" => about(
            "Table, or { query: name }, whose rows are looked for.",
            defined("table"),
        ),
        _ => option(key),
    }
}

fn of_hop(key: &str) -> Json {
    let columns = json!({ "anyOf": [name(), names()] });
    match key {
        "table" => about("The junction.", name()),
        "from" => about("Its columns that name the row before.", columns),
        "to" => about("Its columns that name the row after.", columns),
        _ => json!({}),
    }
}

/// Options that mean the same everywhere.
pub fn option(key: &str) -> Json {
    match key {
        "via" => about(
            "Through junction tables: one, { table, from, to }, or a list of hops.",
            defined("via"),
        ),
        "match" => about(
            "Join: columns of the table and what they equal. Null never matches.",
            defined("match"),
        ),
        "where" => about("Conditions; all must hold.", defined("conditions")),
        "order" => about(
            "Columns to sort by; \"-column\" descends; nulls last.",
            json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        ),
        "limit" => about(
            "At most so many rows, after order.",
            json!({ "type": "integer", "minimum": 1 }),
        ),
        "by" => about(
            "Objects keyed by these columns instead of an array, nested in this order.",
            names(),
        ),
        "distinct" => about("Only the first of equal entries.", json!({ "type": "boolean" })),
        "flat" => about("Entries are arrays and are joined.", json!({ "type": "boolean" })),
        "parent" => about(
            "Columns that name the row above.",
            json!({ "anyOf": [name(), names()] }),
        ),
        "start" => about(
            "Names the top rows, instead of the current row.",
            defined("start"),
        ),
        _ => json!({}),
    }
}

fn matches() -> Json {
    let constant = json!({
        "type": "object",
        "properties": { "value": about("A constant.", scalar()) },
        "required": ["value"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": { "anyOf": [name(), constant] },
    })
}

fn conditions() -> Json {
    let rows = |description: &str| {
        let some = json!({ "type": "array", "items": defined("existing"), "minItems": 1 });
        // A column of that name is compared with a plain constant.
        let column = json!({ "type": ["string", "number", "boolean", "null"] });
        about(
            description,
            json!({ "anyOf": [defined("existing"), some, column] }),
        )
    };
    json!({
        "type": "object",
        "properties": {
            "exists": rows("There is such a row; of a list: one of each."),
            "missing": rows("There is no such row; of a list: none of each."),
        },
        "additionalProperties": defined("condition"),
    })
}

/// What a column is held against: a constant, or a qualified column.
fn operand() -> Json {
    json!({ "anyOf": [scalar(), {
        "type": "object",
        "properties": { "value": about("A constant, whatever it looks like.", scalar()) },
        "required": ["value"],
        "additionalProperties": false,
    }] })
}

fn some_operands() -> Json {
    json!({ "type": "array", "items": defined("operand"), "minItems": 1 })
}

fn condition() -> Json {
    let mut tests = closed(&TESTS, &[], |key| {
        let description = match key {
            "not" => {
                let any = json!({ "anyOf": [defined("operand"), some_operands(), { "type": "null" }] });
                return about(
                    "Different from this, or from each of a list; null passes, unless it is `not: null`.",
                    any,
                );
            }
            "gt" => "Greater.",
            "gte" => "Greater or equal.",
            "lt" => "Less.",
            "lte" => "Less or equal.",
            _ => return json!({}),
        };
        about(description, defined("operand"))
    });
    merge(&mut tests, json!({ "minProperties": 1 }));
    json!({
        "description": "A value: equal; null: is null; a list: one of these; or tests.",
        "anyOf": [defined("operand"), { "type": "null" }, some_operands(), tests],
    })
}

fn start() -> Json {
    let where_ = json!({ "allOf": [defined("conditions"), { "minProperties": 1 }] });
    closed(&START, START.known, |_| {
        about("Conditions on the top rows.", where_.clone())
    })
}
