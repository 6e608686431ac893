//! `where` and `match`: columns, and what they equal.

use crate::document::{ColumnRef, Filter, Join, Operand, SourceId, Test};
use crate::language::syntax::{self, At, Condition, Equality, Right};
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
        let filter = |condition: &Condition| match condition {
            Condition::Column { column, test } => {
                let column = self.own_column(&column.is, column.at, own, via, "\"where\"");
                self.filter(column, test, place)
            }
            Condition::Exists { rows, wanted } => self.exists(rows, *wanted, own, place),
        };
        conditions.iter().filter_map(filter).collect()
    }

    /// The document's own conditions, over the root's row alone.
    pub fn root_filters(&mut self, conditions: &[Condition]) -> Vec<Filter> {
        let filter = |condition: &Condition| match condition {
            Condition::Column { column, test } => {
                let column = self.resolve(&column.is, column.at, Place::ROOT);
                self.filter(column, test, Place::ROOT)
            }
            Condition::Exists { rows, wanted } => self.exists(rows, *wanted, 0, Place::ROOT),
        };
        conditions.iter().filter_map(filter).collect()
    }

    fn filter(&mut self, column: Option<ColumnRef>, test: &At<syntax::Test>, place: Place) -> Option<Filter> {
        let test = match &test.is {
            syntax::Test::Equals(Right::Null) => Test::IsNull,
            syntax::Test::NotNull => Test::IsNotNull,
            syntax::Test::Equals(right) => Test::Equals(self.right(column, right, test.at, place)?),
            syntax::Test::OneOf(rights) => Test::OneOf(self.rights(column, rights, place)?),
            syntax::Test::NoneOf(rights) => Test::NoneOf(self.rights(column, rights, place)?),
            syntax::Test::Compares(comparison, right) => {
                Test::Compares(*comparison, self.right(column, right, test.at, place)?)
            }
        };
        Some(Filter::Column {
            column: column?,
            test,
        })
    }

    fn rights(
        &mut self,
        column: Option<ColumnRef>,
        rights: &[At<Right>],
        place: Place,
    ) -> Option<Vec<Operand>> {
        let operands: Vec<_> = rights
            .iter()
            .map(|right| self.right(column, &right.is, right.at, place))
            .collect();
        operands.into_iter().collect()
    }

    /// What meets a column; names are looked up even where the column is not known.
    fn right(&mut self, column: Option<ColumnRef>, right: &Right, at: Span, place: Place) -> Option<Operand> {
        match right {
            Right::Constant(scalar) => self.constant(scalar, at, column?),
            Right::Name(name) => {
                let right = self.resolve(name, at, place);
                self.compared(column?, right?, at)
            }
            Right::Null => None,
        }
    }

    /// The joins of a `match`; `place` is the enclosing row's.
    pub fn match_joins(&mut self, conditions: &[Equality], own: SourceId, place: Place) -> Vec<Join> {
        conditions
            .iter()
            .filter_map(|condition| self.match_join(condition, own, place))
            .collect()
    }

    fn match_join(
        &mut self,
        Equality { column, equals }: &Equality,
        own: SourceId,
        place: Place,
    ) -> Option<Join> {
        let left = self.table_column(&column.is, column.at, own, "the left side of \"match\"");
        let to = self.right(left, &equals.is, equals.at, place)?;
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
