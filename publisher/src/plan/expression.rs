//! The SELECT of `{ sql: … }`: its columns come as an instance, whichever rows they are of, and it answers one value
//! for each. So equal arguments are computed once for all documents of a batch.

use pubsync_schema::dialect::Dialect;

use super::slots::Slots;
use super::{Outer, dialect};
use crate::catalogue::{Column, ColumnKind};
use crate::document::{ColumnRef, Document, Expression, Piece};

/// An expression of the body.
#[derive(Debug, Clone)]
pub struct ExpressionUse {
    /// Its place in [`super::DocumentPlan::steps`].
    pub step: usize,
    /// For people.
    pub text: String,
    /// Where it stands in the document's file, both from 1.
    pub line: usize,
    pub column: usize,
}

/// What is needed to make the step of an expression.
pub(super) struct Needs {
    pub outer: Vec<Outer>,
    /// Answers the value as JSON text, and `bytes` or `zoned` where it is not yet in the language's form: bytes are
    /// hexadecimal, and a timestamp has an offset in place of `Z`.
    pub sql: String,
    pub text: String,
    pub line: usize,
    pub column: usize,
}

pub(super) fn needs(
    dialect: Dialect,
    document: &Document,
    slots: &mut Slots<'_>,
    expression: &Expression,
) -> Needs {
    let mut columns: Vec<ColumnRef> = Vec::new();
    for piece in &expression.pieces {
        if let Piece::Column(column) = piece
            && !columns.contains(column)
        {
            columns.push(*column);
        }
    }
    let place = |column: &ColumnRef| {
        columns
            .iter()
            .position(|known| known == column)
            .unwrap_or_default()
    };
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Column(column) => {
            let value = format!("q.c{}", place(column) + 1);
            format!("({})", argument(dialect, &value, document.column_of(*column)))
        }
    };
    let value: String = expression.pieces.iter().map(piece).collect();
    let rows = dialect.rows(1, columns.len() + 1, "q");
    let shown = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Column(column) => format!("{{{}}}", document.column_of(*column).name),
    };
    Needs {
        sql: sql(dialect, &value, &rows),
        text: expression.pieces.iter().map(shown).collect(),
        outer: columns
            .iter()
            .map(|&column| Outer {
                slot: slots.outer(column),
                strict: false,
            })
            .collect(),
        line: expression.line,
        column: expression.column,
    }
}

fn sql(dialect: Dialect, value: &str, rows: &str) -> String {
    match dialect {
        // The inner SELECT gives a bare constant its type.
        Dialect::Postgres => format!(
            "SELECT c0, to_json(v)::text, CASE pg_typeof(v) WHEN 'bytea'::regtype THEN 'bytes' \
             WHEN 'timestamptz'::regtype THEN 'zoned' END FROM (SELECT q.c0, ({value}) AS v FROM {rows}) e"
        ),
        // `json_quote` must see the expression itself, to tell JSON from text.
        Dialect::Sqlite => format!(
            "SELECT q.c0, CASE typeof(({value})) WHEN 'blob' THEN hex(({value})) WHEN 'null' THEN NULL \
             ELSE CAST(json_quote(({value})) AS TEXT) END, \
             CASE typeof(({value})) WHEN 'blob' THEN 'bytes' END FROM {rows}"
        ),
    }
}

/// A value in its column's type. On SQLite there is no column here whose affinity would make a number of a text.
pub(super) fn argument(dialect: Dialect, value: &str, column: &Column) -> String {
    match (dialect, &column.kind) {
        (Dialect::Sqlite, ColumnKind::Integer | ColumnKind::Numeric { .. } | ColumnKind::Boolean) => {
            format!("CAST({value} AS NUMERIC)")
        }
        (Dialect::Sqlite, ColumnKind::Float) => format!("CAST({value} AS REAL)"),
        _ => dialect::cast(dialect, value, column),
    }
}
