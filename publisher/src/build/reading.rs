//! Reads the rows of a build, as far as there is memory for them.

use std::pin::pin;

use futures::TryStreamExt;
use sea_orm::{ConnectionTrait, Statement, StreamTrait};

use super::BuildError;
use super::load::Row;

/// Bytes of rows that one build keeps of several roots. Where they have more, fewer are to be asked for.
const TOGETHER: usize = 32 << 20;

/// Bytes of rows that one build keeps of a single root, whose documents have 4 MiB each at most.
pub(super) const ALONE: usize = 64 << 20;

/// What a text takes beside its bytes, and a row beside its texts, in a process of 64 bits.
const CELL: usize = size_of::<Option<String>>();
const ROW: usize = size_of::<Row>();

/// A connection, and the room that is left for what it gives.
pub(super) struct Reading<'c, C> {
    conn: &'c C,
    roots: usize,
    room: usize,
}

impl<'c, C: ConnectionTrait + StreamTrait> Reading<'c, C> {
    /// `roots`: how many are read together.
    pub fn of(conn: &'c C, roots: usize) -> Self {
        Self {
            conn,
            roots,
            room: if roots > 1 { TOGETHER } else { ALONE },
        }
    }

    /// Runs a SELECT whose `width` columns are all text, and hands on row by row. `select` names it in errors.
    ///
    /// # Errors
    /// What the database answers, or [`BuildError::TooMuch`].
    pub async fn rows(
        &mut self,
        select: impl Fn() -> String,
        sql: &str,
        parameter: String,
        width: usize,
        mut take: impl FnMut(Row),
    ) -> Result<(), BuildError> {
        let backend = ConnectionTrait::get_database_backend(self.conn);
        let statement = Statement::from_sql_and_values(backend, sql, [parameter.into()]);
        let failed = |source| BuildError::Select {
            select: select(),
            source,
        };
        let mut stream = pin!(self.conn.stream_raw(statement).await.map_err(failed)?);
        while let Some(result) = stream.try_next().await.map_err(failed)? {
            let cells = (0..width).map(|i| result.try_get_by_index::<Option<String>>(i));
            let row: Row = cells.collect::<Result<_, _>>().map_err(failed)?;
            let Some(left) = self.room.checked_sub(weight(&row)) else {
                return Err(BuildError::TooMuch {
                    roots: self.roots,
                    fit: self.roots / 2,
                });
            };
            self.room = left;
            take(row);
        }
        Ok(())
    }
}

fn weight(row: &Row) -> usize {
    let cell = |cell: &Option<String>| CELL + cell.as_ref().map_or(0, String::len);
    ROW + row.iter().map(cell).sum::<usize>()
}
