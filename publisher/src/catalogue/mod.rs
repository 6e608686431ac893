//! What the database says of its tables: columns, types, keys and foreign keys. Read from PostgreSQL or SQLite,
//! the same shape for both.

mod describe;
mod facts;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use pubsync_schema::dialect::Dialect;
use sea_orm::{ConnectionTrait, DbErr};

pub use describe::describe;
pub(crate) use facts::texts;

/// Reads the catalogue. Left out are the database's own tables and pubsync's: the schema `own` (SQLite: tables whose
/// names start with `<own>_`).
///
/// # Errors
/// What the database answers to the catalogue queries.
pub async fn introspect(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    own: &str,
) -> Result<Catalogue, DbErr> {
    let facts = match dialect {
        Dialect::Postgres => postgres::read(conn, own).await?,
        Dialect::Sqlite => sqlite::read(conn, own).await?,
    };
    Ok(facts.into_catalogue())
}

/// All tables that documents may name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// By the name that documents use: the bare name in the default schema, else `schema.table`.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// What statements in documents answer; see [`describe`].
    pub statements: BTreeMap<Statement, Result<Described, String>>,
}

/// A SELECT of a document, under a name for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    pub name: String,
    pub sql: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The columns, as a table of this name without keys.
    pub table: Arc<Table>,
    /// Schema (SQLite: none) and name of each table that it reads.
    pub reads: Vec<(Option<String>, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// PostgreSQL schema; `None` on SQLite.
    pub schema: Option<String>,
    /// Exactly as in the catalogue.
    pub name: String,
    pub columns: Vec<Column>,
    /// Indexes into `columns`, in key order; empty where there is none.
    pub primary_key: Vec<usize>,
    /// Column sets of unique indexes without expressions or predicates, the primary key excluded.
    pub unique: Vec<Vec<usize>>,
    pub foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The database's own type name, usable in a cast (`numeric(10,2)`, `"public"."mood"`); SQLite: as declared.
    pub sql_type: String,
    pub kind: ColumnKind,
    pub nullable: bool,
}

/// How a column becomes JSON, and which OpenSearch type it gets. A domain counts as its base type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnKind {
    Boolean,
    Integer,
    Float,
    /// Scale where the type declares one.
    Numeric {
        scale: Option<u32>,
    },
    Text,
    Uuid,
    Enum,
    Date,
    /// Without a zone.
    Timestamp,
    /// With a zone; `Z` in JSON.
    TimestampTz,
    Time,
    Json,
    Bytes,
    Array,
    /// Ranges, intervals and the rest: the database's text.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Indexes into `columns` of the table that holds the key.
    pub columns: Vec<usize>,
    /// Name in [`Catalogue::tables`] of the table that it names.
    pub table: String,
    /// Column names there, in the same order.
    pub references: Vec<String>,
}

impl Catalogue {
    /// The name that documents use for this table.
    #[must_use]
    pub fn name_of(&self, table: &Table) -> Option<&str> {
        let bare = self
            .tables
            .get_key_value(&table.name)
            .filter(|(_, found)| found.schema == table.schema);
        let qualified = || {
            let schema = table.schema.as_deref()?;
            self.tables.get_key_value(&format!("{schema}.{}", table.name))
        };
        bare.or_else(qualified).map(|(name, _)| name.as_str())
    }
}

impl Table {
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
