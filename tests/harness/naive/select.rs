//! Rows of nodes and scopes: joins by foreign keys, junctions and `match`, then `where`, order and limit.

use std::{cmp::Ordering, rc::Rc};

use super::{
    data::{Row, comparables},
    declaration::Scope,
    evaluate::{Cell, Frame, Naive, Place},
    form::{comparable, order},
    name::Name,
    rows::{From, Hop, Link, Operand, Rows},
    schema::{Foreign, Table},
};

/// Columns of one table and those of another that equal them.
pub(super) type Pairs = (Vec<usize>, Vec<usize>);

/// A row, with the junction rows that led to it.
type Reached<'a> = (&'a Row, Vec<(&'a Table, &'a Row)>);

impl<'a> Naive<'a> {
    /// The rows of a to-many node, or of one with `match` or `via`, in their order.
    pub(super) fn rows(&self, rows: &Rows, place: &Place<'a>) -> Vec<Rc<Frame<'a>>> {
        let table = self.from(&rows.from);
        let reached = match &rows.link {
            Link::Match(pairs) => self.matched(table, pairs, place),
            Link::Junction(hop) => self.through_junction(hop, &place.here, table),
            Link::Hops(hops) => self.through_hops(hops, &place.here, table),
            Link::Inferred => {
                let (held, named) = only(keys(table, place.here.table), "foreign key");
                self.reached(&place.here, &named, table, &held)
            }
        };
        self.chosen(rows, table, reached, place)
    }

    /// The rows of `exists`: without `via` and `match` one foreign key connects the tables, in either direction.
    pub(super) fn beside(&self, rows: &Rows, place: &Place<'a>) -> Vec<Rc<Frame<'a>>> {
        let Link::Inferred = rows.link else {
            return self.rows(rows, place);
        };
        let table = self.from(&rows.from);
        let (near, far) = only(either(place.here.table, table), "foreign key");
        let reached = self.reached(&place.here, &near, table, &far);
        self.chosen(rows, table, reached, place)
    }

    /// The row of a to-one node.
    pub(super) fn one(&self, rows: &Rows, place: &Place<'a>) -> Option<Rc<Frame<'a>>> {
        let Link::Inferred = rows.link else {
            return self.rows(rows, place).into_iter().next();
        };
        let table = self.from(&rows.from);
        let (held, named) = only(keys(place.here.table, table), "foreign key");
        let reached = self.reached(&place.here, &held, table, &named);
        self.chosen(rows, table, reached, place).into_iter().next()
    }

    /// A scope starts from the root or from any scope before it, along a foreign key in either direction; where there is
    /// none it takes every row.
    pub(super) fn scope_candidates(&self, scope: &Scope, place: &Place<'a>) -> Vec<Rc<Frame<'a>>> {
        let table = self.from(&scope.rows.from);
        let starts: Vec<&Rc<Frame<'a>>> = std::iter::once(&place.root)
            .chain(place.scopes.iter().map(|(_, frame)| frame))
            .collect();
        let reached = match &scope.rows.link {
            Link::Junction(hop) => {
                let junction = self.table(&hop.table);
                let starts = starts
                    .into_iter()
                    .filter(|start| !junction_ways(hop, start.table, junction, table).is_empty());
                let start: &Rc<Frame<'a>> = only(starts.collect(), "start");
                self.through_junction(hop, start, table)
            }
            Link::Hops(hops) => {
                let starts = starts
                    .into_iter()
                    .filter(|start| self.hop_ways(hops, start.table, table).is_some());
                let start: &Rc<Frame<'a>> = only(starts.collect(), "start");
                self.through_hops(hops, start, table)
            }
            _ => {
                let mut ways: Vec<(&Rc<Frame<'a>>, Pairs)> = Vec::new();
                for start in starts {
                    ways.extend(either(start.table, table).into_iter().map(|pairs| (start, pairs)));
                }
                if ways.is_empty() {
                    self.data
                        .rows(table)
                        .iter()
                        .map(|row| (row, Vec::new()))
                        .collect()
                } else {
                    let (start, (near, far)) = only(ways, "way");
                    self.reached(start, &near, table, &far)
                }
            }
        };
        self.chosen(&scope.rows, table, reached, place)
    }

    pub(super) fn from(&self, from: &From) -> &'a Table {
        match from {
            From::Table(name) => self.table(name),
            From::Query(name) => self.schema.table(&super::query::table_name(name)),
        }
    }

    /// Rows of `table` whose `far` columns equal the `near` columns of a row.
    fn reached(
        &self,
        start: &Frame<'a>,
        near: &[usize],
        table: &'a Table,
        far: &[usize],
    ) -> Vec<Reached<'a>> {
        let Some(row) = start.row else { return Vec::new() };
        let values = comparables(start.table, row, near);
        let found = self.data.find(table, far, &values);
        found.into_iter().map(|row| (row, Vec::new())).collect()
    }

    /// Bare names on the right, and `parent.x`, are columns of the enclosing row.
    fn matched(&self, table: &'a Table, pairs: &[(Name, Operand)], place: &Place<'a>) -> Vec<Reached<'a>> {
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (left, right) in pairs {
            let column = table.place(left.column());
            columns.push(column);
            values.push(match right {
                Operand::Constant(scalar) => {
                    Some(comparable(&table.columns[column].kind, &scalar.text).into_owned())
                }
                Operand::Column(name) => {
                    let name = match name.path().first().map(String::as_str) {
                        Some("parent") => Name(name.0[1..].to_vec()),
                        _ => name.clone(),
                    };
                    let cell = self.cell(&name, place);
                    cell.text.map(|text| comparable(cell.kind, text).into_owned())
                }
            });
        }
        let found = self.data.find(table, &columns, &values);
        found.into_iter().map(|row| (row, Vec::new())).collect()
    }

    fn through_junction(&self, hop: &Hop, start: &Frame<'a>, table: &'a Table) -> Vec<Reached<'a>> {
        let junction = self.table(&hop.table);
        let (near, far) = only(
            junction_ways(hop, start.table, junction, table),
            "way through the junction",
        );
        let mut reached = Vec::new();
        for (between, _) in self.reached(start, &near.1, junction, &near.0) {
            let values = comparables(junction, between, &far.0);
            let found = self.data.find(table, &far.1, &values);
            reached.extend(found.into_iter().map(|row| (row, vec![(junction, between)])));
        }
        reached
    }

    fn through_hops(&self, hops: &[Hop], start: &Frame<'a>, table: &'a Table) -> Vec<Reached<'a>> {
        let Some(row) = start.row else { return Vec::new() };
        let ways = self
            .hop_ways(hops, start.table, table)
            .expect("a way over the hops");
        let mut reached: Vec<Reached<'a>> = vec![(row, Vec::new())];
        let mut at = start.table;
        for (next, (near, far)) in ways {
            let mut further = Vec::new();
            for (row, vias) in reached {
                let values = comparables(at, row, &near);
                for found in self.data.find(next, &far, &values) {
                    let mut vias = vias.clone();
                    vias.push((next, found));
                    further.push((found, vias));
                }
            }
            (reached, at) = (further, next);
        }
        for (_, vias) in &mut reached {
            vias.pop();
        }
        reached
    }

    /// For each hop and the joined table: the columns before and there; `None` where a step has no or several ways.
    fn hop_ways(&self, hops: &[Hop], start: &'a Table, table: &'a Table) -> Option<Vec<(&'a Table, Pairs)>> {
        let mut ways = Vec::new();
        let mut at = start;
        for (i, hop) in hops.iter().enumerate() {
            let next = self.table(&hop.table);
            let before = i.checked_sub(1).and_then(|i| hops[i].to.as_ref());
            ways.push((next, step(at, before, next, hop.from.as_ref())?));
            at = next;
        }
        let last = hops.last().and_then(|hop| hop.to.as_ref());
        ways.push((table, step(at, last, table, None)?));
        Some(ways)
    }

    /// `where`, then order, then limit.
    fn chosen(
        &self,
        rows: &Rows,
        table: &'a Table,
        reached: Vec<Reached<'a>>,
        place: &Place<'a>,
    ) -> Vec<Rc<Frame<'a>>> {
        let frame = |(row, vias): Reached<'a>| {
            Rc::new(Frame {
                table,
                row: Some(row),
                vias,
                parent: Some(place.here.clone()),
            })
        };
        let mut frames: Vec<Rc<Frame<'a>>> = reached
            .into_iter()
            .map(frame)
            .filter(|frame| self.holds(&rows.conditions, &place.at(frame.clone())))
            .collect();
        self.sort(&mut frames, &rows.order, place);
        frames.truncate(rows.limit.unwrap_or(usize::MAX));
        frames
    }

    /// By what is declared, then by the primary key, then by those of the junctions, the last one first.
    pub(super) fn sort(&self, frames: &mut [Rc<Frame<'a>>], declared: &[(Name, bool)], place: &Place<'a>) {
        if frames.len() < 2 {
            return;
        }
        let cells = |frame: &Rc<Frame<'a>>| -> Vec<Cell<'a>> {
            let here = place.at(frame.clone());
            declared.iter().map(|(name, _)| self.cell(name, &here)).collect()
        };
        let mut sorted: Vec<(Vec<Cell<'a>>, Rc<Frame<'a>>)> =
            frames.iter().map(|frame| (cells(frame), frame.clone())).collect();
        sorted.sort_by(|(left, a), (right, b)| {
            for ((_, descending), (x, y)) in declared.iter().zip(left.iter().zip(right)) {
                let ordering = order(x.kind, x.text, y.text, *descending);
                if ordering.is_ne() {
                    return ordering;
                }
            }
            let own = match (a.row, b.row) {
                (Some(x), Some(y)) => by_key(a.table, x, y),
                _ => Ordering::Equal,
            };
            let vias = a.vias.iter().zip(&b.vias).rev();
            vias.fold(own, |ordering, (x, y)| {
                ordering.then_with(|| by_key(x.0, x.1, y.1))
            })
        });
        for (place, (_, frame)) in frames.iter_mut().zip(sorted) {
            *place = frame;
        }
    }
}

/// By the primary key; by the texts of all columns where there is none.
fn by_key(table: &Table, a: &Row, b: &Row) -> Ordering {
    if table.key.is_empty() {
        let text = |row: &Row| -> Vec<(bool, Option<String>)> {
            row.iter().map(|text| (text.is_none(), text.clone())).collect()
        };
        return text(a).cmp(&text(b));
    }
    table.key.iter().fold(Ordering::Equal, |ordering, &column| {
        let kind = &table.columns[column].kind;
        ordering.then_with(|| order(kind, a[column].as_deref(), b[column].as_deref(), false))
    })
}

/// The foreign keys by which one table names another: the columns that hold it, and those that it names.
pub(super) fn keys(holder: &Table, named: &Table) -> Vec<Pairs> {
    let to = |key: &&Foreign| key.table == named.name;
    let pairs = |key: &Foreign| (key.columns.clone(), key.references.clone());
    holder.foreign.iter().filter(to).map(pairs).collect()
}

/// Foreign keys between two tables, in either direction: columns of the one and of the other.
fn either(a: &Table, b: &Table) -> Vec<Pairs> {
    let forward = keys(a, b).into_iter();
    let backward = keys(b, a).into_iter().map(|(held, named)| (named, held));
    forward.chain(backward).collect()
}

/// Keys of the junction to each side, over different columns.
fn junction_ways(hop: &Hop, start: &Table, junction: &Table, table: &Table) -> Vec<(Pairs, Pairs)> {
    let mut ways = Vec::new();
    for near in keys(junction, start) {
        for far in keys(junction, table) {
            if near.0 != far.0
                && is_over(junction, &near.0, hop.from.as_ref())
                && is_over(junction, &far.0, hop.to.as_ref())
            {
                ways.push((near.clone(), far));
            }
        }
    }
    ways
}

/// The one foreign key between two tables, in either direction, over the columns named on a side.
fn step(at: &Table, here: Option<&Vec<String>>, next: &Table, there: Option<&Vec<String>>) -> Option<Pairs> {
    let mut ways = either(at, next)
        .into_iter()
        .filter(|(near, far)| is_over(at, near, here) && is_over(next, far, there));
    let way = ways.next()?;
    ways.next().is_none().then_some(way)
}

fn is_over(table: &Table, columns: &[usize], names: Option<&Vec<String>>) -> bool {
    names.is_none_or(|names| {
        names.len() == columns.len() && names.iter().all(|name| columns.contains(&table.place(name)))
    })
}

/// # Panics
/// Unless there is exactly one.
fn only<T>(mut all: Vec<T>, what: &str) -> T {
    assert!(all.len() == 1, "{} of: {what}", all.len());
    all.remove(0)
}
