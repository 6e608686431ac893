//! The publisher of a YAML file.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use pubsync_schema::dialect::Dialect;
use pubsync_schema::store::rows_parameter;
use pubsync_schema::wire::TableImages;
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use crate::build::{BuildError, Built, build};
use crate::plan::{AllRoots, DocumentPlan, Pages, Position};
use crate::publisher::{Publisher, RootPage, Source, Walked};

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

    async fn page(
        &self,
        source: Source<'_>,
        pages: &Pages,
        after: Option<String>,
        limit: u64,
        position: impl FnOnce(String) -> Position + Send,
    ) -> Result<Walked, DbErr> {
        let limit_value = Value::from(limit as i64);
        let roots = match after {
            None => self.roots(source, &pages.first, vec![limit_value]).await?,
            Some(after) => {
                self.roots(source, &pages.next, vec![limit_value, after.into()])
                    .await?
            }
        };
        let is_last = (roots.len() as u64) < limit;
        let next = roots.last().filter(|_| !is_last).cloned();
        Ok(Walked {
            next: next.map(|root| position(root).to_text()),
            roots,
        })
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

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        let at = from.and_then(Position::parse);
        match (&self.plan.all_roots, at) {
            (AllRoots::Sorted(pages), at) => {
                let after = match at {
                    Some(Position::Sorted(root)) => Some(root),
                    _ => None,
                };
                self.page(source, pages, after, limit, Position::Sorted).await
            }
            (AllRoots::ByKey { mirror, .. }, Some(Position::Mirror(after))) => {
                self.page(source, mirror, after, limit, mirror_position).await
            }
            (
                AllRoots::ByKey {
                    source: pages,
                    mirror,
                },
                at,
            ) => {
                let after = match at {
                    Some(Position::Source(root)) => Some(root),
                    _ => None,
                };
                let mut walked = self.page(source, pages, after, limit, Position::Source).await?;
                if walked.next.is_none() {
                    let rest = limit - walked.roots.len() as u64;
                    let only_there = self.page(source, mirror, None, rest, mirror_position).await?;
                    walked.roots.extend(only_there.roots);
                    walked.next = only_there.next;
                }
                Ok(walked)
            }
        }
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        build(source, &self.plan, roots).await
    }
}

fn after(page: RootPage<'_>) -> Value {
    Value::from(page.after.map(str::to_owned))
}

fn mirror_position(root: String) -> Position {
    Position::Mirror(Some(root))
}
