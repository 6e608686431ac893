//! `sum`, `avg`, `min`, `max`, `any`, `all`: which types they take.

use crate::catalogue::ColumnKind;
use crate::document::{Aggregate, Value};
use crate::language::syntax::{At, Rows};

use super::body::Kind;
use super::document::Checker;
use super::names::Place;

impl Checker<'_, '_> {
    pub fn aggregate(
        &mut self,
        rows: &Rows,
        aggregate: Aggregate,
        column: &At<String>,
        place: Place,
    ) -> Option<Value> {
        let source = self.rows(rows, Kind::Many, place)?.bare;
        let found = self.column(source, &column.is, column.at)?;
        let table = self.table(source);
        let meta = &table.columns[found.column];
        // PostgreSQL adds no object ids up.
        let adds = matches!(aggregate, Aggregate::Sum | Aggregate::Avg);
        if takes(aggregate, &meta.kind) && !(adds && meta.sql_type == "oid") {
            return Some(Value::Aggregate {
                source,
                aggregate,
                column: found,
            });
        }
        let message = format!(
            "\"{}\" takes {}, and \"{}\" is {}",
            aggregate.keyword(),
            taken(aggregate),
            meta.name,
            meta.sql_type
        );
        self.report.fail(column.at, "wrong_type", message)
    }
}

fn takes(aggregate: Aggregate, kind: &ColumnKind) -> bool {
    use ColumnKind::{Boolean, Date, Enum, Float, Integer, Numeric, Text, Time, Timestamp, TimestampTz};
    match aggregate {
        Aggregate::Sum | Aggregate::Avg => matches!(kind, Integer | Float | Numeric { .. }),
        Aggregate::Min | Aggregate::Max => matches!(
            kind,
            Integer | Float | Numeric { .. } | Text | Enum | Date | Timestamp | TimestampTz | Time
        ),
        Aggregate::Any | Aggregate::All => *kind == Boolean,
    }
}

fn taken(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Sum | Aggregate::Avg => "a number",
        Aggregate::Min | Aggregate::Max => "a number, a text, an enum, a date or a time",
        Aggregate::Any | Aggregate::All => "a boolean",
    }
}
