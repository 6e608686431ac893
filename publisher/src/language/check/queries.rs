//! `queries`: what they answer, which columns tell their rows apart, and how changes touch these.

use std::sync::Arc;

use crate::catalogue::{Catalogue, Described, Statement, Table};
use crate::document::{Depends, DependsPiece, Query};
use crate::language::expression::{Expression, Piece};
use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::{self, At, Declaration, Equality, Link};
use crate::language::yaml::Span;

use super::document::Checker;
use super::tables::{Tables, find_column, is_sqlite};

/// A query of the document; `None`: the problem is noted.
pub type Known = (String, Option<Arc<Query>>, Option<Arc<Table>>);

/// All statements whose columns only the database knows.
pub fn statements(declaration: &Declaration, catalogue: &Catalogue) -> Vec<Statement> {
    let mut found = Vec::new();
    // What is wrong is said when the document is checked.
    let mut report = Report::new("", "");
    for query in &declaration.queries {
        found.extend(query.sql.as_ref().map(|sql| whole(query, &sql.is)));
        for depends in &query.depends {
            let table = Tables(catalogue).table(&depends.table, &mut report);
            found.extend(table.and_then(|table| probe(query, &pieces(depends, &table).ok()?, &table)));
        }
    }
    found
}

fn whole(query: &syntax::Query, sql: &Expression) -> Statement {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Column(name) => name.to_string(),
    };
    Statement {
        name: format!("query {}", query.name.is),
        sql: sql.pieces.iter().map(text).collect(),
    }
}

/// The SELECT of ids with nulls in place of the row's columns.
fn probe(query: &syntax::Query, pieces: &[DependsPiece], table: &Table) -> Option<Statement> {
    let text = |piece: &DependsPiece| match piece {
        DependsPiece::Text(text) => Some(text.clone()),
        DependsPiece::Column(_) if is_sqlite(table) => Some("NULL".to_owned()),
        DependsPiece::Column(column) => Some(format!("NULL::{}", table.columns.get(*column)?.sql_type)),
    };
    Some(Statement {
        name: format!("query {}", query.name.is),
        sql: pieces.iter().map(text).collect::<Option<_>>()?,
    })
}

/// The first name that is no column of the table.
fn pieces<'a>(depends: &'a syntax::Depends, table: &Table) -> Result<Vec<DependsPiece>, &'a Name> {
    let piece = |piece: &'a Piece| match piece {
        Piece::Text(text) => Ok(DependsPiece::Text(text.clone())),
        Piece::Column(name) => {
            let column = name.bare().and_then(|column| find_column(table, column));
            column.map(DependsPiece::Column).ok_or(name)
        }
    };
    depends.sql.is.pieces.iter().map(piece).collect()
}

impl Checker<'_, '_> {
    pub fn queries(&mut self, queries: &[syntax::Query]) {
        for query in queries {
            let table = query.sql.as_ref().and_then(|sql| {
                let described = self.described(&whole(query, &sql.is), sql, "the query")?;
                self.reads_only_what_it_depends_on(query, sql.at, &described);
                Some(described.table)
            });
            let checked = table.as_ref().and_then(|table| self.query(query, table));
            self.queries
                .push((query.name.is.clone(), checked.map(Arc::new), table));
        }
    }

    fn query(&mut self, query: &syntax::Query, table: &Arc<Table>) -> Option<Query> {
        let id: Vec<_> = query
            .id
            .iter()
            .map(|name| match name.is.bare() {
                Some(column) => self.tables.column(table, column, name.at, self.report),
                None => {
                    let message = format!(
                        "\"{}\" cannot stand here: \"id\" takes columns of the query",
                        name.is
                    );
                    self.report.fail(name.at, "unknown_name", message)
                }
            })
            .collect();
        let depends: Vec<_> = query
            .depends
            .iter()
            .map(|depends| self.depends(query, depends))
            .collect();
        if query.depends.is_empty() {
            let message = format!("\"depends\" of the query \"{}\" names no table", query.name.is);
            return self.report.fail(query.name.at, "query", message);
        }
        let sql = &query.sql.as_ref()?.is;
        Some(Query {
            name: query.name.is.clone(),
            sql: whole(query, sql).sql,
            id: id.into_iter().collect::<Option<_>>()?,
            depends: depends.into_iter().collect::<Option<_>>()?,
        })
    }

    fn depends(&mut self, query: &syntax::Query, depends: &syntax::Depends) -> Option<Depends> {
        let table = self.tables.table(&depends.table, self.report)?;
        let pieces = match pieces(depends, &table) {
            Ok(pieces) => pieces,
            Err(name) => {
                let message = format!(
                    "no column \"{name}\" in table \"{}\"",
                    self.tables.name_of(&table)
                );
                let help = "columns in braces are of the row that changed".to_owned();
                return self
                    .report
                    .fail_with(depends.sql.at, "unknown_column", message, help);
            }
        };
        let what = format!("the SELECT of \"{}\"", depends.table.is);
        let described = self.described(&probe(query, &pieces, &table)?, &depends.sql, &what)?;
        let (answered, wanted) = (described.table.columns.len(), query.id.len());
        if answered != wanted {
            let message = format!("{what} answers {answered} columns, and \"id\" has {wanted}");
            return self.report.fail(depends.sql.at, "query", message);
        }
        Some(Depends { table, pieces })
    }

    fn described(&mut self, statement: &Statement, sql: &At<Expression>, what: &str) -> Option<Described> {
        if let Some(mark) = sql.is.parameter.filter(|_| is_sqlite(&self.table(0))) {
            let message = format!("{what} holds no \"{mark}\": a parameter would be null");
            return self.report.fail(sql.at, "sql", message);
        }
        match self.tables.0.statements.get(statement) {
            Some(Ok(described)) => Some(described.clone()),
            Some(Err(reason)) => {
                let message = format!("the database refuses {what}: {reason}");
                self.report.fail(sql.at, "sql", message)
            }
            None => {
                let message = format!("the database was not asked what {what} answers");
                self.report.fail(sql.at, "sql", message)
            }
        }
    }

    /// Changes of another table would not be noticed.
    fn reads_only_what_it_depends_on(&mut self, query: &syntax::Query, at: Span, described: &Described) {
        let named: Vec<Arc<Table>> = query
            .depends
            .iter()
            .filter_map(|depends| self.tables.find(&depends.table.is).cloned())
            .collect();
        for (schema, name) in &described.reads {
            if named
                .iter()
                .any(|table| table.schema == *schema && table.name == *name)
            {
                continue;
            }
            let message = format!("the query reads \"{name}\", which is not in its \"depends\"");
            let help = "its changes would not be noticed: say which ids a row of it touches".to_owned();
            self.report.fail_with::<()>(at, "query", message, help);
        }
    }

    /// What rows are of, and how they may be met.
    pub fn table_or_query(
        &mut self,
        name: &At<Name>,
        is_query: bool,
        link: &Link,
    ) -> Option<(Arc<Table>, Option<Arc<Query>>)> {
        if !is_query {
            return Some((self.tables.table(name, self.report)?, None));
        }
        let (table, query) = self.named_query(name)?;
        let query = query?;
        self.meets_by_id(&query, &table, name, link)?;
        Some((table, Some(query)))
    }

    fn named_query(&mut self, name: &At<Name>) -> Option<(Arc<Table>, Option<Arc<Query>>)> {
        let known = self
            .queries
            .iter()
            .find(|(known, ..)| name.is.bare() == Some(known));
        if let Some((_, query, table)) = known {
            return Some((table.clone()?, query.clone()));
        }
        let help = did_you_mean(
            &name.is.to_string(),
            self.queries.iter().map(|(name, ..)| name.as_str()),
        );
        let message = format!("no query \"{}\"", name.is);
        self.report.fail_with(name.at, "unknown_query", message, help)
    }

    /// A query is met by `match` over its id alone: only that leads from a change back to the rows that it meets.
    fn meets_by_id(&mut self, query: &Query, table: &Table, name: &At<Name>, link: &Link) -> Option<()> {
        let Link::Match(equalities) = link else {
            if matches!(link, Link::Broken) {
                return None;
            }
            let message = format!("the query \"{}\" needs a \"match\" over its id", name.is);
            return self.report.fail(name.at, "query", message);
        };
        let outside = |equality: &&Equality| {
            let column = equality
                .column
                .is
                .bare()
                .and_then(|column| find_column(table, column));
            column.is_some_and(|column| !query.id.contains(&column))
        };
        match equalities.iter().find(outside) {
            Some(Equality { column, .. }) => {
                let message = format!(
                    "\"match\" of a query is over its id, and \"{}\" is not in it",
                    column.is
                );
                let help = "put it into \"where\", or into \"id\" and all of \"depends\"".to_owned();
                self.report.fail_with(column.at, "query", message, help)
            }
            None => Some(()),
        }
    }
}
