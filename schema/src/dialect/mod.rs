//! What differs between databases, for own tables. Everything that is SQL text of one database stands below here (and
//! in the `dialect` modules of other crates).

use sea_orm::DbBackend;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    /// Quotes an identifier.
    #[must_use]
    pub fn quote(self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }

    /// Quotes a text constant. For values that are part of DDL; everything else is bound.
    #[must_use]
    pub fn literal(self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    #[must_use]
    pub fn backend(self) -> DbBackend {
        match self {
            Self::Postgres => DbBackend::Postgres,
            Self::Sqlite => DbBackend::Sqlite,
        }
    }

    /// Microseconds since 1970 by the database clock, as a `bigint` expression. Not the transaction's start: the moment.
    /// SQLite counts milliseconds, and by a function that every version has: triggers run in the application's.
    #[must_use]
    pub fn now(self) -> &'static str {
        match self {
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000000)::bigint",
            Self::Sqlite => "(CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER) * 1000)",
        }
    }

    /// A FROM item that turns one bound JSON text, an array of arrays of strings and nulls, into rows of text columns
    /// `c0`, `c1` … under the name `alias`. One parameter carries a whole batch, the same on every database.
    #[must_use]
    pub fn rows(self, parameter: usize, columns: usize, alias: &str) -> String {
        let picks = (0..columns)
            .map(|i| match self {
                Self::Postgres => format!("e->>{i} AS c{i}"),
                Self::Sqlite => format!("e.value->>'$[{i}]' AS c{i}"),
            })
            .collect::<Vec<_>>()
            .join(", ");
        match self {
            Self::Postgres => {
                format!("(SELECT {picks} FROM jsonb_array_elements(${parameter}::jsonb) AS e) AS {alias}")
            }
            Self::Sqlite => format!("(SELECT {picks} FROM json_each(${parameter}) AS e) AS {alias}"),
        }
    }

    /// A SELECT of the rows of a table whose `column` is in one bound list (see `store::texts` and `store::numbers`),
    /// in the order of the list; `lock` ends it for each row. Each value is looked up by the column's index: with a plain
    /// `IN`, PostgreSQL reads a whole table that was empty when the statement was prepared, or has some ten thousand
    /// rows. Values stand once in the list.
    #[must_use]
    pub fn among(self, table: &str, columns: &str, column: &str, parameter: usize, lock: &str) -> String {
        match self {
            Self::Postgres => format!(
                "SELECT m.* FROM unnest(${parameter}) AS l(c0) CROSS JOIN LATERAL \
                 (SELECT {columns} FROM {table} WHERE {column} = l.c0 OFFSET 0{lock}) AS m"
            ),
            Self::Sqlite => {
                format!(
                    "SELECT {columns} FROM {table} WHERE {column} IN (SELECT value FROM json_each(${parameter}))"
                )
            }
        }
    }

    /// A condition that holds for rows whose `column` is in one bound list.
    #[must_use]
    pub fn is_among(self, column: &str, parameter: usize) -> String {
        match self {
            Self::Postgres => format!("{column} = ANY(${parameter})"),
            Self::Sqlite => format!("{column} IN (SELECT value FROM json_each(${parameter}))"),
        }
    }

    /// A condition that holds for rows whose `column` is among what `select` gives, for a `select` that locks or counts:
    /// PostgreSQL is free to run the SELECT of a plain `IN` once for every row, takes other rows each time, and with
    /// statistics of an emptier table that is what it does.
    #[must_use]
    pub fn is_picked(self, column: &str, select: &str) -> String {
        match self {
            Self::Postgres => format!("{column} = ANY(ARRAY({select}))"),
            Self::Sqlite => format!("{column} IN ({select})"),
        }
    }

    /// The function that gives the largest of its arguments.
    #[must_use]
    pub fn greatest(self) -> &'static str {
        match self {
            Self::Postgres => "greatest",
            Self::Sqlite => "max",
        }
    }

    /// Ends a SELECT that locks its rows until commit. SQLite needs nothing: its writer is alone.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// As [`Self::for_update`], leaving out what others hold.
    #[must_use]
    pub fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }

    /// Ends a SELECT that keeps others from changing its rows until commit.
    #[must_use]
    pub fn for_share(self) -> &'static str {
        match self {
            Self::Postgres => " FOR SHARE",
            Self::Sqlite => "",
        }
    }

    /// `COLLATE` that orders and compares text by its bytes.
    #[must_use]
    pub fn bytewise(self) -> &'static str {
        match self {
            Self::Postgres => "COLLATE \"C\"",
            Self::Sqlite => "COLLATE BINARY",
        }
    }
}
