//! The catalogue of SQLite, from its pragma functions. Types are what the declaration says, by name.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::facts::{Facts, KeyColumn, Reference, texts};
use super::{Column, ColumnKind};

/// The tables that count, as `t`. Virtual tables take no triggers.
const TABLES: &str = "FROM pragma_table_list t WHERE t.schema = 'main' AND t.type = 'table' \
    AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND substr(t.name, 1, length($1)) <> $1";

const COLUMNS: &str = "SELECT t.name, c.name, c.type, CAST(c.\"notnull\" OR c.pk > 0 AS TEXT), CAST(c.pk AS TEXT) \
    FROM tables t JOIN pragma_table_xinfo(t.name) c WHERE c.hidden <> 1 ORDER BY t.name, c.cid";

const UNIQUE: &str = "SELECT t.name, i.name, k.name FROM tables t JOIN pragma_index_list(t.name) i \
    JOIN pragma_index_info(i.name) k WHERE i.\"unique\" AND NOT i.partial AND i.origin <> 'pk' \
    ORDER BY t.name, i.seq DESC, k.seqno";

/// The newest constraint has the lowest id.
const REFERENCES: &str = "SELECT t.name, CAST(f.id AS TEXT), f.\"from\", f.\"table\", f.\"to\" \
    FROM tables t JOIN pragma_foreign_key_list(t.name) f ORDER BY t.name, f.id DESC, f.seq";

pub(super) async fn read(conn: &impl ConnectionTrait, own: &str) -> Result<Facts, DbErr> {
    let with_tables = |sql: &str| format!("WITH tables AS MATERIALIZED (SELECT t.name {TABLES}) {sql}");
    let own = format!("{own}_");
    let mut facts = Facts::default();
    let mut primary: Vec<(u32, KeyColumn)> = Vec::new();
    for row in texts(conn, &with_tables(COLUMNS), vec![own.clone().into()], 5).await? {
        if let [Some(table), Some(name), sql_type, not_null, place] = &row[..] {
            let sql_type = sql_type.clone().unwrap_or_default();
            let column = Column {
                name: name.clone(),
                kind: kind(&sql_type),
                sql_type,
                nullable: not_null.as_deref() != Some("1"),
            };
            facts.columns.push(((None, table.clone()), column));
            let place = place.as_deref().and_then(|place| place.parse().ok()).unwrap_or(0);
            if place > 0 {
                primary.push((place, key(table, "", true, Some(name))));
            }
        }
    }
    primary.sort_by(|(a, x), (b, y)| (&x.table, a).cmp(&(&y.table, b)));
    facts.keys = primary.into_iter().map(|(_, key)| key).collect();
    for row in texts(conn, &with_tables(UNIQUE), vec![own.clone().into()], 3).await? {
        if let [Some(table), Some(index), column] = &row[..] {
            facts.keys.push(key(table, index, false, column.as_ref()));
        }
    }
    for row in texts(conn, &with_tables(REFERENCES), vec![own.into()], 5).await? {
        if let [Some(table), Some(constraint), Some(column), Some(to), to_column] = &row[..] {
            facts.references.push(Reference {
                table: (None, table.clone()),
                constraint: constraint.clone(),
                column: column.clone(),
                to: (None, to.clone()),
                to_column: to_column.clone(),
            });
        }
    }
    Ok(facts)
}

/// Columns of a temporary view, in their order. An expression has the name of its affinity for a type, or none.
pub(super) async fn view(conn: &impl ConnectionTrait, name: &str) -> Result<Vec<Column>, DbErr> {
    let sql = "SELECT name, type FROM pragma_table_xinfo($1) ORDER BY cid";
    let rows = texts(conn, sql, vec![name.into()], 2).await?;
    let column = |mut row: Vec<Option<String>>| {
        let sql_type = row.pop()?.unwrap_or_default();
        Some(Column {
            name: row.pop()??,
            kind: match sql_type.as_str() {
                "NUM" => ColumnKind::Numeric { scale: None },
                declared => kind(declared),
            },
            sql_type,
            nullable: true,
        })
    };
    Ok(rows.into_iter().filter_map(column).collect())
}

/// The tables whose pages the statement's program opens, and those of the indexes that it opens.
pub(super) async fn reads(
    conn: &impl ConnectionTrait,
    sql: &str,
) -> Result<Vec<(Option<String>, String)>, DbErr> {
    let explain = Statement::from_string(conn.get_database_backend(), format!("EXPLAIN {sql}"));
    let mut pages = Vec::new();
    for row in conn.query_all_raw(explain).await? {
        let (opcode, page, database): (String, i64, i64) = (
            row.try_get_by("opcode")?,
            row.try_get_by("p2")?,
            row.try_get_by("p3")?,
        );
        if opcode == "OpenRead" && database == 0 {
            pages.push(page);
        }
    }
    let pages = serde_json::to_string(&pages).unwrap_or_default();
    let sql = "SELECT DISTINCT tbl_name FROM sqlite_schema WHERE rootpage IN (SELECT value FROM json_each($1)) ORDER BY 1";
    let rows = texts(conn, sql, vec![pages.into()], 1).await?;
    Ok(rows
        .into_iter()
        .filter_map(|mut row| Some((None, row.remove(0)?)))
        .collect())
}

fn key(table: &str, index: &str, primary: bool, column: Option<&String>) -> KeyColumn {
    KeyColumn {
        table: (None, table.to_owned()),
        index: index.to_owned(),
        primary,
        column: column.cloned(),
    }
}

/// By the declared type's name, the more special name first (`datetime` before `date`, `point` is no integer to us
/// but one to SQLite).
fn kind(declared: &str) -> ColumnKind {
    let name = declared.to_ascii_uppercase();
    let starts = |prefix: &str| name.starts_with(prefix);
    let holds = |any: &[&str]| any.iter().any(|part| name.contains(part));
    if starts("BOOL") {
        ColumnKind::Boolean
    } else if starts("TIMESTAMP") && holds(&["TZ", "WITH_TIMEZONE", "WITH TIME ZONE"]) {
        ColumnKind::TimestampTz
    } else if starts("TIMESTAMP") || starts("DATETIME") {
        ColumnKind::Timestamp
    } else if starts("DATE") {
        ColumnKind::Date
    } else if starts("TIME") {
        ColumnKind::Time
    } else if starts("JSON") {
        ColumnKind::Json
    } else if starts("UUID") {
        ColumnKind::Uuid
    } else if starts("ENUM") {
        ColumnKind::Enum
    } else if starts("INTERVAL") {
        ColumnKind::Other
    } else if holds(&["INT"]) {
        ColumnKind::Integer
    } else if holds(&["NUMERIC", "DECIMAL", "MONEY"]) {
        ColumnKind::Numeric { scale: scale(&name) }
    } else if holds(&["CHAR", "CLOB", "TEXT"]) {
        ColumnKind::Text
    } else if holds(&["BLOB", "BINARY"]) {
        ColumnKind::Bytes
    } else if holds(&["REAL", "FLOA", "DOUB"]) {
        ColumnKind::Float
    } else {
        ColumnKind::Text
    }
}

/// `NUMERIC(10)` has scale 0.
fn scale(declared: &str) -> Option<u32> {
    let inside = declared.split_once('(')?.1.split_once(')')?.0;
    match inside.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => Some(0),
    }
}
