//! What is there of pubsync's own tables. Only looks: `plan` must change nothing.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};

use crate::dialect::Dialect;
use crate::migration;
use crate::store::Store;

/// Own tables by their bare names: `outbox`, `mirror_product`. Empty before the first `apply`.
///
/// # Errors
/// Of the database.
pub async fn tables(conn: &impl ConnectionTrait, store: &Store) -> Result<BTreeSet<String>, DbErr> {
    let (sql, value) = match store.dialect() {
        Dialect::Postgres => (
            "SELECT tablename::text AS name FROM pg_catalog.pg_tables WHERE schemaname = $1",
            store.names.name().to_owned(),
        ),
        Dialect::Sqlite => (
            "SELECT substr(name, length($1) + 1) AS name FROM sqlite_master \
             WHERE type = 'table' AND substr(name, 1, length($1)) = $1",
            format!("{}_", store.names.name()),
        ),
    };
    conn.query_all_raw(store.sql(sql, [value.into()]))
        .await?
        .iter()
        .map(|row| row.try_get("", "name"))
        .collect()
}

/// Migrations that [`migration::migrate`] would run, in their order; `tables` is what [`tables`] found.
///
/// # Errors
/// Of the database.
pub async fn pending_migrations(
    conn: &impl ConnectionTrait,
    store: &Store,
    tables: &BTreeSet<String>,
) -> Result<Vec<String>, DbErr> {
    let mut all = migration::versions(&store.names);
    if tables.contains("migration") {
        let sql = format!("SELECT version FROM {}", store.names.table("migration"));
        let rows = conn.query_all_raw(store.sql(sql, [])).await?;
        let done: Vec<String> = rows
            .iter()
            .map(|row| row.try_get("", "version"))
            .collect::<Result<_, _>>()?;
        all.retain(|version| !done.contains(version));
    }
    Ok(all)
}

/// The tables of these documents that [`migration::document_tables`] would make.
#[must_use]
pub fn missing_document_tables<'a>(
    tables: &BTreeSet<String>,
    documents: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let both = |document: &str| [format!("mirror_{document}"), format!("root_{document}")];
    let mut missing: Vec<_> = documents.into_iter().flat_map(both).collect();
    missing.retain(|table| !tables.contains(table));
    missing
}
