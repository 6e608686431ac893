//! What the body holds, and the sources of its nodes.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{Gather, Join, Order, Role, Source, SourceId, Value};
use crate::language::name::Name;
use crate::language::syntax::{self, At, Link, Member, OrderBy, Rows};
use crate::language::yaml::Span;

use super::document::{Checker, source};
use super::joins::{Direction, Start, keys};
use super::names::Place;

/// Which rows a node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    One,
    /// Also of `count`.
    Many,
}

impl Checker<'_, '_> {
    pub fn members(&mut self, members: &[Member], place: Place) -> Vec<(String, Value)> {
        let mut checked = Vec::new();
        for member in members {
            let outside = std::mem::replace(&mut self.member, member.name.clone());
            let value = self.value(&member.value, place);
            self.member = outside;
            checked.extend(value.map(|value| (member.name.clone(), value)));
        }
        checked
    }

    pub(super) fn value(&mut self, value: &At<syntax::Value>, place: Place) -> Option<Value> {
        match &value.is {
            syntax::Value::Name(name) => self.resolve(name, value.at, place).map(Value::Column),
            syntax::Value::Text(name) => self.resolve(&name.is, name.at, place).map(Value::Text),
            syntax::Value::Constant(json) => Some(Value::Constant(json.clone())),
            syntax::Value::Object(members) => Some(Value::Object(self.members(members, place))),
            syntax::Value::One { rows, body } => {
                let inside = self.rows(rows, Kind::One, place)?;
                let body = Box::new(self.value(body, inside)?);
                Some(Value::One {
                    source: inside.bare,
                    body,
                })
            }
            syntax::Value::Many { rows, body, gather } => self.many(rows, body, gather, place),
            syntax::Value::Count { rows } => self
                .rows(rows, Kind::Many, place)
                .map(|inside| Value::Count { source: inside.bare }),
            syntax::Value::First(values) => Some(Value::First(
                values
                    .iter()
                    .filter_map(|value| self.value(value, place))
                    .collect(),
            )),
            syntax::Value::Aggregate {
                rows,
                aggregate,
                column,
            } => self.aggregate(rows, *aggregate, column, place),
            syntax::Value::List(values) => {
                let values = values.iter().filter_map(|value| self.value(value, place));
                Some(Value::List(values.collect()))
            }
            syntax::Value::Merge(values) => self.merge(values, place),
            syntax::Value::Sql(expression) => self.expression(expression, place),
            syntax::Value::Ancestors { rows, parent, body } => self.ancestors(rows, parent, body, place),
            syntax::Value::Tree {
                rows,
                parent,
                start,
                body,
            } => self.tree(rows, parent, start.as_deref(), body, place),
        }
    }

    fn many(
        &mut self,
        rows: &Rows,
        body: &At<syntax::Value>,
        gather: &syntax::Gather,
        place: Place,
    ) -> Option<Value> {
        let inside = self.rows(rows, Kind::Many, place)?;
        let gather = match gather {
            syntax::Gather::Array { flat, distinct } => Gather::Array {
                flat: *flat,
                distinct: *distinct,
            },
            syntax::Gather::By(by) => Gather::By(
                by.iter()
                    .filter_map(|name| self.own_column(&name.is, name.at, inside.bare, inside.via, "\"by\""))
                    .collect(),
            ),
        };
        let at = body.at;
        let body = self.value(body, inside)?;
        if matches!(gather, Gather::Array { flat: true, .. }) {
            self.flat(&body, at);
        }
        Some(Value::Many {
            source: inside.bare,
            body: Box::new(body),
            gather,
        })
    }

    /// Adds the sources of a node, and gives what names reach in its body.
    pub(super) fn rows(&mut self, rows: &Rows, kind: Kind, outside: Place) -> Option<Place> {
        let (table, query) = self.table_or_query(&rows.table, rows.query, &rows.link)?;
        let parent = outside.bare;
        let direction = match kind {
            Kind::One => Direction::ToOne,
            Kind::Many => Direction::ToMany,
        };
        let nothing = |this: &mut Self| this.no_foreign_key(kind, parent, &table, rows.table.at);
        let (via, joins) = self
            .link(&rows.link, &rows.table, parent, &table, direction, nothing)
            .unwrap_or_default();
        let id = self.sources.len();
        self.sources.push(Source {
            joins,
            query,
            ..source(table, Role::Node { parent, via })
        });
        // The right sides of `match` stand in the enclosing row, where bare names are its columns.
        let around = Place {
            bare: parent,
            via: None,
            parent: Some(parent),
            ..Place::TOP
        };
        if let Link::Match(conditions) = &rows.link {
            self.sources[id].joins = self.match_joins(conditions, id, around);
        }
        self.sources[id].filters = self.filters(
            &rows.conditions,
            id,
            via,
            Place {
                bare: id,
                via,
                ..around
            },
        );
        self.sources[id].order = self.order(&rows.order, id, via);
        self.sources[id].limit = match kind {
            Kind::One if matches!(rows.link, Link::Inferred) => self.one_by_foreign_key(rows),
            Kind::One => Some(1),
            Kind::Many => rows.limit,
        };
        Some(Place {
            bare: id,
            via,
            ..around
        })
    }

    /// A foreign key names at most one row: nothing to limit, nothing to order.
    fn one_by_foreign_key(&mut self, rows: &Rows) -> Option<u64> {
        let order = rows.order.first()?;
        let message = "a foreign key names one row, so \"order\" means nothing here";
        self.report.fail(order.column.at, "wrong_shape", message)
    }

    /// How rows of a table meet the row of `parent`: their junction, and the joins to it or to the row. `nothing`: says that
    /// no foreign key leads there.
    pub fn link(
        &mut self,
        link: &Link,
        written: &At<Name>,
        parent: SourceId,
        table: &Arc<Table>,
        direction: Direction,
        nothing: impl FnOnce(&mut Self) -> Option<(Option<SourceId>, Vec<Join>)>,
    ) -> Option<(Option<SourceId>, Vec<Join>)> {
        let starts = [Start {
            source: parent,
            prefix: String::new(),
        }];
        match link {
            Link::Match(_) | Link::Broken => None,
            Link::Via(via) => self
                .through(via, &starts, table)
                .map(|(via, joins)| (Some(via), joins)),
            Link::Inferred => match self.direct(&starts, table, direction).as_slice() {
                [] => nothing(self),
                [choice] => Some((None, choice.near_joins())),
                several => {
                    let what = format!("\"{}\" can be joined", written.is);
                    self.ambiguous(written.at, &what, several)
                }
            },
        }
    }

    fn no_foreign_key<T>(&mut self, kind: Kind, parent: SourceId, table: &Arc<Table>, at: Span) -> Option<T> {
        let row = self.table(parent);
        let (here, there) = (self.tables.name_of(&row), self.tables.name_of(table));
        let (holder, named, reversed, other) = match kind {
            Kind::One => (here, there, !keys(self.tables, table, &row).is_empty(), "many"),
            Kind::Many => (there, here, !keys(self.tables, &row, table).is_empty(), "one"),
        };
        let by_hand = "match: { column: column of the current row }";
        let help = if reversed {
            format!("one of \"{named}\" names \"{holder}\": use {other}, or write {by_hand}")
        } else {
            format!("write {by_hand}")
        };
        let message = format!("no foreign key of \"{holder}\" names \"{named}\"");
        self.report.fail_with(at, "no_foreign_key", message, help)
    }

    fn order(&mut self, order: &[OrderBy], own: SourceId, via: Option<SourceId>) -> Vec<Order> {
        let order_by = |OrderBy { column, descending }: &OrderBy| {
            let column = self.own_column(&column.is, column.at, own, via, "\"order\"")?;
            Some(Order {
                column,
                descending: *descending,
            })
        };
        order.iter().filter_map(order_by).collect()
    }
}
