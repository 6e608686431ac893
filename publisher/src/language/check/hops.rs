//! `via` of several hops: each along one foreign key, whichever side holds it.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{Join, Role, SourceId};
use crate::language::name::Name;
use crate::language::syntax::{At, Hop};
use crate::language::yaml::Span;

use super::document::{Checker, source};
use super::joins::{Start, joins, keys, written_columns};
use super::tables::find_column;

/// One way from a row to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    start: SourceId,
    /// Columns of the row before, and those of the row after that equal them.
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Edge {
    fn joins(&self) -> Vec<Join> {
        let pairs: Vec<_> = self
            .after
            .iter()
            .copied()
            .zip(self.before.iter().copied())
            .collect();
        joins(&pairs, self.start)
    }

    /// Along the same foreign key, the other way.
    fn returns(&self, other: &Self) -> bool {
        self.before == other.after && self.after == other.before
    }
}

/// The columns by which a document says which foreign key is meant, on one side of an edge.
struct Wanted<'a> {
    columns: &'a [At<Name>],
    /// They are looked for in the row after first; else in the row before.
    after_first: bool,
}

/// Where an edge stands in `via`.
struct Place<'a> {
    /// The hop that it leads from, and the one that it leads to.
    from: Option<&'a Hop>,
    to: Option<&'a Hop>,
    at: Span,
}

impl Checker<'_, '_> {
    /// Adds the sources of all hops and gives the id of the last with the joins that lead on to the table.
    pub fn through_hops(
        &mut self,
        hops: &[Hop],
        starts: &[Start],
        table: &Arc<Table>,
    ) -> Option<(SourceId, Vec<Join>)> {
        let tables: Vec<_> = hops
            .iter()
            .map(|hop| self.tables.table(&hop.table, self.report))
            .collect();
        let tables = tables.into_iter().collect::<Option<Vec<_>>>()?;
        let mut starts: Vec<SourceId> = starts.iter().map(|start| start.source).collect();
        let mut last: Option<Edge> = None;
        for (i, hop) in hops.iter().enumerate() {
            let place = Place {
                from: i.checked_sub(1).map(|before| &hops[before]),
                to: Some(hop),
                at: hop.at,
            };
            let edge = self.edge(&starts, &tables[i], &place, last.as_ref())?;
            let mut junction = source(Arc::clone(&tables[i]), Role::Via { parent: edge.start });
            junction.joins = edge.joins();
            self.sources.push(junction);
            starts = vec![self.sources.len() - 1];
            last = Some(edge);
        }
        let place = Place {
            from: hops.last(),
            to: None,
            at: hops.last()?.at,
        };
        let edge = self.edge(&starts, table, &place, last.as_ref())?;
        Some((edge.start, edge.joins()))
    }

    /// The one way that is meant. Straight back along the last foreign key only where nothing else leads there.
    fn edge(
        &mut self,
        starts: &[SourceId],
        table: &Arc<Table>,
        place: &Place<'_>,
        last: Option<&Edge>,
    ) -> Option<Edge> {
        let all: Vec<Edge> = starts
            .iter()
            .flat_map(|start| self.edges(*start, table))
            .collect();
        if all.is_empty() {
            return self.no_edge(starts, table, place.at, "connects");
        }
        let mut edges = self.chosen(all, table, place)?;
        if edges.is_empty() {
            return self.no_edge(starts, table, place.at, "over these columns connects");
        }
        let onward = |edge: &Edge| last.is_none_or(|last| !edge.returns(last));
        if edges.iter().any(onward) {
            edges.retain(onward);
        }
        match edges.as_slice() {
            [edge] => Some(edge.clone()),
            several => self.several_edges(several, table, place),
        }
    }

    fn edges(&self, start: SourceId, table: &Arc<Table>) -> Vec<Edge> {
        let before = &self.sources[start].table;
        let held = keys(self.tables, before, table).into_iter();
        let named = keys(self.tables, table, before).into_iter();
        let all = held.chain(named.map(|(held, named)| (named, held)));
        let edge = |(before, after)| Edge { start, before, after };
        all.map(edge).collect()
    }

    /// Edges over the columns that the document names.
    fn chosen(&mut self, mut edges: Vec<Edge>, table: &Arc<Table>, place: &Place<'_>) -> Option<Vec<Edge>> {
        let to = place
            .from
            .and_then(|hop| hop.to.as_deref())
            .map(|columns| Wanted {
                columns,
                after_first: false,
            });
        let from = place
            .to
            .and_then(|hop| hop.from.as_deref())
            .map(|columns| Wanted {
                columns,
                after_first: true,
            });
        for wanted in [to, from].into_iter().flatten() {
            for column in wanted.columns {
                self.known_column(column, &edges, table)?;
            }
            edges = self.over(edges, table, &wanted);
        }
        Some(edges)
    }

    fn over(&self, edges: Vec<Edge>, table: &Table, wanted: &Wanted<'_>) -> Vec<Edge> {
        let side = |after: bool| {
            let meant = |edge: &&Edge| {
                let (table, columns) = if after {
                    (table, &edge.after)
                } else {
                    (&*self.sources[edge.start].table, &edge.before)
                };
                same_columns(table, wanted.columns, columns)
            };
            edges.iter().filter(meant).cloned().collect::<Vec<_>>()
        };
        let first = side(wanted.after_first);
        if first.is_empty() {
            side(!wanted.after_first)
        } else {
            first
        }
    }

    fn known_column(&mut self, name: &At<Name>, edges: &[Edge], table: &Arc<Table>) -> Option<()> {
        let Some(column) = name.is.bare() else {
            let message = format!(
                "\"{}\" cannot stand here: \"via\" takes columns of its tables",
                name.is
            );
            return self.report.fail(name.at, "unknown_name", message);
        };
        let before = |edge: &Edge| find_column(&self.sources[edge.start].table, column).is_some();
        if find_column(table, column).is_some() || edges.iter().any(before) {
            return Some(());
        }
        self.tables
            .column(table, column, name.at, self.report)
            .map(|_| ())
    }

    fn no_edge<T>(&mut self, starts: &[SourceId], table: &Arc<Table>, at: Span, connects: &str) -> Option<T> {
        // It may have started from a scope that has a problem of its own.
        if starts.len() > 1 && self.has_broken_scope() {
            return None;
        }
        let before: Vec<_> = starts
            .iter()
            .map(|start| format!("\"{}\"", self.tables.name_of(&self.sources[*start].table)))
            .collect();
        let message = format!(
            "no foreign key {connects} {} with \"{}\"",
            before.join(" or "),
            self.tables.name_of(table)
        );
        let help = "each table of \"via\" follows from the one before by a foreign key; other columns take \"match\"".to_owned();
        self.report.fail_with(at, "no_foreign_key", message, help)
    }

    fn several_edges<T>(&mut self, edges: &[Edge], table: &Arc<Table>, place: &Place<'_>) -> Option<T> {
        let (hop, option) = match (place.to, place.from) {
            (Some(hop), _) => (hop, "from"),
            (None, hop) => (hop?, "to"),
        };
        let written: Vec<_> = edges
            .iter()
            .map(|edge| {
                let before = &self.sources[edge.start].table;
                let own = if option == "from" {
                    (table, &edge.after)
                } else {
                    (before, &edge.before)
                };
                let other = if option == "from" {
                    (before, &edge.before)
                } else {
                    (table, &edge.after)
                };
                let alone = edges
                    .iter()
                    .filter(|known| {
                        if option == "from" {
                            known.after == edge.after
                        } else {
                            known.before == edge.before
                        }
                    })
                    .count()
                    == 1;
                let (table, columns) = if alone { own } else { other };
                format!(
                    "{{ table: {}, {option}: {} }}",
                    hop.table.is,
                    written_columns(table, columns)
                )
            })
            .collect();
        let before = self.tables.name_of(&self.sources[edges[0].start].table);
        let message = format!(
            "\"{before}\" leads to \"{}\" in {} ways",
            self.tables.name_of(table),
            edges.len()
        );
        let help = format!("write one of: {}", written.join(" or "));
        self.report.fail_with(place.at, "ambiguous_join", message, help)
    }
}

fn same_columns(table: &Table, names: &[At<Name>], columns: &[usize]) -> bool {
    let found: Option<Vec<usize>> = names
        .iter()
        .map(|name| find_column(table, name.is.bare()?))
        .collect();
    found.is_some_and(|found| {
        found.len() == columns.len() && found.iter().all(|column| columns.contains(column))
    })
}
