//! The JSON Schema of a document's body, which follows from column types. What it refuses is never built; what only the
//! rows can tell (`sql`, JSON columns) it lets pass.

use pubsync_schema::dialect::Dialect;
use serde_json::{Map, Value as Json, json};

use crate::catalogue::{Column, ColumnKind, Table};
use crate::document::{Aggregate, ColumnRef, Document, Gather, Role, SourceId, Value};

/// Draft 2020-12.
#[must_use]
pub fn result_schema(document: &Document, dialect: Dialect) -> Json {
    let mut types = Types {
        document,
        dialect,
        trees: Map::new(),
    };
    let body = types.object(&document.body);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("The document {}", document.name),
    });
    put(&mut schema, body);
    if !types.trees.is_empty() {
        put(&mut schema, json!({ "$defs": types.trees }));
    }
    schema
}

fn put(schema: &mut Json, more: Json) {
    if let (Json::Object(members), Json::Object(more)) = (schema, more) {
        members.extend(more);
    }
}

/// What a value is when it is not null, and whether it can be null.
struct Typed {
    is: Json,
    nullable: bool,
}

impl Typed {
    fn always(is: Json) -> Self {
        Self { is, nullable: false }
    }

    fn or_null(is: Json) -> Self {
        Self { is, nullable: true }
    }

    fn schema(self) -> Json {
        let Self { mut is, nullable } = self;
        if !nullable || is == json!({}) {
            return is;
        }
        match is.get_mut("type") {
            Some(Json::String(kind)) if !kind.is_empty() => {
                let both = json!([kind, "null"]);
                put(&mut is, json!({ "type": both }));
                is
            }
            Some(Json::Array(kinds)) => {
                kinds.push("null".into());
                is
            }
            _ => json!({ "anyOf": [is, { "type": "null" }] }),
        }
    }
}

struct Types<'a> {
    document: &'a Document,
    dialect: Dialect,
    /// What the rows of a tree are, by the name of the definition: they hold rows of the same kind.
    trees: Map<String, Json>,
}

impl Types<'_> {
    fn object(&mut self, members: &[(String, Value)]) -> Json {
        let properties: Map<_, _> = members
            .iter()
            .map(|(name, value)| (name.clone(), self.value(value).schema()))
            .collect();
        let required: Vec<&String> = members.iter().map(|(name, _)| name).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn value(&mut self, value: &Value) -> Typed {
        match value {
            Value::Column(column) => self.column(*column),
            Value::Text(column) => Typed {
                is: json!({ "type": "string" }),
                nullable: self.is_nullable(*column),
            },
            Value::Constant(text) => match serde_json::from_str(text) {
                Ok(Json::Null) => Typed::or_null(json!({ "type": "null" })),
                Ok(constant) => Typed::always(json!({ "const": constant })),
                Err(_) => Typed::or_null(json!({})),
            },
            Value::Object(members) => Typed::always(self.object(members)),
            Value::One { body, .. } => Typed {
                nullable: true,
                ..self.value(body)
            },
            Value::Many { source, body, gather } => Typed::always(self.many(*source, body, gather)),
            Value::Count { .. } => Typed::always(json!({ "type": "integer", "minimum": 0 })),
            Value::Aggregate {
                aggregate, column, ..
            } => self.aggregate(*aggregate, *column),
            Value::First(values) => {
                let values: Vec<Typed> = values.iter().map(|value| self.value(value)).collect();
                Typed {
                    nullable: values.iter().all(|value| value.nullable),
                    is: any_of(values.into_iter().map(|value| value.is)),
                }
            }
            Value::List(values) => {
                let items = any_of(values.iter().map(|value| self.value(value).is));
                Typed::always(json!({ "type": "array", "items": items }))
            }
            Value::Merge(values) => {
                let values: Vec<Typed> = values.iter().map(|value| self.value(value)).collect();
                Typed {
                    nullable: values.iter().all(|value| value.nullable),
                    is: merged(&values),
                }
            }
            Value::Sql(_) => Typed::or_null(json!({})),
            Value::Ancestors { body, .. } => {
                let items = self.value(body).schema();
                Typed::always(json!({ "type": "array", "items": items }))
            }
            Value::Tree { source, body, below } => Typed::always(self.tree(*source, body, below)),
        }
    }

    fn many(&mut self, source: SourceId, body: &Value, gather: &Gather) -> Json {
        let body = self.value(body);
        match gather {
            Gather::By(columns) => columns.iter().fold(
                body.schema(),
                |inner, _| json!({ "type": "object", "additionalProperties": inner }),
            ),
            // Entries of the arrays, of which there may be more than rows.
            Gather::Array { flat: true, .. } => {
                let items = body.is.get("items").cloned().unwrap_or_else(|| json!({}));
                json!({ "type": "array", "items": items })
            }
            Gather::Array { flat: false, .. } => {
                let mut array = json!({ "type": "array", "items": body.schema() });
                if let Some(limit) = self.document.sources[source].limit {
                    put(&mut array, json!({ "maxItems": limit }));
                }
                array
            }
        }
    }

    fn tree(&mut self, source: SourceId, body: &[(String, Value)], below: &str) -> Json {
        let name = format!("tree_{source}");
        let rows = json!({ "type": "array", "items": { "$ref": format!("#/$defs/{name}") } });
        let mut row = self.object(body);
        if let Some(Json::Object(properties)) = row.get_mut("properties") {
            properties.insert(below.to_owned(), rows.clone());
        }
        if let Some(Json::Array(required)) = row.get_mut("required") {
            required.push(below.into());
        }
        self.trees.insert(name, row);
        rows
    }

    /// Nulls do not count.
    fn aggregate(&self, aggregate: Aggregate, column: ColumnRef) -> Typed {
        match aggregate {
            Aggregate::Sum => Typed::always(json!({ "type": "number" })),
            Aggregate::Avg => Typed::or_null(json!({ "type": "number" })),
            Aggregate::Min | Aggregate::Max => Typed {
                nullable: true,
                ..self.column(column)
            },
            Aggregate::Any | Aggregate::All => Typed::always(json!({ "type": "boolean" })),
        }
    }

    fn column(&self, column: ColumnRef) -> Typed {
        Typed {
            is: self.of_kind(&self.document.column_of(column).kind),
            nullable: self.is_nullable(column),
        }
    }

    fn of_kind(&self, kind: &ColumnKind) -> Json {
        let sqlite = self.dialect == Dialect::Sqlite;
        match kind {
            ColumnKind::Boolean => json!({ "type": "boolean" }),
            // SQLite keeps a fraction in an INTEGER column.
            ColumnKind::Integer if !sqlite => json!({ "type": "integer" }),
            ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric { .. } => {
                json!({ "type": "number" })
            }
            // SQLite's numbers for moments stay numbers.
            ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampTz if sqlite => {
                json!({ "type": ["string", "number"] })
            }
            ColumnKind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            ColumnKind::Json => json!({}),
            ColumnKind::Array if sqlite => json!({}),
            ColumnKind::Array => json!({ "type": "array" }),
            ColumnKind::Date
            | ColumnKind::Timestamp
            | ColumnKind::TimestampTz
            | ColumnKind::Text
            | ColumnKind::Uuid
            | ColumnKind::Enum
            | ColumnKind::Time
            | ColumnKind::Other => json!({ "type": "string" }),
        }
    }

    /// The column can be null, or its row can be missing.
    fn is_nullable(&self, column: ColumnRef) -> bool {
        let source = &self.document.sources[column.source];
        let own = &source.table.columns[column.column];
        let missing = match &source.role {
            Role::Scope { optional, .. } => *optional,
            Role::Lookup { .. } => true,
            Role::Via { .. } => self.leads_to_optional(column.source),
            Role::Root | Role::Exists { .. } | Role::Node { .. } => false,
        };
        missing
            || own.kind == ColumnKind::Json
            || (own.nullable && !is_row_number(&source.table, own, column))
    }

    fn leads_to_optional(&self, junction: SourceId) -> bool {
        self.document.sources.iter().any(
            |source| matches!(source.role, Role::Scope { optional: true, via, .. } if via == Some(junction)),
        )
    }
}

/// SQLite calls its row number nullable where it is declared as `INTEGER PRIMARY KEY`.
fn is_row_number(table: &Table, own: &Column, column: ColumnRef) -> bool {
    table.schema.is_none()
        && table.primary_key == [column.column]
        && own.sql_type.eq_ignore_ascii_case("INTEGER")
}

/// Any of these, each once; of none or of what is not known, anything.
fn any_of(schemas: impl Iterator<Item = Json>) -> Json {
    let mut several: Vec<Json> = Vec::new();
    for schema in schemas {
        if schema == json!({}) {
            return schema;
        }
        if !several.contains(&schema) {
            several.push(schema);
        }
    }
    match several.len() {
        0 => json!({}),
        1 => several.remove(0),
        _ => json!({ "anyOf": several }),
    }
}

/// Objects with all members, or one array; where it is neither for sure, anything.
fn merged(values: &[Typed]) -> Json {
    let are = |kind: &str| values.iter().all(|value| value.is["type"] == kind);
    if are("array") {
        let items = any_of(
            values
                .iter()
                .map(|value| value.is.get("items").cloned().unwrap_or_else(|| json!({}))),
        );
        return json!({ "type": "array", "items": items });
    }
    let known = values.iter().all(|value| value.is.get("properties").is_some());
    if !known {
        return if are("object") {
            json!({ "type": "object" })
        } else {
            json!({})
        };
    }
    let mut properties: Map<String, Json> = Map::new();
    let mut required: Vec<&Json> = Vec::new();
    for value in values {
        for (name, member) in value.is["properties"].as_object().into_iter().flatten() {
            let both = properties.get(name).into_iter().chain([member]).cloned();
            properties.insert(name.clone(), any_of(both));
        }
        let always = value.is["required"].as_array().filter(|_| !value.nullable);
        for name in always.into_iter().flatten() {
            if !required.contains(&name) {
                required.push(name);
            }
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
