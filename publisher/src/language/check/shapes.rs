//! What is known of a value's JSON before any row is: for `merge` and `flat`, which take objects and arrays only.

use crate::catalogue::ColumnKind;
use crate::document::{Gather, Value};
use crate::language::syntax::{self, At};
use crate::language::yaml::Span;

use super::document::Checker;
use super::names::Place;

/// What a value is where it is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Object,
    Array,
    /// Text, a number or a boolean.
    Single,
    /// A JSON column, an expression, or alternatives of several shapes.
    Unknown,
}

impl Checker<'_, '_> {
    pub fn merge(&mut self, values: &[At<syntax::Value>], place: Place) -> Option<Value> {
        let mut merged = Vec::new();
        let mut first = Shape::Unknown;
        for value in values {
            let at = value.at;
            let Some(value) = self.value(value, place) else {
                continue;
            };
            match self.shape(&value) {
                Shape::Unknown => {}
                Shape::Single => {
                    let message = "an entry of \"merge\" must be an object or an array";
                    self.report.fail::<()>(at, "wrong_shape", message);
                }
                shape if first == Shape::Unknown => first = shape,
                shape if shape != first => {
                    let message = "\"merge\" meets an object and an array: its entries must be all objects or all arrays";
                    self.report.fail::<()>(at, "wrong_shape", message);
                }
                _ => {}
            }
            merged.push(value);
        }
        Some(Value::Merge(merged))
    }

    /// Notes a body under `flat` that can be no array.
    pub fn flat(&mut self, body: &Value, at: Span) {
        if matches!(self.shape(body), Shape::Object | Shape::Single) {
            let message = "\"flat\" joins arrays, and this body is none";
            self.report.fail::<()>(at, "wrong_shape", message);
        }
    }

    fn shape(&self, value: &Value) -> Shape {
        match value {
            Value::Column(column) => match self.table(column.source).columns[column.column].kind {
                ColumnKind::Json => Shape::Unknown,
                ColumnKind::Array => Shape::Array,
                _ => Shape::Single,
            },
            Value::Text(_) | Value::Count { .. } | Value::Aggregate { .. } => Shape::Single,
            Value::Constant(json) => of_json(json),
            Value::Object(_) => Shape::Object,
            Value::Sql(_) => Shape::Unknown,
            Value::One { body, .. } => self.shape(body),
            Value::Many {
                gather: Gather::By(_),
                ..
            } => Shape::Object,
            Value::Many { .. } | Value::List(_) | Value::Ancestors { .. } | Value::Tree { .. } => {
                Shape::Array
            }
            Value::First(values) => self.of_all(values),
            Value::Merge(values) => values
                .iter()
                .map(|value| self.shape(value))
                .find(|shape| *shape != Shape::Unknown)
                .unwrap_or(Shape::Unknown),
        }
    }

    fn of_all(&self, values: &[Value]) -> Shape {
        let mut shapes = values
            .iter()
            .filter(|value| !matches!(value, Value::Constant(json) if json == "null"))
            .map(|value| self.shape(value));
        let first = shapes.next().unwrap_or(Shape::Unknown);
        if shapes.all(|shape| shape == first) {
            first
        } else {
            Shape::Unknown
        }
    }
}

fn of_json(json: &str) -> Shape {
    match json.as_bytes().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        Some(b'n') | None => Shape::Unknown,
        Some(_) => Shape::Single,
    }
}
