//! Trigger text for PostgreSQL 14 and later: per table one function and four statement triggers.
//!
//! The function runs in every session of the application, under settings that nobody chose for it. So it is
//! SECURITY DEFINER with a pinned `search_path` (writers need no right on pubsync's schema), pins the settings that
//! the text of carried columns depends on, prefers columns to variables, and names no operator of a user's type:
//! everything is compared as text in `COLLATE "C"`.

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{ConnectionTrait, DbErr};
use xxhash_rust::xxh3::xxh3_64;

use super::{BULK_FROM_CHANGES, CHANGES_PER_ROW, Capture, Script, TableName, fingerprint, texts};
use crate::catalogue::ColumnKind;

const DIALECT: Dialect = Dialect::Postgres;

/// Every writer queues behind a lock that waits; so it waits this long and the caller tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";

const OPERATIONS: [(&str, &str); 4] = [
    ("INSERT", " REFERENCING NEW TABLE AS new_rows"),
    (
        "UPDATE",
        " REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    ),
    ("DELETE", " REFERENCING OLD TABLE AS old_rows"),
    ("TRUNCATE", ""),
];

/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;

const TRACE: &str = "nullif(current_setting('pubsync.traceparent', true), '')";
const LANE: &str = "CASE WHEN current_setting('pubsync.lane', true) = 'bulk' THEN 'bulk' ELSE 'live' END";

pub(super) fn script(names: &Names, capture: &Capture) -> Script {
    let table = TableName::of(&capture.table);
    let function = names.table(&function_name(&table));
    let text = function_text(names, capture, &function);
    let triggers = triggers(names, &table, &function);
    let fingerprint = fingerprint(&format!("{text}\n{triggers}"));
    let comment = format!(
        "COMMENT ON FUNCTION {function}() IS {}",
        DIALECT.literal(&fingerprint)
    );
    let revoke = format!("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC");
    let mut statements = lock(&table, "SHARE ROW EXCLUSIVE");
    statements.extend([text, revoke, triggers, comment]);
    Script {
        fingerprint,
        statements,
    }
}

pub(super) fn removal(names: &Names, table: &TableName) -> Vec<String> {
    // What DROP TRIGGER needs. Taken at once: a reader that goes on to write would deadlock with an upgrade.
    let mut statements = lock(table, "ACCESS EXCLUSIVE");
    let table = table.quoted(DIALECT);
    statements.extend(OPERATIONS.map(|(operation, _)| {
        format!(
            "DROP TRIGGER IF EXISTS {} ON {table}",
            trigger_name(names, operation)
        )
    }));
    statements
}

/// The fingerprint is the function's comment, if all triggers call that function and are enabled always.
pub(super) async fn installed<C: ConnectionTrait>(
    db: &C,
    names: &Names,
) -> Result<BTreeMap<TableName, String>, DbErr> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, \
           CASE WHEN count(*) FILTER (WHERE t.tgenabled = 'A') = {} AND count(DISTINCT t.tgfoid) = 1 \
             THEN coalesce(max(obj_description(t.tgfoid, 'pg_proc')), '') ELSE '' END \
         FROM pg_trigger t \
         JOIN pg_class c ON c.oid = t.tgrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_proc f ON f.oid = t.tgfoid \
         JOIN pg_namespace own ON own.oid = f.pronamespace \
         WHERE own.nspname = $1 AND starts_with(f.proname::text, 'capture_') AND NOT t.tgisinternal \
         GROUP BY 1, 2",
        OPERATIONS.len()
    );
    let rows = texts(db, names, &sql, vec![names.name().into()], 3).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| <[String; 3]>::try_from(row).ok())
        .map(|[schema, table, fingerprint]| {
            (
                TableName {
                    schema: Some(schema),
                    table,
                },
                fingerprint,
            )
        })
        .collect())
}

/// Drops functions that no trigger calls any more: of tables that were dropped, renamed or are not needed.
pub(super) async fn drop_unused_functions<C: ConnectionTrait>(db: &C, names: &Names) -> Result<(), DbErr> {
    let sql = "SELECT f.proname::text FROM pg_proc f JOIN pg_namespace own ON own.oid = f.pronamespace \
               WHERE own.nspname = $1 AND starts_with(f.proname::text, 'capture_') \
                 AND f.prorettype = 'trigger'::regtype \
                 AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = f.oid)";
    for function in texts(db, names, sql, vec![names.name().into()], 1)
        .await?
        .concat()
    {
        db.execute_unprepared(&format!("DROP FUNCTION IF EXISTS {}()", names.table(&function)))
            .await?;
    }
    Ok(())
}

/// A null document or a null list is the caller's mistake and an error; nulls inside the list are left out.
pub(super) fn publish_function(names: &Names) -> String {
    let function = names.table("publish");
    format!(
        "CREATE OR REPLACE FUNCTION {function}(document text, ids text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $publish$
BEGIN
  IF $1 IS NULL OR $2 IS NULL THEN
    RAISE EXCEPTION 'publish: document and ids must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
  SELECT 'publish', '', json_build_object('document', $1, 'ids', json_agg(wanted.id)), {LANE}, {now}, {TRACE}
  FROM (
    SELECT id, (row_number() OVER () - 1) / {CHANGES_PER_ROW} AS pack FROM unnest($2) AS id WHERE id IS NOT NULL
  ) AS wanted
  GROUP BY wanted.pack;
END
$publish$;
GRANT EXECUTE ON FUNCTION {function}(text, text[]) TO PUBLIC",
        outbox = names.table("outbox"),
        now = DIALECT.now(),
    )
}

fn lock(table: &TableName, mode: &str) -> Vec<String> {
    vec![
        LOCK_TIMEOUT.to_owned(),
        format!("LOCK TABLE {} IN {mode} MODE", table.quoted(DIALECT)),
    ]
}

/// `capture_<schema>_<table>`. With a hash where that would be cut off, or could be read in two ways.
fn function_name(table: &TableName) -> String {
    let schema = table.schema.as_deref().unwrap_or_default();
    let name = format!("capture_{schema}_{}", table.table);
    if name.len() <= LONGEST_NAME && !schema.contains('_') {
        return name;
    }
    let hash = format!(
        "_{:016x}",
        xxh3_64(format!("{schema}\0{}", table.table).as_bytes())
    );
    let end = (0..=LONGEST_NAME - hash.len())
        .rev()
        .find(|&end| name.is_char_boundary(end))
        .unwrap_or_default();
    name[..end].to_owned() + &hash
}

fn trigger_name(names: &Names, operation: &str) -> String {
    DIALECT.quote(&format!("{}_capture_{}", names.name(), operation.to_lowercase()))
}

/// ALWAYS: sessions with `session_replication_role = replica` are captured too.
fn triggers(names: &Names, table: &TableName, function: &str) -> String {
    let table = table.quoted(DIALECT);
    OPERATIONS
        .map(|(operation, referencing)| {
            let trigger = trigger_name(names, operation);
            format!(
                "CREATE OR REPLACE TRIGGER {trigger} AFTER {operation} ON {table}{referencing} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {function}();\n\
                 ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger};"
            )
        })
        .join("\n")
}

fn function_text(names: &Names, capture: &Capture, function: &str) -> String {
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
BEGIN
  IF TG_OP = 'DELETE' THEN
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
    let row = |alias: &str| {
        let columns: Vec<_> = capture
            .used()
            .iter()
            .map(|column| format!("{alias}.c{column}"))
            .collect();
        format!("ROW({})", columns.join(", "))
    };
    format!(
        "        SELECT CASE WHEN n.c{first} IS NULL THEN {old} WHEN o.c{first} IS NULL THEN {new} ELSE {both} END AS change
        FROM (SELECT {texts} FROM old_rows) AS o
        FULL JOIN (SELECT {texts} FROM new_rows) AS n ON {pairs}
        WHERE {old_row} IS DISTINCT FROM {new_row}",
        old = one_image(capture, "o"),
        new = one_image(capture, "n"),
        both = both_images(capture),
        pairs = pairs.join(" AND "),
        old_row = row("o"),
        new_row = row("n"),
    )
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

fn one_image(capture: &Capture, alias: &str) -> String {
    format!("'{{\"{alias}\":' || {} || '}}'", image(capture, alias))
}

fn both_images(capture: &Capture) -> String {
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
fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E{}", DIALECT.literal(&text.replace('\\', "\\\\"))),
        false => DIALECT.literal(text),
    }
}
