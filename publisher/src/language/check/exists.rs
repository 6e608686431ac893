//! `exists` and `missing`: rows that stand or do not stand beside the row that a condition is about.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{Filter, Join, Role, Source, SourceId};
use crate::language::syntax::{Existing, Link};

use super::document::{Checker, source};
use super::joins::{Direction, Start};
use super::names::Place;

impl Checker<'_, '_> {
    /// Adds the source of the rows. `parent`: whose row the condition is about; `place`: where the condition stands.
    pub fn exists(
        &mut self,
        rows: &Existing,
        wanted: bool,
        parent: SourceId,
        place: Place,
    ) -> Option<Filter> {
        let (table, query) = self.table_or_query(&rows.table, rows.query, &rows.link)?;
        let (via, joins) = self.link_existing(rows, parent, &table).unwrap_or_default();
        let id = self.sources.len();
        self.sources.push(Source {
            joins,
            query,
            ..source(table, Role::Exists { parent, via })
        });
        // As in a node: the right sides of `match` stand in the row outside, those of `where` in the row itself.
        let around = Place {
            bare: parent,
            via: None,
            parent: Some(parent),
            ..place
        };
        if let Link::Match(equalities) = &rows.link {
            self.sources[id].joins = self.match_joins(equalities, id, around);
        }
        let inside = Place {
            bare: id,
            via,
            ..around
        };
        self.sources[id].filters = self.filters(&rows.conditions, id, via, inside);
        Some(Filter::Exists { source: id, wanted })
    }

    fn link_existing(
        &mut self,
        rows: &Existing,
        parent: SourceId,
        table: &Arc<Table>,
    ) -> Option<(Option<SourceId>, Vec<Join>)> {
        let starts = [Start {
            source: parent,
            prefix: String::new(),
        }];
        match &rows.link {
            Link::Match(_) | Link::Broken => None,
            Link::Via(via) => self
                .through(via, &starts, table)
                .map(|(via, joins)| (Some(via), joins)),
            Link::Inferred => match self.direct(&starts, table, Direction::Either).as_slice() {
                [] => {
                    let (here, there) = (
                        self.tables.name_of(&self.table(parent)),
                        self.tables.name_of(table),
                    );
                    let message = format!("no foreign key connects \"{there}\" with \"{here}\"");
                    let help = "write match: { column: column of the row outside }".to_owned();
                    self.report
                        .fail_with(rows.table.at, "no_foreign_key", message, help)
                }
                [choice] => Some((None, choice.near_joins())),
                several => {
                    let what = format!("\"{}\" can be joined", rows.table.is);
                    self.ambiguous(rows.table.at, &what, several)
                }
            },
        }
    }
}
