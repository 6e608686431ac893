//! The catalogue of PostgreSQL, from `pg_catalog`: three set-based queries.

use sea_orm::{ConnectionTrait, DbErr};

use super::facts::{Facts, KeyColumn, Reference, texts};
use super::{Column, ColumnKind};

/// Which tables count, under the aliases `c` (pg_class) and `n` (pg_namespace). A partition is reached through its
/// parent.
const TABLES: &str = "c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' \
    AND n.nspname <> 'information_schema' AND n.nspname <> $1";

pub(super) async fn read(conn: &impl ConnectionTrait, own: &str) -> Result<Facts, DbErr> {
    let default_schema = texts(conn, "SELECT current_schema()::text", vec![], 1).await?;
    let mut facts = Facts {
        default_schema: default_schema.into_iter().flatten().next().flatten(),
        ..Facts::default()
    };
    for row in texts(conn, &columns(TABLES), vec![own.into()], 8).await? {
        if let ([schema, Some(table)], Some(column)) = (&row[..2], column(&row[2..])) {
            facts.columns.push(((schema.clone(), table.clone()), column));
        }
    }
    for row in texts(conn, &keys(), vec![own.into()], 5).await? {
        if let [schema, Some(table), Some(index), primary, column] = &row[..] {
            facts.keys.push(KeyColumn {
                table: (schema.clone(), table.clone()),
                index: index.clone(),
                primary: primary.as_deref() == Some("true"),
                column: column.clone(),
            });
        }
    }
    for row in texts(conn, &references(), vec![own.into()], 7).await? {
        if let [
            schema,
            Some(table),
            Some(constraint),
            Some(column),
            to_schema,
            Some(to),
            to_column,
        ] = &row[..]
        {
            facts.references.push(Reference {
                table: (schema.clone(), table.clone()),
                constraint: constraint.clone(),
                column: column.clone(),
                to: (to_schema.clone(), to.clone()),
                to_column: to_column.clone(),
            });
        }
    }
    Ok(facts)
}

/// Columns of a temporary view, in their order.
pub(super) async fn view(conn: &impl ConnectionTrait, name: &str) -> Result<Vec<Column>, DbErr> {
    let this = "c.relkind = 'v' AND c.relnamespace = pg_my_temp_schema() AND c.relname = $1";
    let rows = texts(conn, &columns(this), vec![name.into()], 8).await?;
    Ok(rows.iter().filter_map(|row| column(&row[2..])).collect())
}

/// What is no view among all that a temporary view reads, through other views too.
pub(super) async fn reads(
    conn: &impl ConnectionTrait,
    name: &str,
) -> Result<Vec<(Option<String>, String)>, DbErr> {
    let sql = "WITH RECURSIVE read(id) AS ( \
           SELECT c.oid FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND c.relname = $1 \
           UNION \
           SELECT d.refobjid FROM read r JOIN pg_class c ON c.oid = r.id AND c.relkind = 'v' \
           JOIN pg_rewrite w ON w.ev_class = c.oid \
           JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid \
             AND d.refclassid = 'pg_class'::regclass \
         ) SELECT n.nspname::text, c.relname::text FROM read r JOIN pg_class c ON c.oid = r.id AND c.relkind <> 'v' \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> 'pg_catalog' ORDER BY 1, 2";
    let rows = texts(conn, sql, vec![name.into()], 2).await?;
    Ok(rows
        .into_iter()
        .filter_map(|mut row| Some((row.remove(0), row.remove(0)?)))
        .collect())
}

/// From name, type, base type, class, modifier, whether it takes no null.
fn column(row: &[Option<String>]) -> Option<Column> {
    let [
        Some(name),
        Some(sql_type),
        Some(base),
        Some(class),
        modifier,
        not_null,
    ] = row
    else {
        return None;
    };
    Some(Column {
        name: name.clone(),
        sql_type: sql_type.clone(),
        kind: kind(base, class, modifier.as_deref()),
        nullable: not_null.as_deref() != Some("true"),
    })
}

/// A domain counts as the type at its bottom, with the modifier that it was declared with there. `tables`: which.
fn columns(tables: &str) -> String {
    format!(
        "WITH RECURSIVE domain(declared, base, modifier, depth) AS ( \
           SELECT oid, typbasetype, typtypmod, 1 FROM pg_type WHERE typtype = 'd' \
           UNION ALL \
           SELECT d.declared, t.typbasetype, t.typtypmod, d.depth + 1 \
           FROM domain d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd' \
         ), bottom AS (SELECT DISTINCT ON (declared) * FROM domain ORDER BY declared, depth DESC) \
         SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), \
           t.typname::text, t.typtype::text || t.typcategory::text, coalesce(b.modifier, a.atttypmod)::text, \
           a.attnotnull::text \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN bottom b ON b.declared = a.atttypid \
         JOIN pg_type t ON t.oid = coalesce(b.base, a.atttypid) \
         WHERE {tables} ORDER BY n.nspname, c.relname, a.attnum"
    )
}

fn keys() -> String {
    format!(
        "SELECT n.nspname::text, c.relname::text, i.indexrelid::text, i.indisprimary::text, a.attname::text \
         FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0 \
         WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
           AND k.place <= i.indnkeyatts AND {TABLES} \
         ORDER BY n.nspname, c.relname, i.indexrelid, k.place"
    )
}

/// `conparentid`: a key that names a partitioned table has a copy for each partition.
fn references() -> String {
    format!(
        "SELECT n.nspname::text, c.relname::text, o.oid::text, a.attname::text, tn.nspname::text, tc.relname::text, \
           ta.attname::text \
         FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_class tc ON tc.oid = o.confrelid JOIN pg_namespace tn ON tn.oid = tc.relnamespace \
         CROSS JOIN LATERAL unnest(o.conkey, o.confkey) WITH ORDINALITY AS k(here, there, place) \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.here \
         JOIN pg_attribute ta ON ta.attrelid = tc.oid AND ta.attnum = k.there \
         WHERE o.contype = 'f' AND o.conparentid = 0 AND {TABLES} \
         ORDER BY n.nspname, c.relname, o.oid, k.place"
    )
}

/// `class`: `typtype`, then `typcategory`.
fn kind(base: &str, class: &str, modifier: Option<&str>) -> ColumnKind {
    match base {
        "bool" => ColumnKind::Boolean,
        "int2" | "int4" | "int8" | "oid" => ColumnKind::Integer,
        "float4" | "float8" => ColumnKind::Float,
        "numeric" => ColumnKind::Numeric {
            scale: scale(modifier),
        },
        "uuid" => ColumnKind::Uuid,
        "date" => ColumnKind::Date,
        "timestamp" => ColumnKind::Timestamp,
        "timestamptz" => ColumnKind::TimestampTz,
        "time" | "timetz" => ColumnKind::Time,
        "json" | "jsonb" => ColumnKind::Json,
        "bytea" => ColumnKind::Bytes,
        _ if class.starts_with('e') => ColumnKind::Enum,
        _ if class.ends_with('A') => ColumnKind::Array,
        _ if class.ends_with('S') => ColumnKind::Text,
        _ => ColumnKind::Other,
    }
}

/// `numeric(p, s)` is stored as `((p << 16) | (s & 2047)) + 4`; since PostgreSQL 15 the scale may be negative.
fn scale(modifier: Option<&str>) -> Option<u32> {
    let modifier: i32 = modifier?.parse().ok()?;
    let scale = (modifier.checked_sub(4).filter(|packed| *packed >= 0)? & 2047) as u32;
    Some(if scale > 1023 { 0 } else { scale })
}
