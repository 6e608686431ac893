//! The two questions that make a document: which roots does a change concern, and which documents are there for these
//! roots. Both are asked for sets. The declarative publisher (a YAML file) is one
//! implementation; others are written in Rust (docs/publishers.md).

use std::collections::BTreeSet;

use async_trait::async_trait;
use pubsync_schema::dialect::Dialect;
use pubsync_schema::shape::encode_key_value;
use pubsync_schema::store::rows_parameter;
use pubsync_schema::wire::TableImages;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TryGetableMany, Value};

use crate::build::{BuildError, Built, ROOM};
use crate::plan::dialect::text_parameter;

/// A connection that a publisher reads sources through: a snapshot while it builds.
pub type Source<'a> = &'a sea_orm::DatabaseTransaction;

/// A page of roots, in byte order after `after`, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub struct RootPage<'a> {
    pub after: Option<&'a str>,
    pub limit: u64,
}

impl RootPage<'_> {
    /// This page of these roots: each once, in byte order, after `after`, at most `limit`.
    #[must_use]
    pub fn of(self, roots: impl IntoIterator<Item = String>) -> Vec<String> {
        let after = |root: &String| self.after.is_none_or(|after| root.as_str() > after);
        let ordered: BTreeSet<String> = roots.into_iter().filter(after).collect();
        ordered.into_iter().take(self.limit as usize).collect()
    }

    /// This page of what a SELECT gives, which has one column of text called `root` and no parameters. Nulls are left out.
    ///
    /// # Errors
    /// Of the database.
    pub async fn select(self, source: Source<'_>, sql: &str) -> Result<Vec<String>, DbErr> {
        let dialect = dialect_of(source);
        let (bytewise, after) = (dialect.bytewise(), text_parameter(dialect, 1));
        let paged = format!(
            "SELECT DISTINCT root {bytewise} AS root FROM ({sql}) q WHERE root IS NOT NULL \
             AND ({after} IS NULL OR root {bytewise} > {after}) ORDER BY 1 LIMIT $2"
        );
        let values = [
            Value::from(self.after.map(str::to_owned)),
            (self.limit as i64).into(),
        ];
        let rows = source
            .query_all_raw(Statement::from_sql_and_values(dialect.backend(), paged, values))
            .await?;
        rows.iter().map(|row| row.try_get_by_index(0)).collect()
    }
}

/// A page of all roots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked {
    pub roots: Vec<String>,
    /// What the next page is asked for with; `None` after the last one.
    pub next: Option<String>,
}

#[async_trait]
pub trait Publisher: Send + Sync {
    /// Roots whose documents may differ because rows changed as these images say. Too many is right, too few is a
    /// lost update.
    ///
    /// # Errors
    /// Of the database.
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr>;

    /// All roots: of the source, and of live mirror rows, together. At most `limit`, from where the page before said
    /// (`None`: from the start). The order is the publisher's own, as long as the walk finds every root that is there all the
    /// while; roots that come and go meanwhile are announced by their triggers. One that is given twice is built twice. Of a handwritten
    /// publisher only the source's: those of the mirror are added to them.
    ///
    /// # Errors
    /// Of the database.
    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr>;

    /// The documents of these roots as of the source's snapshot. A root that is not there has none: absence means
    /// delete. What exists and cannot be built is a failure, never absent.
    ///
    /// # Errors
    /// Of the database, of a document that no item is to blame for, or [`BuildError::TooMuch`]: then fewer roots are asked
    /// for.
    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError>;
}

/// The documents of as many of these roots, from the first on, as there is memory for: of one at least.
///
/// # Errors
/// See [`Publisher::build`].
pub(crate) async fn build_fitting(
    publisher: &dyn Publisher,
    source: Source<'_>,
    roots: &[String],
) -> Result<Vec<Built>, BuildError> {
    let mut few = roots.len();
    loop {
        match publisher.build(source, &roots[..few]).await {
            Err(BuildError::TooMuch { fit, .. }) if few > 1 => few = fit.clamp(1, few - 1),
            built => return Ok(fitting(built?)),
        }
    }
}

/// A publisher in Rust may have built more than shall be written together.
fn fitting(mut built: Vec<Built>) -> Vec<Built> {
    let mut bytes = 0;
    let fits = |built: &&Built| {
        bytes += built.bytes();
        bytes <= 2 * ROOM
    };
    let count = built.iter().take_while(fits).count();
    built.truncate(count.max(1));
    built
}

/// A page of all roots, in byte order, from a SELECT as [`RootPage::select`] takes it.
///
/// # Errors
/// Of the database.
pub async fn walk(source: Source<'_>, from: Option<&str>, limit: u64, sql: &str) -> Result<Walked, DbErr> {
    let roots = RootPage { after: from, limit }.select(source, sql).await?;
    let next = roots.last().filter(|_| roots.len() as u64 >= limit).cloned();
    Ok(Walked { roots, next })
}

/// The rows of a SELECT over these roots: in `sql`, `{roots}` is a table with one column of text, `root`.
///
/// # Errors
/// Of the database, or where a row does not fit the type.
pub async fn select_of<R: TryGetableMany>(
    source: Source<'_>,
    roots: &[String],
    sql: &str,
) -> Result<Vec<R>, BuildError> {
    let dialect = dialect_of(source);
    let table = format!("(SELECT c0 AS root FROM {})", dialect.rows(1, 1, "n"));
    let failed = |error| BuildError::Select {
        select: sql.to_owned(),
        source: error,
    };
    let parameter = rows_parameter(roots.iter().map(|root| [Some(root.clone())]));
    let statement =
        Statement::from_sql_and_values(dialect.backend(), sql.replace("{roots}", &table), [parameter]);
    let rows = source.query_all_raw(statement).await.map_err(failed)?;
    let read = rows.iter().map(R::try_get_many_by_index);
    read.collect::<Result<_, _>>()
        .map_err(|error| failed(error.into()))
}

/// A value as it stands in a key, so that different values never share one: percent-encoded where it holds what separates
/// in keys.
#[must_use]
pub fn key_value(value: &str) -> String {
    let mut encoded = String::new();
    encode_key_value(value, None, &mut encoded);
    encoded
}

fn dialect_of(source: Source<'_>) -> Dialect {
    match source.get_database_backend() {
        DbBackend::Sqlite => Dialect::Sqlite,
        _ => Dialect::Postgres,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::BuiltDocument;

    #[test]
    fn what_is_written_together_fits_and_is_one_at_least() {
        let built = |bytes: usize| {
            let document = BuiltDocument::new("k".to_owned(), "x".repeat(bytes));
            Built::new("1", vec![Ok(document)])
        };
        for (sizes, fit) in [
            (vec![], 0),
            (vec![3 * ROOM], 1),
            (vec![ROOM, ROOM, 1], 2),
            (vec![1, 2 * ROOM, 1], 1),
            (vec![1, 1, 1], 3),
        ] {
            let fitted = fitting(sizes.iter().map(|&bytes| built(bytes)).collect());
            assert_eq!(fitted.len(), fit, "{sizes:?}");
        }
    }
}
