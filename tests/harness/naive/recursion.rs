//! `ancestors`: a row and all above it.

use std::rc::Rc;

use super::{
    data::{Row, comparables},
    evaluate::{Frame, Naive, Place},
    rows::Rows,
    schema::Table,
    value::Value,
    write::Out,
};

impl<'a> Naive<'a> {
    /// Top first.
    pub(super) fn ancestors(
        &self,
        rows: &Rows,
        parent: &[String],
        body: &Value,
        place: &Place<'a>,
    ) -> Result<Out, String> {
        let mut chain: Vec<Rc<Frame<'a>>> = Vec::new();
        let mut next = self.one(rows, place);
        while let Some(frame) = next {
            if chain.iter().any(|known| same(known.row, frame.row)) {
                return Err(format!("a cycle of {}", frame.table.name));
            }
            next = self.above(&frame, parent);
            chain.push(frame);
        }
        let body = |frame: &Rc<Frame<'a>>| self.value(body, &place.at(frame.clone()));
        let items: Result<Vec<Out>, String> = chain.iter().rev().map(body).collect();
        items.map(Out::Array)
    }

    fn above(&self, frame: &Rc<Frame<'a>>, parent: &[String]) -> Option<Rc<Frame<'a>>> {
        let (held, named) = parent_key(frame.table, parent);
        let values = comparables(frame.table, frame.row?, &held);
        let row = self.data.find(frame.table, &named, &values).first().copied()?;
        Some(Rc::new(Frame {
            row: Some(row),
            ..(**frame).clone()
        }))
    }
}

/// The columns that name the row above, and those that they name.
pub(super) fn parent_key(table: &Table, parent: &[String]) -> (Vec<usize>, Vec<usize>) {
    let held: Vec<usize> = parent.iter().map(|name| table.place(name)).collect();
    let key = table
        .foreign
        .iter()
        .find(|key| key.table == table.name && key.columns == held);
    let named = key.map_or_else(|| table.key.clone(), |key| key.references.clone());
    (held, named)
}

pub(super) fn same(a: Option<&Row>, b: Option<&Row>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}
