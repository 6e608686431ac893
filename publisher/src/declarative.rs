//! The publisher of a YAML file.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use pubsync_schema::dialect::Dialect;
use pubsync_schema::store::rows_parameter;
use pubsync_schema::wire::TableImages;
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use crate::build::{BuildError, Built, build};
use crate::plan::DocumentPlan;
use crate::publisher::{Publisher, RootPage, Source};

/// Answers both questions by the SELECTs that the planner made.
pub struct Declarative {
    plan: Arc<DocumentPlan>,
    dialect: Dialect,
}

impl Declarative {
    #[must_use]
    pub fn new(plan: Arc<DocumentPlan>, dialect: Dialect) -> Self {
        Self { plan, dialect }
    }

    async fn roots(&self, source: Source<'_>, sql: &str, values: Vec<Value>) -> Result<Vec<String>, DbErr> {
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        source
            .query_all_raw(statement)
            .await?
            .iter()
            .map(|row| row.try_get_by_index(0))
            .collect()
    }

    /// The rows of a message in the order of columns that the reverse path expects; `None` where the message was
    /// captured for an older definition that did not carry them. Such changes are older than the triggers of this
    /// definition, so the rebuild that `apply` queued after them covers them.
    fn arrange(&self, images: &TableImages) -> Option<Vec<Vec<Option<String>>>> {
        let used = self.plan.uses.get(&images.table)?;
        let places: Vec<usize> = used
            .carried
            .iter()
            .map(|&column| {
                images
                    .columns
                    .iter()
                    .position(|name| *name == used.table.columns[column].name)
            })
            .collect::<Option<_>>()?;
        Some(
            images
                .rows
                .iter()
                .map(|row| places.iter().map(|&p| row.get(p).cloned().flatten()).collect())
                .collect(),
        )
    }
}

#[async_trait]
impl Publisher for Declarative {
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        let mut found = BTreeSet::new();
        for images in changes {
            let (Some(path), Some(rows)) = (self.plan.reverse.get(&images.table), self.arrange(images))
            else {
                continue;
            };
            let values = vec![rows_parameter(rows), after(page), (page.limit as i64).into()];
            found.extend(self.roots(source, &path.sql, values).await?);
        }
        // Each path gave its first roots, so the first of all of them are right.
        Ok(found.into_iter().take(page.limit as usize).collect())
    }

    async fn all(&self, source: Source<'_>, page: RootPage<'_>) -> Result<Vec<String>, DbErr> {
        self.roots(
            source,
            &self.plan.all_roots.sql,
            vec![after(page), (page.limit as i64).into()],
        )
        .await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        build(source, &self.plan, roots).await
    }
}

fn after(page: RootPage<'_>) -> Value {
    Value::from(page.after.map(str::to_owned))
}
