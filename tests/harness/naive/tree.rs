//! `tree`: the rows below a row, each with its own children.

use std::rc::Rc;

use super::{
    data::comparables,
    evaluate::{Frame, Naive, Place},
    recursion::{parent_key, same},
    rows::{Condition, Link, Rows},
    value::Value,
    write::Out,
};

/// A tree as it was declared.
pub(super) struct Tree<'t> {
    pub rows: &'t Rows,
    pub parent: &'t [String],
    pub body: &'t [(String, Value)],
    pub start: Option<&'t [Condition]>,
    /// Under which the children stand.
    pub member: &'t str,
}

impl<'a> Naive<'a> {
    pub(super) fn tree(&self, tree: &Tree<'_>, place: &Place<'a>) -> Result<Out, String> {
        let table = self.from(&tree.rows.from);
        let mut top = match (tree.start, &tree.rows.link) {
            (Some(start), _) => {
                let all = self.data.rows(table).iter();
                let frames = all.map(|row| {
                    Rc::new(Frame {
                        table,
                        row: Some(row),
                        vias: Vec::new(),
                        parent: Some(place.here.clone()),
                    })
                });
                frames
                    .filter(|frame| self.holds(start, &place.at(frame.clone())))
                    .collect()
            }
            (None, Link::Inferred) if std::ptr::eq(table, place.here.table) => {
                self.children(tree, &place.here, place)
            }
            (None, _) => self.rows(tree.rows, place),
        };
        top.retain(|frame| self.holds(&tree.rows.conditions, &place.at(frame.clone())));
        self.sort(&mut top, &tree.rows.order, place);
        self.branches(tree, &top, place, &mut Vec::new())
    }

    fn branches(
        &self,
        tree: &Tree<'_>,
        frames: &[Rc<Frame<'a>>],
        place: &Place<'a>,
        path: &mut Vec<Rc<Frame<'a>>>,
    ) -> Result<Out, String> {
        let mut items = Vec::new();
        for frame in frames {
            if path.iter().any(|above| same(above.row, frame.row))
                || same(frame.row, self.tree_root(tree, place))
            {
                return Err(format!("a cycle of {}", frame.table.name));
            }
            let Out::Object(mut members) = self.object(tree.body, &place.at(frame.clone()))? else {
                unreachable!("the body of a tree is an object")
            };
            path.push(frame.clone());
            let below = self.children(tree, frame, place);
            let children = self.branches(tree, &below, place, path)?;
            path.pop();
            members.push((tree.member.to_owned(), children));
            items.push(Out::Object(members));
        }
        Ok(Out::Array(items))
    }

    /// The current row, where the tree stands below it.
    fn tree_root(&self, tree: &Tree<'_>, place: &Place<'a>) -> Option<&'a super::data::Row> {
        let own = std::ptr::eq(self.from(&tree.rows.from), place.here.table);
        place.here.row.filter(|_| own && tree.start.is_none())
    }

    fn children(&self, tree: &Tree<'_>, above: &Frame<'a>, place: &Place<'a>) -> Vec<Rc<Frame<'a>>> {
        let table = self.from(&tree.rows.from);
        let (held, named) = parent_key(table, tree.parent);
        let Some(row) = above.row else { return Vec::new() };
        let values = comparables(table, row, &named);
        let found = self.data.find(table, &held, &values).into_iter();
        let frames = found.map(|row| {
            Rc::new(Frame {
                table,
                row: Some(row),
                vias: Vec::new(),
                parent: Some(place.here.clone()),
            })
        });
        let mut frames: Vec<_> = frames
            .filter(|frame| self.holds(&tree.rows.conditions, &place.at(frame.clone())))
            .collect();
        self.sort(&mut frames, &tree.rows.order, place);
        frames
    }
}
