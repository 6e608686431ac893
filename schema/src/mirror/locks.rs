//! Rows of `root_<document>`: the locks, and what was found when their roots were built last.

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::dialect::Dialect;
use crate::store::{Store, rows_parameter, scalar, texts};

/// A root, and what its last build said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub root: String,
    /// Number of the definition that it was built with.
    pub definition: i64,
    /// The next moment at which time alone changes its documents, in microseconds.
    pub due: Option<i64>,
}

/// Locks the roots that will be rebuilt by this definition, in one order everywhere, making their lock rows where they
/// are missing. Every look at mirror and sources must be a statement begun after this one (law 2).
pub async fn lock_roots(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    definition: i64,
    roots: &[String],
) -> Result<Vec<Locked>, DbErr> {
    let (table, dialect) = (store.names.root(document), store.dialect());
    let mut sorted: Vec<&str> = roots.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let list = || texts(dialect, &sorted);
    let insert = match dialect {
        Dialect::Postgres => format!(
            "INSERT INTO {table} (root, definition) SELECT c0, $2 FROM unnest($1) AS l(c0) ON CONFLICT (root) DO NOTHING"
        ),
        // `WHERE true` keeps SQLite from reading ON as a join condition.
        Dialect::Sqlite => format!(
            "INSERT INTO {table} (root, definition) SELECT value, $2 FROM json_each($1) WHERE true ON CONFLICT (root) DO NOTHING"
        ),
    };
    let made = txn
        .execute_raw(store.sql(insert, [list(), definition.into()]))
        .await?
        .rows_affected();
    // A root that this transaction has made is locked by that.
    if made == sorted.len() as u64 {
        let new = |root: &&str| Locked {
            root: (*root).to_owned(),
            definition,
            due: None,
        };
        return Ok(sorted.iter().map(new).collect());
    }
    let lock = dialect.among(&table, "root, definition, due", "root", 1, dialect.for_update());
    let rows = txn.query_all_raw(store.sql(lock, [list()])).await?;
    rows.iter()
        .map(|row| {
            Ok(Locked {
                root: row.try_get("", "root")?,
                definition: row.try_get("", "definition")?,
                due: row.try_get("", "due")?,
            })
        })
        .collect()
}

/// Notes what a build found of locked roots.
pub async fn note_roots(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    found: &[Locked],
) -> Result<(), DbErr> {
    if found.is_empty() {
        return Ok(());
    }
    let table = store.names.root(document);
    let sql = format!(
        "UPDATE {table} SET definition = CAST(n.c1 AS bigint), due = CAST(n.c2 AS bigint) FROM {rows} WHERE {table}.root = n.c0",
        rows = store.dialect().rows(1, 3, "n"),
    );
    let number = |n: i64| Some(n.to_string());
    let rows: Value = rows_parameter(
        found
            .iter()
            .map(|f| [Some(f.root.clone()), number(f.definition), f.due.and_then(number)]),
    );
    txn.execute_raw(store.sql(sql, [rows])).await?;
    Ok(())
}

/// How long a root whose time has come, and that was queued for that, is left to its publisher: longer than work waits in
/// any healthy backlog, in microseconds.
const PATIENCE: i64 = 600_000_000;

/// Roots whose time has come and that nobody has queued for that, the oldest first, with their moments. They count as
/// queued from now on; their moments stay until they are built. Roots that somebody holds are left for the next time.
pub async fn take_due(
    txn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    limit: u64,
) -> Result<Vec<(String, i64)>, DbErr> {
    let (table, now) = (store.names.root(document), store.dialect().now());
    let due = format!(
        "SELECT root FROM {table} WHERE due <= {now} AND (queued_at IS NULL OR queued_at < due OR queued_at < {now} - {PATIENCE}) \
         ORDER BY due LIMIT {limit}{lock}",
        lock = store.dialect().for_update_skip_locked(),
    );
    let sql = format!(
        "UPDATE {table} SET queued_at = {now} WHERE {} RETURNING root, due",
        store.dialect().is_picked("root", &due)
    );
    let rows = txn.query_all_raw(store.sql(sql, [])).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "root")?, row.try_get("", "due")?)))
        .collect()
}

/// Whether the time of some root had come by this moment and it is not built since.
pub async fn is_overdue(
    conn: &impl ConnectionTrait,
    store: &Store,
    document: &str,
    moment: i64,
) -> Result<bool, DbErr> {
    let sql = format!(
        "SELECT count(*) AS v FROM (SELECT 1 FROM {} WHERE due <= $1 LIMIT 1) d",
        store.names.root(document)
    );
    Ok(scalar(conn, store.sql(sql, [moment.into()])).await? > 0)
}
