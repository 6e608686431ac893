//! Conditions of `where`.

use std::cmp::Ordering;

use super::{
    evaluate::{Cell, Naive, Place},
    form::{comparable, compare},
    rows::{Condition, Operand, Test},
};

impl<'a> Naive<'a> {
    /// Whether all conditions hold for the row here.
    pub(super) fn holds(&self, conditions: &[Condition], place: &Place<'a>) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::Column { column, test } => self.passes(&self.cell(column, place), test, place),
            Condition::Exist(all) => all.iter().all(|rows| !self.beside(rows, place).is_empty()),
            Condition::Miss(all) => all.iter().all(|rows| self.beside(rows, place).is_empty()),
        })
    }

    /// What a null is compared with is never equal, more or less; `not` keeps nulls.
    fn passes(&self, cell: &Cell<'a>, test: &Test, place: &Place<'a>) -> bool {
        match test {
            Test::Equal(operand) => self.equals(cell, operand, place),
            Test::OneOf(operands) => operands.iter().any(|operand| self.equals(cell, operand, place)),
            Test::Not(test) => !self.same(cell, test, place),
            Test::Compare(tests) => tests.iter().all(|(word, operand)| {
                if word == "not" {
                    return !self.same(cell, &Test::Equal(operand.clone()), place);
                }
                let ordering = self.ordering(cell, operand, place);
                ordering.is_some_and(|ordering| match word.as_str() {
                    "gt" => ordering.is_gt(),
                    "gte" => ordering.is_ge(),
                    "lt" => ordering.is_lt(),
                    "lte" => ordering.is_le(),
                    word => panic!("no test {word:?}"),
                })
            }),
        }
    }

    /// As [`Self::passes`], but two nulls are the same.
    fn same(&self, cell: &Cell<'a>, test: &Test, place: &Place<'a>) -> bool {
        let is_null = |operand: &Operand| match operand {
            Operand::Constant(scalar) => scalar.is_null(),
            Operand::Column(name) => self.cell(name, place).text.is_none(),
        };
        let both_null = cell.text.is_none()
            && match test {
                Test::Equal(operand) => is_null(operand),
                Test::OneOf(operands) => operands.iter().any(is_null),
                Test::Not(_) | Test::Compare(_) => false,
            };
        both_null || self.passes(cell, test, place)
    }

    fn equals(&self, cell: &Cell<'a>, operand: &Operand, place: &Place<'a>) -> bool {
        match operand {
            Operand::Constant(scalar) if scalar.is_null() => cell.text.is_none(),
            operand => self.ordering(cell, operand, place) == Some(Ordering::Equal),
        }
    }

    /// `None` where one of them is null.
    fn ordering(&self, cell: &Cell<'a>, operand: &Operand, place: &Place<'a>) -> Option<Ordering> {
        let text = cell.text?;
        match operand {
            Operand::Constant(scalar) => Some(compare(cell.kind, text, &scalar.text)),
            Operand::Column(name) => {
                let right = self.cell(name, place);
                let other = right.text?;
                let same = comparable(cell.kind, text) == comparable(right.kind, other);
                Some(if same {
                    Ordering::Equal
                } else {
                    compare(cell.kind, text, other)
                })
            }
        }
    }
}
