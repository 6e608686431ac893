//! The demo shop: its tables and documents from `examples/shop`, any number of generated products, and the changes
//! of the demo's story. `demo` fills SQLite with it, `bench` PostgreSQL. Same seed, same rows.

pub mod changes;
mod tables;
#[cfg(test)]
mod tests;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

/// The documents of `examples/shop/documents`: file name and text.
pub const DOCUMENTS: [(&str, &str); 4] = [
    (
        "availability.yaml",
        include_str!("../../../examples/shop/documents/availability.yaml"),
    ),
    (
        "brand.yaml",
        include_str!("../../../examples/shop/documents/brand.yaml"),
    ),
    (
        "category.yaml",
        include_str!("../../../examples/shop/documents/category.yaml"),
    ),
    (
        "product.yaml",
        include_str!("../../../examples/shop/documents/product.yaml"),
    ),
];

/// A generated shop: 3 stores, 2 locales, 40 categories; per product 8 prices, 5 images, about 6 documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shop {
    pub products: u32,
    pub seed: u64,
}

impl Default for Shop {
    /// As `demo` shows it.
    fn default() -> Self {
        Self {
            products: 2_000,
            seed: 1,
        }
    }
}

impl Shop {
    /// Creates the shop's tables. They must not exist; on PostgreSQL they land in the first schema of the search path.
    ///
    /// # Errors
    /// What the database says.
    pub async fn create_tables(db: &DatabaseConnection) -> Result<(), DbErr> {
        db.execute_unprepared(schema(db.get_database_backend()))
            .await
            .map(drop)
    }

    /// Fills the empty tables, in one transaction. Gives the number of rows.
    ///
    /// # Errors
    /// What the database says; then the tables are as before.
    pub async fn fill(&self, db: &DatabaseConnection) -> Result<u64, DbErr> {
        pubsync_examples::fill(db, tables::all(*self), |_, _| {}).await
    }
}

/// The shop's DDL for a database.
#[must_use]
pub fn schema(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => include_str!("../../../examples/shop/schema.sqlite.sql"),
        _ => include_str!("../../../examples/shop/schema.postgres.sql"),
    }
}
