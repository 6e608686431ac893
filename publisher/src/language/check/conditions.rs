//! `where` and `match`: columns, and what they equal.

use crate::document::{ColumnRef, Filter, Join, Operand, SourceId, Test};
use crate::language::syntax::{At, Condition, Right};
use crate::language::yaml::{Scalar, Span};

use super::constant::{comparable, constant};
use super::document::Checker;
use super::names::Place;
use super::tables::is_sqlite;

impl Checker<'_, '_> {
    /// Conditions of a node or a scope; `place` is where the right sides stand.
    pub fn filters(
        &mut self,
        conditions: &[Condition],
        own: SourceId,
        via: Option<SourceId>,
        place: Place,
    ) -> Vec<Filter> {
        let filter = |condition: &Condition| {
            let Condition { column, equals } = condition;
            let column = self.own_column(&column.is, column.at, own, via, "\"where\"");
            self.filter(column, equals, place)
        };
        conditions.iter().filter_map(filter).collect()
    }

    /// The document's own conditions, over the root's row alone.
    pub fn root_filters(&mut self, conditions: &[Condition]) -> Vec<Filter> {
        conditions
            .iter()
            .filter_map(|condition| self.root_filter(condition))
            .collect()
    }

    fn root_filter(&mut self, Condition { column, equals }: &Condition) -> Option<Filter> {
        let left = self.resolve(&column.is, column.at, Place::TOP);
        if left.is_some_and(|left| left.source != 0) {
            return self.beyond_root(column.at);
        }
        let filter = self.filter(left, equals, Place::TOP)?;
        match filter.test {
            Test::Equals(Operand::Column(right)) if right.source != 0 => self.beyond_root(equals.at),
            _ => Some(filter),
        }
    }

    fn beyond_root<T>(&mut self, at: Span) -> Option<T> {
        let message = "the document's own \"where\" reaches only the root's row";
        self.report.fail_with(
            at,
            "unknown_name",
            message,
            "put the condition into the \"where\" of the scope".to_owned(),
        )
    }

    fn filter(&mut self, column: Option<ColumnRef>, equals: &At<Right>, place: Place) -> Option<Filter> {
        let test = match &equals.is {
            Right::Null => Test::IsNull,
            Right::Constant(scalar) => Test::Equals(self.constant(scalar, equals.at, column?)?),
            Right::Name(name) => {
                let right = self.resolve(name, equals.at, place);
                Test::Equals(self.compared(column?, right?, equals.at)?)
            }
        };
        Some(Filter {
            column: column?,
            test,
        })
    }

    /// The joins of a `match`; `place` is the enclosing row's.
    pub fn match_joins(&mut self, conditions: &[Condition], own: SourceId, place: Place) -> Vec<Join> {
        conditions
            .iter()
            .filter_map(|condition| self.match_join(condition, own, place))
            .collect()
    }

    fn match_join(
        &mut self,
        Condition { column, equals }: &Condition,
        own: SourceId,
        place: Place,
    ) -> Option<Join> {
        let left = self.own_column(&column.is, column.at, own, None, "the left side of \"match\"");
        let to = match &equals.is {
            Right::Name(name) => {
                let right = self.resolve(name, equals.at, place);
                self.compared(left?, right?, equals.at)?
            }
            Right::Constant(scalar) => self.constant(scalar, equals.at, left?)?,
            Right::Null => return None,
        };
        Some(Join {
            column: left?.column,
            to,
        })
    }

    fn constant(&mut self, scalar: &Scalar, at: Span, column: ColumnRef) -> Option<Operand> {
        match constant(&scalar.text, &self.table(column.source).columns[column.column]) {
            Ok(constant) => Some(Operand::Constant(constant)),
            Err(message) => self.report.fail(at, "constant", message),
        }
    }

    fn compared(&mut self, left: ColumnRef, right: ColumnRef, at: Span) -> Option<Operand> {
        let (left_table, right_table) = (self.table(left.source), self.table(right.source));
        let (a, b) = (
            &left_table.columns[left.column],
            &right_table.columns[right.column],
        );
        if is_sqlite(&left_table) || comparable(a, b) {
            return Some(Operand::Column(right));
        }
        let message = format!(
            "\"{}\" ({}) cannot be compared with \"{}\" ({})",
            a.name, a.sql_type, b.name, b.sql_type
        );
        self.report.fail(at, "not_comparable", message)
    }
}
