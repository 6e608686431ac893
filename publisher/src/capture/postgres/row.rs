//! The part of a capture function that serves row triggers: rows that logical replication applies fire no statement
//! trigger.
//!
//! A worker of logical replication keeps its session while the table changes, and what SQL makes of `NEW.*` is planned
//! once and never again. So the row is asked as `jsonb`, which is of now. Only where its text is another one than the
//! column's own (json, arrays, composites) the column is named; where such a column's type changes under a running worker, the
//! worker fails once and starts anew.

use pubsync_schema::names::Names;

use super::function::{both_images, differ, literal, one_image};
use super::{Capture, DIALECT, LANE, TRACE};
use crate::catalogue::ColumnKind;

pub(super) const VARIABLES: &str = "  old_row jsonb;\n  new_row jsonb;";

/// Fills the variables, and `lost` with the columns that the row has not.
pub(super) fn lost(capture: &Capture) -> String {
    let names: Vec<_> = capture
        .used()
        .into_iter()
        .map(|column| literal(capture.column(column)))
        .collect();
    format!(
        "    IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
    lost := ARRAY(
      SELECT wanted FROM unnest(ARRAY[{}]::text[]) AS wanted WHERE NOT jsonb_exists(coalesce(new_row, old_row), wanted)
    );",
        names.join(", ")
    )
}

/// Writes one change, or none where no used column differs.
pub(super) fn insert(names: &Names, capture: &Capture) -> String {
    let (old, new) = (texts_of(capture, "OLD"), texts_of(capture, "NEW"));
    let insert = |change: &str| {
        format!(
            "      INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
      SELECT 'rows', {name}, '[' || change || ']', {LANE}, {now}, {TRACE} FROM (
        SELECT {change}
      ) AS captured;",
            outbox = names.table("outbox"),
            name = literal(&capture.name),
            now = DIALECT.now(),
        )
    };
    format!(
        "    IF TG_OP = 'INSERT' THEN
{inserted}
    ELSIF TG_OP = 'DELETE' THEN
{deleted}
    ELSE
{updated}
    END IF;",
        inserted = insert(&format!(
            "{} AS change FROM (SELECT {new}) AS n",
            one_image(capture, "n")
        )),
        deleted = insert(&format!(
            "{} AS change FROM (SELECT {old}) AS o",
            one_image(capture, "o")
        )),
        updated = insert(&format!(
            "{} AS change FROM (SELECT {old}) AS o CROSS JOIN (SELECT {new}) AS n WHERE {}",
            both_images(capture),
            differ(capture)
        )),
    )
}

/// As in statement triggers: texts `c<index>` that compare by their bytes.
fn texts_of(capture: &Capture, row: &str) -> String {
    let text = |column: usize| {
        let name = capture.column(column);
        let value = match capture.table.columns[column].kind {
            ColumnKind::Json | ColumnKind::Array | ColumnKind::Other => {
                format!("{row}.{}::text", DIALECT.quote(name))
            }
            _ => format!("({}_row->>{})", row.to_lowercase(), literal(name)),
        };
        format!("{value} {} AS c{column}", DIALECT.bytewise())
    };
    let texts: Vec<_> = capture.used().into_iter().map(text).collect();
    texts.join(", ")
}
