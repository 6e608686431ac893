//! The text of a capture function.
//!
//! The function runs in every session of the application, under settings that nobody chose for it. So it is
//! SECURITY DEFINER with a pinned `search_path` (writers need no right on pubsync's schema), pins the settings that
//! the text of carried columns depends on, prefers columns to variables, and names no operator of a user's type:
//! everything is compared as text in `COLLATE "C"`.
//!
//! One function serves the statement triggers of a table and of all its partitions, whose columns may stand in another
//! order: it names columns, and PostgreSQL plans it for each trigger anew. `row` has its part for row triggers.

use pubsync_schema::names::Names;

use super::row;
use super::{BULK_FROM_CHANGES, CHANGES_PER_ROW, Capture, DIALECT, LANE, TRACE};
use crate::catalogue::ColumnKind;

/// Creates the function, or replaces it under the triggers that call it.
pub(super) fn text(names: &Names, capture: &Capture, function: &str) -> String {
    let body = body(names, capture);
    let quote = (0..)
        .map(|i| format!("$capture{i}$"))
        .find(|quote| !body.contains(quote.as_str()))
        .unwrap_or_default();
    format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n\
         LANGUAGE plpgsql SECURITY DEFINER\n{}\nAS {quote}{body}{quote}",
        settings(capture).join("\n")
    )
}

/// The text of a value depends on these settings of the session.
fn settings(capture: &Capture) -> Vec<&'static str> {
    let any = |columns: &std::collections::BTreeSet<usize>, kinds: &[ColumnKind]| {
        let kind = |&column: &usize| &capture.table.columns[column].kind;
        columns.iter().map(kind).any(|kind| kinds.contains(kind))
    };
    use ColumnKind::{Array, Bytes, Date, Float, Other, Timestamp, TimestampTz};
    let carried = &capture.carried;
    // The plan of a session that once changed many rows would be compiled anew for each single row: about a second.
    let mut settings = vec!["SET search_path = pg_catalog, pg_temp", "SET jit = off"];
    // With fewer digits two different numbers would have one text, so this one matters to the comparison too.
    if any(&capture.used(), &[Float, Array, Other]) {
        settings.push("SET extra_float_digits = 1");
    }
    if any(carried, &[Date, Timestamp, TimestampTz, Array, Other]) {
        settings.push("SET datestyle = 'ISO, YMD'");
    }
    if any(carried, &[TimestampTz, Array, Other]) {
        settings.push("SET timezone = 'UTC'");
    }
    if any(carried, &[Bytes, Array, Other]) {
        settings.push("SET bytea_output = 'hex'");
    }
    if any(carried, &[Array, Other]) {
        settings.push("SET intervalstyle = 'postgres'");
    }
    settings
}

fn body(names: &Names, capture: &Capture) -> String {
    let insert = |changes: &str| insert_packed(names, capture, changes);
    format!(
        "
#variable_conflict use_column
DECLARE
  lost text[];
{row_variables}
BEGIN
  IF TG_LEVEL = 'ROW' THEN
{lost_row}
  ELSIF TG_OP = 'DELETE' THEN
{lost_old}
    IF NOT FOUND THEN RETURN NULL; END IF;
  ELSIF TG_OP <> 'TRUNCATE' THEN
{lost_new}
    IF NOT FOUND THEN RETURN NULL; END IF;
  END IF;
  IF has_table_privilege(to_regclass({outbox_literal})::oid, 'INSERT') IS NOT TRUE THEN
    RAISE WARNING 'a change of table % is not captured: the outbox is gone or may not be written', TG_RELID::regclass;
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
    VALUES ('truncate', {name}, '[]', {LANE}, {now}, {TRACE});
  ELSIF lost <> '{{}}' THEN
    INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
    VALUES ('broken', {name}, {broken}, 'live', {now}, {TRACE});
  ELSIF TG_LEVEL = 'ROW' THEN
{row}
  ELSIF TG_OP = 'INSERT' THEN
{inserted}
  ELSIF TG_OP = 'DELETE' THEN
{deleted}
  ELSE
{updated}
  END IF;
  RETURN NULL;
END
",
        row_variables = row::VARIABLES,
        lost_row = row::lost(capture),
        row = row::insert(names, capture),
        lost_old = select_lost(capture, "old_rows"),
        lost_new = select_lost(capture, "new_rows"),
        outbox = names.table("outbox"),
        outbox_literal = literal(&names.table("outbox")),
        name = literal(&capture.name),
        broken = BROKEN,
        now = DIALECT.now(),
        inserted = insert(&one_sided(capture, "new_rows", "n")),
        deleted = insert(&one_sided(capture, "old_rows", "o")),
        updated = insert(&updated(capture)),
    )
}

/// SQLSTATE 42703 is undefined_column: what the statement would have failed with.
const BROKEN: &str = "json_build_object(\
    'error', format('table %s has no column %s', TG_RELID::regclass, array_to_string(lost, ', ')), \
    'state', '42703', 'operation', TG_OP)";

/// Which columns the table has lost; no row when the statement touched none. A name that the table does not have
/// is looked up one scope further out, and `absent` has it in a type that no table can have values of. The planner
/// decides that once, so it costs a statement next to nothing (docs/adr/0001-trigger-errors.md).
fn select_lost(capture: &Capture, rows: &str) -> String {
    let columns: Vec<_> = capture
        .used()
        .into_iter()
        .map(|column| capture.column(column))
        .collect();
    let absent = columns
        .iter()
        .map(|name| format!("NULL::pg_ndistinct AS {}", DIALECT.quote(name)));
    let tests = columns.iter().map(|name| {
        let column = DIALECT.quote(name);
        format!(
            "CASE WHEN pg_typeof({column}) = 'pg_ndistinct'::regtype THEN {} END",
            literal(name)
        )
    });
    format!(
        "    SELECT present.lost INTO lost
    FROM (SELECT {}) AS absent
    CROSS JOIN LATERAL (
      SELECT array_remove(ARRAY[{}]::text[], NULL) AS lost FROM {rows} LIMIT 1
    ) AS present;",
        absent.collect::<Vec<_>>().join(", "),
        tests.collect::<Vec<_>>().join(", "),
    )
}

/// Writes the texts `change` of a SELECT, so many to an outbox row. Without a change it writes nothing.
fn insert_packed(names: &Names, capture: &Capture, changes: &str) -> String {
    format!(
        "    INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
    SELECT 'rows', {name}, '[' || string_agg(change, ',') || ']',
      CASE WHEN sum(count(*)) OVER () > {BULK_FROM_CHANGES} THEN 'bulk' ELSE {LANE} END, {now}, {TRACE}
    FROM (
      SELECT change, (row_number() OVER () - 1) / {CHANGES_PER_ROW} AS pack
      FROM (
{changes}
      ) AS captured
    ) AS packed
    GROUP BY pack;",
        outbox = names.table("outbox"),
        name = literal(&capture.name),
        now = DIALECT.now(),
    )
}

fn one_sided(capture: &Capture, rows: &str, image_name: &str) -> String {
    format!(
        "        SELECT {} AS change FROM (SELECT {} FROM {rows}) AS {image_name}",
        one_image(capture, image_name),
        texts_of(capture),
    )
}

/// Pairs old and new rows by primary key, in bytes: a key that changed gives its old and its new row. Without a
/// primary key rows are what they hold, so equal old and new rows cancel each other out.
fn updated(capture: &Capture) -> String {
    let texts = texts_of(capture);
    let Some(first) = capture.table.primary_key.first() else {
        return format!(
            "        SELECT {} AS change FROM (SELECT {texts} FROM old_rows EXCEPT ALL SELECT {texts} FROM new_rows) AS o
        UNION ALL
        SELECT {} FROM (SELECT {texts} FROM new_rows EXCEPT ALL SELECT {texts} FROM old_rows) AS n",
            one_image(capture, "o"),
            one_image(capture, "n"),
        );
    };
    let pairs: Vec<_> = capture
        .table
        .primary_key
        .iter()
        .map(|key| format!("n.c{key} = o.c{key}"))
        .collect();
    format!(
        "        SELECT CASE WHEN n.c{first} IS NULL THEN {old} WHEN o.c{first} IS NULL THEN {new} ELSE {both} END AS change
        FROM (SELECT {texts} FROM old_rows) AS o
        FULL JOIN (SELECT {texts} FROM new_rows) AS n ON {pairs}
        WHERE {differ}",
        old = one_image(capture, "o"),
        new = one_image(capture, "n"),
        both = both_images(capture),
        pairs = pairs.join(" AND "),
        differ = differ(capture),
    )
}

/// Whether the rows `o` and `n` differ in a used column.
pub(super) fn differ(capture: &Capture) -> String {
    let row = |alias: &str| {
        let columns: Vec<_> = capture
            .used()
            .iter()
            .map(|column| format!("{alias}.c{column}"))
            .collect();
        format!("ROW({})", columns.join(", "))
    };
    format!("{} IS DISTINCT FROM {}", row("o"), row("n"))
}

/// All used columns as texts `c<index>` that compare by their bytes.
fn texts_of(capture: &Capture) -> String {
    let text = |column: usize| {
        format!(
            "{}::text {} AS c{column}",
            DIALECT.quote(capture.column(column)),
            DIALECT.bytewise()
        )
    };
    capture
        .used()
        .into_iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn one_image(capture: &Capture, alias: &str) -> String {
    format!("'{{\"{alias}\":' || {} || '}}'", image(capture, alias))
}

pub(super) fn both_images(capture: &Capture) -> String {
    let changed: Vec<_> = capture
        .compared()
        .into_iter()
        .map(|column| {
            let name = literal(capture.column(column));
            format!("CASE WHEN o.c{column} IS DISTINCT FROM n.c{column} THEN {name} END")
        })
        .collect();
    format!(
        "'{{\"o\":' || {} || ',\"n\":' || {} || ',\"c\":' || array_to_json(array_remove(ARRAY[{}]::text[], NULL))::text || '}}'",
        image(capture, "o"),
        image(capture, "n"),
        changed.join(", ")
    )
}

/// From two arrays: `json_build_object` takes no more than 50 members.
fn image(capture: &Capture, alias: &str) -> String {
    let names: Vec<_> = capture
        .carried
        .iter()
        .map(|&column| literal(capture.column(column)))
        .collect();
    let values: Vec<_> = capture
        .carried
        .iter()
        .map(|column| format!("{alias}.c{column}"))
        .collect();
    format!(
        "json_object(ARRAY[{}]::text[], ARRAY[{}]::text[])::text",
        names.join(", "),
        values.join(", ")
    )
}

/// A text constant that means the same whatever `standard_conforming_strings` is in the application's session.
pub(super) fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E{}", DIALECT.literal(&text.replace('\\', "\\\\"))),
        false => DIALECT.literal(text),
    }
}
