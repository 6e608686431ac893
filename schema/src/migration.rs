//! pubsync's own tables, the same on every database. Migrations are additive; they run under a lock, before workers
//! start.

mod health;

use async_trait::async_trait;
use sea_orm::sea_query::{Alias, ColumnDef, DynIden, IntoIden, Table, TableCreateStatement};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement, TransactionTrait,
};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager};

use crate::dialect::Dialect;
use crate::names::Names;
use crate::removal;
use crate::store::Store;

/// Brings the own tables to this version. Safe to run from several processes at once: PostgreSQL holds an advisory
/// lock meanwhile, SQLite has one writer.
///
/// # Errors
/// Any of the database.
pub async fn migrate(store: &Store, url: &str) -> Result<(), DbErr> {
    let migrator = Migrator {
        names: store.names.clone(),
    };
    match store.dialect() {
        Dialect::Sqlite => migrator.up(&store.write, None).await,
        Dialect::Postgres => {
            let lock = store.write.begin().await?;
            let quoted = store
                .dialect()
                .literal(&format!("pubsync migration {}", store.names.name()));
            lock.execute_unprepared(&format!(
                "SELECT pg_advisory_xact_lock(hashtextextended({quoted}, 0))"
            ))
            .await?;
            let schema = store.dialect().quote(store.names.name());
            lock.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
                .await?;
            // The schema must be seen by the migrating connection; the advisory lock is taken again right away by
            // nobody else, because every migrating process does these steps in this order and both are idempotent.
            lock.commit().await?;
            let own = own_schema(url, store.names.name()).await?;
            let guard = own.begin().await?;
            guard
                .execute_unprepared(&format!(
                    "SELECT pg_advisory_xact_lock(hashtextextended({quoted}, 0))"
                ))
                .await?;
            migrator.up(&guard, None).await?;
            guard.commit().await?;
            own.close().await
        }
    }
}

/// The names of all migrations, in their order.
#[must_use]
pub fn versions(names: &Names) -> Vec<String> {
    let migrator = Migrator { names: names.clone() };
    let all = migrator.migrations();
    all.iter().map(|migration| migration.name().to_owned()).collect()
}

/// A connection whose search path is pubsync's own schema, so that migrations name bare tables.
async fn own_schema(url: &str, schema: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .set_schema_search_path(schema)
        .sqlx_logging(false);
    Database::connect(options).await
}

struct Migrator {
    names: Names,
}

#[async_trait]
impl MigratorTraitSelf for Migrator {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        let names = || self.names.clone();
        vec![
            Box::new(Initial { names: names() }),
            Box::new(Generations { names: names() }),
            Box::new(Removals { names: names() }),
            Box::new(health::Health { names: names() }),
        ]
    }

    fn migration_table_name(&self) -> DynIden {
        bare(&self.names, "migration")
    }
}

/// The name of a table as the migrating connection sees it.
fn bare(names: &Names, table: &str) -> DynIden {
    match names.dialect() {
        Dialect::Postgres => Alias::new(table).into_iden(),
        Dialect::Sqlite => Alias::new(format!("{}_{table}", names.name())).into_iden(),
    }
}

/// Version 1: every table that has no document in its name.
struct Initial {
    names: Names,
}

impl MigrationName for Initial {
    fn name(&self) -> &'static str {
        "m0001_initial"
    }
}

#[async_trait]
impl MigrationTrait for Initial {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            let statement = table.create(&self.names);
            manager.create_table(statement).await?;
        }
        let conn = manager.get_connection();
        for (name, table, rest) in INDEXES {
            let index = self.names.dialect().quote(&match self.names.dialect() {
                Dialect::Postgres => (*name).to_owned(),
                Dialect::Sqlite => format!("{}_{name}", self.names.name()),
            });
            let table = self.names.table(table);
            conn.execute_unprepared(&format!("CREATE INDEX IF NOT EXISTS {index} ON {table} {rest}"))
                .await?;
        }
        if self.names.dialect() == Dialect::Postgres {
            for table in ["outbox", "ledger"] {
                // Queue tables: rows live for milliseconds, so vacuum by count and never by share.
                conn.execute_unprepared(&format!(
                    "ALTER TABLE {} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, \
                     autovacuum_vacuum_cost_delay = 0)",
                    self.names.table(table)
                ))
                .await?;
            }
        }
        Ok(())
    }
}

/// Version 2: the generation of each write set.
struct Generations {
    names: Names,
}

impl MigrationName for Generations {
    fn name(&self) -> &'static str {
        "m0002_generations"
    }
}

#[async_trait]
impl MigrationTrait for Generations {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = self.names.table("target");
        let sql = format!("ALTER TABLE {table} ADD COLUMN generation bigint NOT NULL DEFAULT 0");
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }
}

/// Version 3: documents that are declared no more.
struct Removals {
    names: Names,
}

impl MigrationName for Removals {
    fn name(&self) -> &'static str {
        "m0003_removals"
    }
}

#[async_trait]
impl MigrationTrait for Removals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = removal::create(&self.names);
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }
}

/// Partial indexes over what the hot claims look for.
const INDEXES: &[(&str, &str, &str)] = &[
    (
        "ledger_unclaimed",
        "ledger",
        "(queue, id) WHERE claimed_at IS NULL",
    ),
    (
        "ledger_claimed",
        "ledger",
        "(queue, claimed_at) WHERE claimed_at IS NOT NULL",
    ),
    ("failure_due", "failure", "(next_attempt)"),
];

/// A table of text and bigint columns: all that pubsync needs, and the same everywhere.
struct Shape {
    name: &'static str,
    /// Counted up by the database; else the first column is the key.
    numbered: bool,
    columns: &'static [(&'static str, Type)],
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    TextOrNull,
    Big,
    BigOrNull,
    /// Starts at 0.
    Count,
}

impl Shape {
    fn create(&self, names: &Names) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(bare(names, self.name)).if_not_exists();
        if self.numbered {
            table.col(
                ColumnDef::new(Alias::new("id"))
                    .big_integer()
                    .not_null()
                    .auto_increment()
                    .primary_key(),
            );
        }
        for (i, (name, kind)) in self.columns.iter().enumerate() {
            let mut column = ColumnDef::new(Alias::new(*name));
            match kind {
                Type::Text => column.text().not_null(),
                Type::TextOrNull => column.text(),
                Type::Big => column.big_integer().not_null(),
                Type::BigOrNull => column.big_integer(),
                Type::Count => column.big_integer().not_null().default(0),
            };
            if !self.numbered && i == 0 {
                column.primary_key();
            }
            table.col(&mut column);
        }
        table
    }
}

/// All times are microseconds since 1970 by the database clock.
fn tables() -> [Shape; 9] {
    use Type::{Big, BigOrNull, Count, Text, TextOrNull};
    let table = |name, columns| Shape {
        name,
        numbered: true,
        columns,
    };
    let keyed = |name, columns| Shape {
        name,
        numbered: false,
        columns,
    };
    [
        table(
            "outbox",
            &[
                ("kind", Text),
                ("table_name", Text),
                ("changes", Text),
                ("lane", Text),
                ("at", Big),
                ("trace", TextOrNull),
            ],
        ),
        table(
            "ledger",
            &[
                ("kind", Text),
                ("queue", Text),
                ("document", Text),
                ("target", TextOrNull),
                ("lane", Text),
                ("payload", Text),
                ("items", Big),
                ("definition", Big),
                ("run", BigOrNull),
                ("changed_at", Big),
                ("claimed_at", BigOrNull),
                ("sent_at", BigOrNull),
                ("epoch", TextOrNull),
                ("attempts", Count),
                ("trace", TextOrNull),
            ],
        ),
        keyed(
            "definition",
            &[
                ("document", Text),
                ("number", Big),
                ("fingerprint", Text),
                ("yaml", Text),
                ("shape", Text),
                ("applied_at", Big),
            ],
        ),
        table(
            "definition_history",
            &[
                ("document", Text),
                ("number", Big),
                ("yaml", Text),
                ("applied_at", Big),
            ],
        ),
        keyed("lease", &[("name", Text), ("holder", Text), ("until", Big)]),
        keyed("target", &[("name", Text), ("state", Text), ("prepared_at", Big)]),
        table(
            "failure",
            &[
                ("stage", Text),
                ("document", Text),
                ("root", TextOrNull),
                ("key", TextOrNull),
                ("target", TextOrNull),
                ("class", Text),
                ("error", Text),
                ("payload", TextOrNull),
                ("revision", BigOrNull),
                ("attempts", Count),
                ("first_at", Big),
                ("last_at", Big),
                ("next_attempt", BigOrNull),
                ("changed_at", Big),
            ],
        ),
        table(
            "run",
            &[
                ("kind", Text),
                ("document", Text),
                ("target", TextOrNull),
                ("total", BigOrNull),
                ("done", Count),
                ("failed", Count),
                ("started_at", Big),
                ("finished_at", BigOrNull),
            ],
        ),
        keyed(
            "pause",
            &[
                ("subject", Text),
                ("reason", Text),
                ("since", Big),
                ("until", BigOrNull),
            ],
        ),
    ]
}

/// Makes the two tables of a document where they are missing.
///
/// # Errors
/// Any of the database.
pub async fn document_tables(
    conn: &impl ConnectionTrait,
    names: &Names,
    document: &str,
) -> Result<(), DbErr> {
    let (mirror, root, bytewise) = (
        names.mirror(document),
        names.root(document),
        names.dialect().bytewise(),
    );
    let index = names.dialect().quote(&match names.dialect() {
        Dialect::Postgres => format!("mirror_{document}_root"),
        Dialect::Sqlite => format!("{}_mirror_{document}_root", names.name()),
    });
    conn.execute_unprepared(&format!(
        "CREATE TABLE IF NOT EXISTS {mirror} (key text {bytewise} NOT NULL PRIMARY KEY, root text {bytewise}, kind text NOT NULL, \
         body text NOT NULL, hash text NOT NULL, revision bigint NOT NULL, definition bigint NOT NULL, \
         changed_at bigint NOT NULL, deleted_at bigint)"
    ))
    .await?;
    conn.execute_unprepared(&format!("CREATE INDEX IF NOT EXISTS {index} ON {mirror} (root)"))
        .await?;
    // For the purge, which looks for the oldest tombstones.
    let gone = names.dialect().quote(&match names.dialect() {
        Dialect::Postgres => format!("gone_{document}"),
        Dialect::Sqlite => format!("{}_gone_{document}", names.name()),
    });
    conn.execute_unprepared(&format!(
        "CREATE INDEX IF NOT EXISTS {gone} ON {mirror} (deleted_at) WHERE deleted_at IS NOT NULL"
    ))
    .await?;
    conn.execute_unprepared(&format!(
        "CREATE TABLE IF NOT EXISTS {root} (root text {bytewise} NOT NULL PRIMARY KEY, definition bigint NOT NULL, due bigint, \
         queued_at bigint)"
    ))
    .await?;
    // Tables of the first version have no `queued_at`.
    if !has_column(conn, names, document, "queued_at").await? {
        conn.execute_unprepared(&format!("ALTER TABLE {root} ADD COLUMN queued_at bigint"))
            .await?;
    }
    let due = names.dialect().quote(&match names.dialect() {
        Dialect::Postgres => format!("root_{document}_due"),
        Dialect::Sqlite => format!("{}_root_{document}_due", names.name()),
    });
    conn.execute_unprepared(&format!(
        "CREATE INDEX IF NOT EXISTS {due} ON {root} (due) WHERE due IS NOT NULL"
    ))
    .await?;
    Ok(())
}

/// Of `root_<document>`.
async fn has_column(
    conn: &impl ConnectionTrait,
    names: &Names,
    document: &str,
    column: &str,
) -> Result<bool, DbErr> {
    let dialect = names.dialect();
    let (sql, values) = match dialect {
        Dialect::Postgres => (
            "SELECT 1 FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 AND column_name = $3",
            vec![
                names.name().into(),
                format!("root_{document}").into(),
                column.into(),
            ],
        ),
        Dialect::Sqlite => (
            "SELECT 1 FROM pragma_table_info($1) WHERE name = $2",
            vec![format!("{}_root_{document}", names.name()).into(), column.into()],
        ),
    };
    let statement = Statement::from_sql_and_values(dialect.backend(), sql, values);
    Ok(conn.query_one_raw(statement).await?.is_some())
}
