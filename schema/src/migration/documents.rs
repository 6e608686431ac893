//! The tables that each document has for itself.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::dialect::Dialect;
use crate::names::Names;

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
