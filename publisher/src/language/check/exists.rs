//! `exists` and `missing`: rows that stand or do not stand beside the row that a condition is about.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{Filter, Role, Source, SourceId};
use crate::language::syntax::{Existing, Link};
use crate::language::yaml::Span;

use super::document::{Checker, source};
use super::joins::Direction;
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
        let nothing = |this: &mut Self| this.no_connection(parent, &table, rows.table.at);
        let (via, joins) = self
            .link(
                &rows.link,
                &rows.table,
                parent,
                &table,
                Direction::Either,
                nothing,
            )
            .unwrap_or_default();
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

    fn no_connection<T>(&mut self, parent: SourceId, table: &Arc<Table>, at: Span) -> Option<T> {
        let (here, there) = (
            self.tables.name_of(&self.table(parent)),
            self.tables.name_of(table),
        );
        let message = format!("no foreign key connects \"{there}\" with \"{here}\"");
        let help = "write match: { column: column of the row outside }".to_owned();
        self.report.fail_with(at, "no_foreign_key", message, help)
    }
}
