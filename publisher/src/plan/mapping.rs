//! The OpenSearch mapping that follows from column types.

use serde_json::{Map, Value as Json, json};

use crate::catalogue::ColumnKind;
use crate::document::{Aggregate, Document, Gather, Value};

/// The `properties` object of the document's mapping.
#[must_use]
pub fn mapping(document: &Document) -> Json {
    properties(document, &document.body)
}

fn properties(document: &Document, members: &[(String, Value)]) -> Json {
    let typed = |(name, value): &(String, Value)| Some((name.clone(), field(document, value)?));
    Json::Object(members.iter().filter_map(typed).collect::<Map<_, _>>())
}

/// `None` where nothing is known, as of a constant null or an expression: the field stays out of the index.
fn field(document: &Document, value: &Value) -> Option<Json> {
    match value {
        Value::Column(column) => Some(of_kind(&document.column_of(*column).kind)),
        Value::Text(column) => Some(match document.column_of(*column).kind {
            ColumnKind::Text => text(),
            _ => keyword(),
        }),
        Value::Constant(constant) => of_constant(&serde_json::from_str(constant).ok()?),
        Value::Object(members) => Some(json!({ "properties": properties(document, members) })),
        Value::One { body, .. } => field(document, body),
        Value::Many {
            gather: Gather::By(_),
            ..
        } => Some(flat_object()),
        Value::Many { body, .. } => field(document, body),
        Value::Count { .. } => Some(json!({ "type": "long" })),
        Value::Aggregate {
            aggregate, column, ..
        } => Some(match aggregate {
            Aggregate::Avg => json!({ "type": "double" }),
            _ => of_kind(&document.column_of(*column).kind),
        }),
        Value::First(values) | Value::List(values) => values.iter().find_map(|one| field(document, one)),
        Value::Sql(_) => None,
        Value::Ancestors { body, .. } => field(document, body),
        // Of the top rows: what is below them has the same members to any depth.
        Value::Tree { body, .. } => Some(json!({ "properties": properties(document, body) })),
        Value::Merge(values) => merged(values.iter().filter_map(|one| field(document, one))),
    }
}

/// Members of all objects; where those of one are not known, of none.
fn merged(mut fields: impl Iterator<Item = Json>) -> Option<Json> {
    let mut merged = fields.next()?;
    for field in fields {
        match (merged.get_mut("properties"), field.get("properties")) {
            (Some(Json::Object(members)), Some(Json::Object(later))) => members.extend(later.clone()),
            (Some(_), _) if field == flat_object() => merged = field,
            _ => {}
        }
    }
    Some(merged)
}

fn flat_object() -> Json {
    json!({ "type": "flat_object" })
}

fn of_kind(kind: &ColumnKind) -> Json {
    let name = match kind {
        ColumnKind::Text => return text(),
        ColumnKind::Uuid | ColumnKind::Enum => "keyword",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Integer => "long",
        ColumnKind::Float | ColumnKind::Numeric { .. } => "double",
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampTz => "date",
        ColumnKind::Json => "flat_object",
        ColumnKind::Bytes => "binary",
        ColumnKind::Time | ColumnKind::Array | ColumnKind::Other => return keyword(),
    };
    json!({ "type": name })
}

fn of_constant(constant: &Json) -> Option<Json> {
    match constant {
        Json::Null => None,
        Json::Bool(_) => Some(json!({ "type": "boolean" })),
        Json::Number(number) if number.is_f64() => Some(json!({ "type": "double" })),
        Json::Number(_) => Some(json!({ "type": "long" })),
        Json::String(_) => Some(text()),
        Json::Array(items) => items.iter().find_map(of_constant),
        Json::Object(_) => Some(json!({ "type": "flat_object" })),
    }
}

fn text() -> Json {
    json!({ "type": "text", "fields": { "raw": { "type": "keyword", "ignore_above": 256 } } })
}

/// Lucene refuses terms above 32,766 bytes, and with them the whole document.
fn keyword() -> Json {
    json!({ "type": "keyword", "ignore_above": 256 })
}
