//! From changed rows to the roots whose documents they can change.
//!
//! A path starts from the image's values in place of the changed row and joins upward through the current rows of
//! earlier sources to the root; no `where` is applied. Of all edges that broke at once, the one nearest the root is
//! captured itself, so its old value starts above the break. Where a source meets several earlier ones, the path
//! takes the shortest way: it may then find more roots than the change touches, never fewer.

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;

use super::expression::argument;
use super::recursion::closure;
use super::rows::where_clause;
use super::slots::{qualified, rows_of};
use super::{TableUse, dialect};
use crate::catalogue::{Catalogue, Table};
use crate::document::{ColumnRef, Depends, DependsPiece, Document, Operand, Query, SourceId};

/// Roots that changed rows of one table reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReversePath {
    /// `$1`: row images as [`Dialect::rows`], the carried columns in ascending order. `$2`: text, only roots after
    /// this one; null from the start. `$3`: at most this many (`bigint`). Answers distinct ids, ordered bytewise.
    pub sql: String,
    /// Any image reaches every root: a scope that takes every row.
    pub reaches_all: bool,
}

pub(super) fn paths(
    names: &Names,
    document: &Document,
    catalogue: &Catalogue,
    uses: &BTreeMap<String, TableUse>,
) -> BTreeMap<String, ReversePath> {
    let dialect = names.dialect();
    let toward = toward_root(document);
    let mut paths = BTreeMap::new();
    for (name, used) in uses {
        let images = Images {
            names,
            dialect,
            document,
            carried: used.carried.iter().copied().collect(),
        };
        let mut reaches_all = false;
        let mut branches: Vec<String> = Vec::new();
        for (source, start) in starts(document, catalogue, name) {
            let chain = chain(&toward, source);
            reaches_all |= chain.is_none();
            let branch = images.branch(source, start, chain.as_deref());
            if !branches.contains(&branch) {
                branches.push(branch);
            }
        }
        let (after, page) = (dialect::text_parameter(dialect, 2), dialect.bytewise());
        let sql = format!(
            "SELECT DISTINCT root FROM ({}) r WHERE root IS NOT NULL AND ({after} IS NULL OR root > {after} {page}) \
             ORDER BY root LIMIT $3",
            branches.join(" UNION ALL "),
        );
        paths.insert(name.clone(), ReversePath { sql, reaches_all });
    }
    paths
}

/// Source roots, and roots of live mirror rows: a truncated table has none of the first.
pub(super) fn every_root(document: &Document, names: &Names) -> [String; 2] {
    let dialect = names.dialect();
    let (id, bytewise) = (root_id(dialect, document), dialect.bytewise());
    let table = dialect::table(dialect, &document.sources[0].table);
    let mirror = names.mirror(&document.name);
    [
        format!("SELECT {id} {bytewise} AS root FROM {table} s0"),
        format!("SELECT root {bytewise} AS root FROM {mirror} WHERE deleted_at IS NULL"),
    ]
}

pub(super) fn root_id(dialect: Dialect, document: &Document) -> String {
    let text = |&column: &usize| {
        let column = ColumnRef { source: 0, column };
        dialect::text(
            dialect,
            &qualified(dialect, document, column),
            document.column_of(column),
        )
    };
    let texts: Vec<String> = document.root_id.iter().map(text).collect();
    format!("({})", dialect::root(dialect, &texts))
}

/// For each source the earlier one by which the root is reached in the fewest joins; `None` for the root itself and
/// where no join leads there.
fn toward_root(document: &Document) -> Vec<Option<SourceId>> {
    let mut distance: Vec<Option<usize>> = vec![None; document.sources.len()];
    let mut toward = vec![None; document.sources.len()];
    distance[0] = Some(0);
    // Mostly one round: few joins name a source that stands further down.
    loop {
        let mut changed = false;
        for (id, source) in document.sources.iter().enumerate().skip(1) {
            let next = source
                .joins
                .iter()
                .filter_map(|join| match join.to {
                    Operand::Column(column) => distance[column.source].map(|far| (far + 1, column.source)),
                    Operand::Constant(_) => None,
                })
                .min();
            let shorter = next.filter(|(far, _)| distance[id].is_none_or(|known| *far < known));
            if let Some((far, above)) = shorter {
                (distance[id], toward[id]) = (Some(far), Some(above));
                changed = true;
            }
        }
        if !changed {
            return toward;
        }
    }
}

/// Sources above this one, up to the root; `None` where every root is reached.
fn chain(toward: &[Option<SourceId>], source: SourceId) -> Option<Vec<SourceId>> {
    let mut chain = Vec::new();
    let mut at = source;
    while at != 0 {
        at = toward[at]?;
        chain.push(at);
    }
    Some(chain)
}

/// What an image stands for at the start of a path.
#[derive(Clone, Copy)]
enum Start<'a> {
    /// A row of the source.
    Row,
    /// A row that a query depends on; the source is the query.
    Depends(&'a Query, &'a Depends),
}

/// Names of a query's id in the SELECTs that give it.
fn ids(query: &Query) -> Vec<String> {
    (0..query.id.len()).map(|place| format!("i{place}")).collect()
}

/// Sources that rows of a table are of, and queries that depend on them.
fn starts<'a>(document: &'a Document, catalogue: &Catalogue, name: &str) -> Vec<(SourceId, Start<'a>)> {
    let is_named = |table: &Table| catalogue.name_of(table).unwrap_or(&table.name) == name;
    let mut found = Vec::new();
    for (id, source) in document.sources.iter().enumerate() {
        match &source.query {
            None if is_named(&source.table) => found.push((id, Start::Row)),
            None => {}
            Some(query) => {
                let depends = query.depends.iter().filter(|depends| is_named(&depends.table));
                found.extend(depends.map(|depends| (id, Start::Depends(query, depends))));
            }
        }
    }
    found
}

/// Row images of one table as the start of paths.
struct Images<'a> {
    names: &'a Names,
    dialect: Dialect,
    document: &'a Document,
    carried: Vec<usize>,
}

impl Images<'_> {
    fn branch(&self, source: SourceId, start: Start<'_>, chain: Option<&[SourceId]>) -> String {
        let rows = self.dialect.rows(1, self.carried.len(), "q");
        let bytewise = self.dialect.bytewise();
        let recursive = |source: SourceId| self.document.sources[source].recursion.as_ref();
        let mut conditions = match (start, recursive(source)) {
            (Start::Row, None) => self.constants(source, true),
            // They choose the first rows, and the image may be of any; of a query it is no row.
            _ => Vec::new(),
        };
        let Some(chain) = chain else {
            let any = format!("EXISTS (SELECT 1 FROM {rows}{})", where_clause(&conditions));
            let [roots, live] = every_root(self.document, self.names);
            return format!("{roots} WHERE {any} UNION ALL {live} AND {any}");
        };
        if source == 0 {
            return format!("SELECT ({}) {bytewise} AS root FROM {rows}", self.image_root());
        }
        let (mut from, mut image) = (rows, Some(source));
        if let Start::Depends(query, depends) = start
            && self.dialect == Dialect::Postgres
        {
            let ids = ids(query).join(", ");
            from += &format!(" CROSS JOIN LATERAL ({}) d({ids})", self.depends(depends));
        }
        if let Some(recursion) = recursive(source) {
            let seed = |column: ColumnRef| self.place(column.column);
            from = closure(self.dialect, self.document, source, recursion, seed, &from);
            image = None;
            conditions = self.constants(source, false);
        }
        let mut below = source;
        for &above in chain {
            let mut on = match start {
                Start::Depends(query, depends) if below == source => {
                    self.meet_query(source, above, query, depends)
                }
                _ => self.meet(below, above, image),
            };
            if recursive(above).is_none() {
                on.extend(self.constants(above, false));
            }
            from += &format!(
                " {} {} ON {}",
                dialect::join(self.dialect),
                rows_of(self.dialect, self.document, above),
                on.join(" AND ")
            );
            if let Some(recursion) = recursive(above) {
                let seed = |column| {
                    let value = qualified(self.dialect, self.document, column);
                    dialect::text(self.dialect, &value, self.document.column_of(column))
                };
                from += &where_clause(&conditions);
                from = closure(self.dialect, self.document, above, recursion, seed, &from);
                conditions = self.constants(above, false);
            }
            below = above;
        }
        let root = root_id(self.dialect, self.document);
        format!(
            "SELECT {root} {bytewise} AS root FROM {from}{}",
            where_clause(&conditions)
        )
    }

    /// The joins of `below` that name `above`; `image` is the source whose row the image is, as long as it is read.
    fn meet(&self, below: SourceId, above: SourceId, image: Option<SourceId>) -> Vec<String> {
        let joins = self.document.sources[below].joins.iter();
        joins
            .filter_map(|join| match join.to {
                Operand::Column(to) if to.source == above => {
                    let from = ColumnRef {
                        source: below,
                        column: join.column,
                    };
                    let from = if Some(below) == image {
                        self.image(from)
                    } else {
                        qualified(self.dialect, self.document, from)
                    };
                    Some(format!("{} = {from}", qualified(self.dialect, self.document, to)))
                }
                _ => None,
            })
            .collect()
    }

    /// Rows of `above` that meet ids that the image touches. SQLite has no LATERAL.
    fn meet_query(&self, source: SourceId, above: SourceId, query: &Query, depends: &Depends) -> Vec<String> {
        let table = &self.document.sources[source].table;
        let mut met = Vec::new();
        let mut wanted = Vec::new();
        for join in &self.document.sources[source].joins {
            let place = query.id.iter().position(|&id| id == join.column);
            if let (Operand::Column(to), Some(place)) = (&join.to, place)
                && to.source == above
            {
                met.push(qualified(self.dialect, self.document, *to));
                wanted.push((format!("i{place}"), &table.columns[join.column]));
            }
        }
        match self.dialect {
            Dialect::Postgres => met
                .iter()
                .zip(&wanted)
                .map(|(met, (id, column))| format!("{met} = d.{id}::{}", column.sql_type))
                .collect(),
            Dialect::Sqlite => {
                let ids: Vec<String> = ids(query).iter().map(|id| format!("NULL AS {id}")).collect();
                let wanted: Vec<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
                vec![format!(
                    "({}) IN (SELECT {} FROM (SELECT {} WHERE FALSE UNION ALL SELECT * FROM ({})) d)",
                    met.join(", "),
                    wanted.join(", "),
                    ids.join(", "),
                    self.depends(depends)
                )]
            }
        }
    }

    /// The SELECT of ids that the image touches.
    fn depends(&self, depends: &Depends) -> String {
        let piece = |piece: &DependsPiece| match piece {
            DependsPiece::Text(text) => text.clone(),
            DependsPiece::Column(column) => {
                let value = argument(
                    self.dialect,
                    &self.place(*column),
                    &depends.table.columns[*column],
                );
                format!("({value})")
            }
        };
        depends.pieces.iter().map(piece).collect()
    }

    /// A join with a constant tells rows of a polymorphic table apart.
    fn constants(&self, source: SourceId, image: bool) -> Vec<String> {
        let joins = self.document.sources[source].joins.iter();
        joins
            .filter_map(|join| match &join.to {
                Operand::Constant(constant) => {
                    let column = ColumnRef {
                        source,
                        column: join.column,
                    };
                    let meta = self.document.column_of(column);
                    let constant = dialect::constant(self.dialect, &constant.0, meta);
                    Some(match (image, self.dialect) {
                        (false, _) => {
                            format!("{} = {constant}", qualified(self.dialect, self.document, column))
                        }
                        (true, Dialect::Postgres) => format!("{} = {constant}", self.image(column)),
                        // Text against text: no affinity helps here.
                        (true, Dialect::Sqlite) => {
                            format!(
                                "{} = {}",
                                self.place(column.column),
                                dialect::text(self.dialect, &constant, meta)
                            )
                        }
                    })
                }
                Operand::Column(_) => None,
            })
            .collect()
    }

    fn image_root(&self) -> String {
        let text = |&column: &usize| {
            let column = ColumnRef { source: 0, column };
            match self.dialect {
                // An image's text is what `dialect::text` makes; PostgreSQL's may come from another session's settings.
                Dialect::Sqlite => self.place(column.column),
                Dialect::Postgres => {
                    dialect::text(self.dialect, &self.image(column), self.document.column_of(column))
                }
            }
        };
        let texts: Vec<String> = self.document.root_id.iter().map(text).collect();
        dialect::root(self.dialect, &texts)
    }

    fn image(&self, column: ColumnRef) -> String {
        dialect::cast(
            self.dialect,
            &self.place(column.column),
            self.document.column_of(column),
        )
    }

    fn place(&self, column: usize) -> String {
        let place = self.carried.iter().position(|&carried| carried == column);
        format!("q.c{}", place.unwrap_or_default())
    }
}
