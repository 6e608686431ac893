//! What a SELECT answers that folds the rows of an instance into one: counts, sums and the like.

use pubsync_schema::dialect::Dialect;

use super::dialect;
use super::slots::qualified;
use super::template::each_value;
use crate::catalogue::{Column, ColumnKind};
use crate::document::{Aggregate, ColumnRef, Document, SourceId, Value};

/// How the answer of an aggregate is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// One value of this kind; `of_nothing` stands for no row and for null.
    Value {
        kind: ColumnKind,
        of_nothing: &'static str,
    },
    /// A sum and how many values it is of: the worker divides, so that both databases give the same digits.
    Average,
}

/// Expressions that the SELECT of each source answers after the instance's number, where it folds rows.
pub(super) fn folded(dialect: Dialect, document: &Document) -> Vec<Option<Vec<String>>> {
    let mut found: Vec<Option<Vec<String>>> = vec![None; document.sources.len()];
    let mut note = |source: SourceId, expressions| found[source] = Some(expressions);
    for (_, value) in &document.body {
        each_value(value, &mut |value| match value {
            Value::Count { source } => note(*source, vec!["CAST(count(*) AS text)".to_owned()]),
            Value::Aggregate {
                source,
                aggregate,
                column,
            } => note(*source, expressions(dialect, document, *aggregate, *column)),
            _ => {}
        });
    }
    found
}

/// How the answer to [`expressions`] is read.
pub(super) fn fold(aggregate: Aggregate, column: &Column) -> Fold {
    let value = |kind: &ColumnKind, of_nothing| Fold::Value {
        kind: kind.clone(),
        of_nothing,
    };
    match aggregate {
        Aggregate::Avg if column.kind != ColumnKind::Float => Fold::Average,
        Aggregate::Avg | Aggregate::Min | Aggregate::Max => value(&column.kind, "null"),
        Aggregate::Sum => value(&column.kind, "0"),
        Aggregate::Any => value(&ColumnKind::Boolean, "false"),
        Aggregate::All => value(&ColumnKind::Boolean, "true"),
    }
}

fn expressions(
    dialect: Dialect,
    document: &Document,
    aggregate: Aggregate,
    column: ColumnRef,
) -> Vec<String> {
    let meta = document.column_of(column);
    let value = qualified(dialect, document, column);
    let of = |function: &str| dialect::json_text(dialect, &format!("{function}({value})"), meta);
    match aggregate {
        Aggregate::Avg if meta.kind != ColumnKind::Float => {
            vec![of("sum"), format!("CAST(count({value}) AS text)")]
        }
        Aggregate::Any | Aggregate::All => vec![truth(dialect, aggregate, &value)],
        _ => vec![of(aggregate.keyword())],
    }
}

/// SQLite keeps booleans as 0 and 1, or as the words.
fn truth(dialect: Dialect, aggregate: Aggregate, value: &str) -> String {
    let all = aggregate == Aggregate::All;
    match dialect {
        Dialect::Postgres => format!("({}({value}))::text", if all { "bool_and" } else { "bool_or" }),
        Dialect::Sqlite => {
            let function = if all { "min" } else { "max" };
            format!("CAST({function}({value} IN (1, 'true')) AS TEXT)")
        }
    }
}
