//! Version 3: what is known of each target itself, and what was applied to it between two marks.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::names::Names;

/// Its tables.
pub struct Health {
    pub names: Names,
}

impl MigrationName for Health {
    fn name(&self) -> &'static str {
        "m0003_health"
    }
}

#[async_trait]
impl MigrationTrait for Health {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        for (table, columns) in [
            (
                "health",
                "target text NOT NULL PRIMARY KEY, opened bigint NOT NULL, low bigint, state text NOT NULL, \
                 pending text NOT NULL, looked_at bigint, error text, lost_at bigint, loss text",
            ),
            (
                "applied",
                "target text NOT NULL, opened bigint NOT NULL, low bigint NOT NULL, PRIMARY KEY (target, opened)",
            ),
        ] {
            let table = self.names.table(table);
            conn.execute_unprepared(&format!("CREATE TABLE {table} ({columns})"))
                .await?;
        }
        Ok(())
    }
}
