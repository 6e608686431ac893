//! The example databases: their tables, and rows for any number of products. Same seed, same rows, on both databases.
//!
//! To add a set: a folder under `examples/` with `schema.postgres.sql` and `schema.sqlite.sql`, a module here that gives
//! its rows table by table, and a variant of [`Set`].

mod feeds;
mod fill;
mod projections;
pub mod random;
pub mod rows;
mod storefront;
#[cfg(test)]
mod tests;
pub mod words;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

pub use fill::fill;
use rows::Table;

/// An example with a schema and documents of its own, in the folder `examples/<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What a storefront reads: products by store and language, search pages, prices, menus, pages.
    Storefront,
    /// Feeds for other services, from typed attribute tables with a default scope.
    Feeds,
    /// A catalogue as projections by store, which other systems copy.
    Projections,
}

/// How much, and by which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Products, or offers; everything else follows from it.
    pub products: u32,
    pub seed: u64,
}

impl Set {
    pub const ALL: [Self; 3] = [Self::Storefront, Self::Feeds, Self::Projections];

    /// Its folder under `examples/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Storefront => "storefront",
            Self::Feeds => "feeds",
            Self::Projections => "projections",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Its DDL.
    #[must_use]
    pub fn schema(self, backend: DbBackend) -> &'static str {
        match (self, backend) {
            (Self::Storefront, DbBackend::Sqlite) => include_str!("../../storefront/schema.sqlite.sql"),
            (Self::Storefront, _) => include_str!("../../storefront/schema.postgres.sql"),
            (Self::Feeds, DbBackend::Sqlite) => include_str!("../../feeds/schema.sqlite.sql"),
            (Self::Feeds, _) => include_str!("../../feeds/schema.postgres.sql"),
            (Self::Projections, DbBackend::Sqlite) => include_str!("../../projections/schema.sqlite.sql"),
            (Self::Projections, _) => include_str!("../../projections/schema.postgres.sql"),
        }
    }

    /// The rows of all its tables, in an order that foreign keys allow. Nothing is generated before it is asked for.
    #[must_use]
    pub fn tables(self, size: Size) -> Vec<Table> {
        match self {
            Self::Storefront => storefront::tables(size),
            Self::Feeds => feeds::tables(size),
            Self::Projections => projections::tables(size),
        }
    }

    /// Creates its tables. They must not exist; on PostgreSQL they land in the first schema of the search path.
    ///
    /// # Errors
    /// What the database says.
    pub async fn create_tables(self, db: &DatabaseConnection) -> Result<(), DbErr> {
        db.execute_unprepared(self.schema(db.get_database_backend()))
            .await
            .map(drop)
    }
}
