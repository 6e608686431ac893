//! Runs the SELECTs of a plan for a batch of roots and keeps their rows by instance.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, StreamTrait};

use super::BuildError;
use super::json::write_string;
use super::reading::Reading;
use super::recursion::follow;
use super::standing::{self, Standing};
use crate::document::{Role, SourceId};
use crate::plan::{DocumentPlan, Outer, Step, Walk};

/// Texts of one row, in the order of its SELECT.
pub(super) type Row = Vec<Option<String>>;

/// Values of an instance.
pub(super) type Values = Vec<Option<String>>;

/// Rows of enclosing things, by source. `None`: not bound, or the missing row of an optional scope.
pub(super) type Bound<'a> = Vec<Option<&'a Row>>;

/// Instances that one query takes.
const INSTANCES: usize = 5_000;

/// All rows of one step.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Numbers by outer values, encoded.
    pub instances: HashMap<Vec<u8>, usize>,
    /// By number.
    pub rows: Vec<Vec<Row>>,
}

impl Rows {
    fn find(&self, instance: &[u8]) -> Option<(usize, &[Row])> {
        let number = *self.instances.get(instance)?;
        self.rows.get(number).map(|rows| (number, rows.as_slice()))
    }
}

/// All rows that the documents of a batch of roots need.
pub(super) struct Loaded {
    /// In the order asked for; `None`: no such root, `where` leaves it out, or it is not its time.
    pub roots: Vec<Option<Row>>,
    /// The same roots; says nothing unless the plan asks for it.
    pub standing: Vec<Standing>,
    steps: Vec<Rows>,
    /// Of recursive steps, the rows that a row leads to.
    onward: Vec<Rows>,
}

impl Loaded {
    /// Rows of a step under the rows bound.
    pub fn rows(&self, step: &Step, bound: &Bound<'_>, scratch: &mut Vec<u8>) -> &[Row] {
        scratch.clear();
        if !encode(&step.outer, bound, scratch) {
            return &[];
        }
        self.steps[step.source]
            .find(scratch)
            .map_or(&[], |(_, rows)| rows)
    }

    /// Rows that the bound row of a recursive step leads to, with the number of their instance.
    pub fn onward(&self, step: &Step, bound: &Bound<'_>, scratch: &mut Vec<u8>) -> Option<(usize, &[Row])> {
        scratch.clear();
        let leads = encode(&step.onward.as_ref()?.outer, bound, scratch);
        leads.then(|| self.onward[step.source].find(scratch)).flatten()
    }

    /// Rows of a step under the rows bound, and all to which they lead; each at least once.
    fn reached<'a>(&'a self, step: &Step, bound: &mut Bound<'a>, scratch: &mut Vec<u8>) -> Vec<&'a Row> {
        let mut found: Vec<&Row> = self.rows(step, bound, scratch).iter().collect();
        let (outside, mut met, mut next) = (bound[step.source], HashSet::new(), 0);
        while step.onward.is_some() && next < found.len() {
            bound[step.source] = Some(found[next]);
            next += 1;
            if let Some((number, rows)) = self.onward(step, bound, scratch)
                && met.insert(number)
            {
                found.extend(rows);
            }
        }
        bound[step.source] = outside;
        found
    }
}

/// `ids`: column texts of each root; `None` where a root's id is not one of this document.
pub(super) async fn load(
    conn: &(impl ConnectionTrait + StreamTrait),
    plan: &DocumentPlan,
    ids: &[Option<Vec<String>>],
) -> Result<Loaded, BuildError> {
    let none = || plan.steps.iter().map(|_| Rows::default()).collect();
    let mut reading = Reading::of(conn, ids.len());
    let (roots, standing) = roots(&mut reading, plan, ids).await?;
    let mut loaded = Loaded {
        roots,
        standing,
        steps: none(),
        onward: none(),
    };
    for step in plan.steps.iter().flatten() {
        let mut collected = Collector::collect(plan, step, &loaded);
        let carried = std::mem::take(&mut collected.carried);
        let rows = run(&mut reading, plan, step, collected).await?;
        if let Some(onward) = &step.onward {
            loaded.onward[step.source] = follow(&mut reading, plan, step, onward, &rows, &carried).await?;
        }
        loaded.steps[step.source] = rows;
    }
    Ok(loaded)
}

async fn roots<C: ConnectionTrait + StreamTrait>(
    reading: &mut Reading<'_, C>,
    plan: &DocumentPlan,
    ids: &[Option<Vec<String>>],
) -> Result<(Vec<Option<Row>>, Vec<Standing>), BuildError> {
    let mut found: Vec<Option<Row>> = ids.iter().map(|_| None).collect();
    let mut standing = vec![Standing::default(); ids.len()];
    let more = if plan.root.standing { 4 } else { 0 };
    let mut batch = Batch::default();
    for (number, id) in ids.iter().enumerate() {
        if let Some(id) = id {
            batch.push(number, id.iter().map(|text| Some(text.as_str())));
        }
    }
    let width = plan.root.width + more + 1;
    let mut take = |mut row: Row| {
        let Some(number) = number(&mut row) else { return };
        // Where the database finds 'ABC' for 'abc', the root is the one with the row's own text.
        let id = ids.get(number).and_then(Option::as_ref).map(|id| id.iter());
        let own = plan.root.id.iter().map(|slot| row[slot.place].as_ref());
        if !id.is_some_and(|id| id.map(Some).eq(own)) {
            return;
        }
        if plan.root.standing {
            standing[number] = standing::take(&mut row);
            if !standing[number].shows || standing[number].unreadable {
                return;
            }
        }
        found[number] = Some(row);
    };
    let select = || plan.document.label(0);
    for parameter in batch.queries {
        let parameter = close(parameter);
        reading
            .rows(select, &plan.root.sql, parameter, width, &mut take)
            .await?;
    }
    Ok((found, standing))
}

async fn run<C: ConnectionTrait + StreamTrait>(
    reading: &mut Reading<'_, C>,
    plan: &DocumentPlan,
    step: &Step,
    collected: Collected,
) -> Result<Rows, BuildError> {
    let mut rows = vec![Vec::new(); collected.instances.len()];
    ask(reading, plan, step, &step.sql, collected.batch, &mut rows).await?;
    if !step.distinct.is_empty() {
        rows.iter_mut().for_each(|list| keep_first(list, &step.distinct));
    }
    Ok(Rows {
        instances: collected.instances,
        rows,
    })
}

/// Runs a SELECT of a step and adds its rows to those of their instances.
pub(super) async fn ask<C: ConnectionTrait + StreamTrait>(
    reading: &mut Reading<'_, C>,
    plan: &DocumentPlan,
    step: &Step,
    sql: &str,
    batch: Batch,
    rows: &mut [Vec<Row>],
) -> Result<(), BuildError> {
    let mut take = |mut row: Row| {
        if let Some(list) = number(&mut row).and_then(|number| rows.get_mut(number)) {
            list.push(row);
        }
    };
    let select = || plan.label(step);
    for parameter in batch.queries {
        let parameter = close(parameter);
        reading
            .rows(select, sql, parameter, step.width + 1, &mut take)
            .await?;
    }
    Ok(())
}

/// Takes the instance's number off a row.
fn number(row: &mut Row) -> Option<usize> {
    row.remove(0)?.parse().ok()
}

fn keep_first(rows: &mut Vec<Row>, key: &[usize]) {
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(key.iter().map(|&place| row[place].clone()).collect::<Vec<_>>()));
}

/// Finds the distinct instances of a step among the rows that were read before it.
struct Collector<'a> {
    plan: &'a DocumentPlan,
    step: &'a Step,
    loaded: &'a Loaded,
    found: Collected,
    scratch: Vec<u8>,
}

#[derive(Default)]
struct Collected {
    instances: HashMap<Vec<u8>, usize>,
    batch: Batch,
    /// Of a recursive step, the values of each instance that all its rows need, by number.
    carried: Vec<Values>,
}

impl<'a> Collector<'a> {
    fn collect(plan: &'a DocumentPlan, step: &'a Step, loaded: &'a Loaded) -> Collected {
        let mut this = Self {
            plan,
            step,
            loaded,
            found: Collected::default(),
            scratch: Vec::new(),
        };
        let mut bound: Bound<'a> = vec![None; plan.document.sources.len()];
        let mut roots = loaded.roots.iter().flatten().peekable();
        match &step.walk {
            Walk::Once if roots.peek().is_some() => this.add(&bound),
            Walk::Once => {}
            Walk::Roots => roots.for_each(|root| this.add_with(&mut bound, 0, root)),
            Walk::Rows(source) => {
                let (first, onward) = (&loaded.steps[*source].rows, &loaded.onward[*source].rows);
                first
                    .iter()
                    .chain(onward)
                    .flatten()
                    .for_each(|row| this.add_with(&mut bound, *source, row));
            }
            Walk::Combinations(sources) => roots.for_each(|root| {
                bound[0] = Some(root);
                this.walk(&mut bound, sources);
            }),
        }
        this.found
    }

    fn walk(&mut self, bound: &mut Bound<'a>, sources: &[SourceId]) {
        let Some((&source, rest)) = sources.split_first() else {
            return self.add(bound);
        };
        let Some(step) = &self.plan.steps[source] else {
            return;
        };
        let rows = self.loaded.reached(step, bound, &mut self.scratch);
        for &row in &rows {
            bound[source] = Some(row);
            self.walk(bound, rest);
        }
        bound[source] = None;
        if rows.is_empty() && is_optional(self.plan, source) {
            self.walk(bound, rest);
        }
    }

    fn add_with(&mut self, bound: &mut Bound<'a>, source: SourceId, row: &'a Row) {
        bound[source] = Some(row);
        self.add(bound);
    }

    fn add(&mut self, bound: &Bound<'a>) {
        self.scratch.clear();
        if encode(&self.step.outer, bound, &mut self.scratch)
            && !self.found.instances.contains_key(&self.scratch)
        {
            let number = self.found.instances.len();
            self.found.instances.insert(self.scratch.clone(), number);
            self.found
                .batch
                .push(number, self.step.outer.iter().map(|outer| value(outer, bound)));
            if let Some(onward) = &self.step.onward {
                let carried = onward.carried.iter().map(|&place| &self.step.outer[place]);
                let values = carried.map(|outer| value(outer, bound).map(str::to_owned));
                self.found.carried.push(values.collect());
            }
        }
    }
}

pub(super) fn is_optional(plan: &DocumentPlan, source: SourceId) -> bool {
    matches!(
        plan.document.sources[source].role,
        Role::Scope { optional: true, .. }
    )
}

fn value<'a>(outer: &Outer, bound: &Bound<'a>) -> Option<&'a str> {
    bound[outer.slot.source].and_then(|row| row[outer.slot.place].as_deref())
}

/// Outer values as one unambiguous key; false where a null means that there are no rows.
fn encode(outer: &[Outer], bound: &Bound<'_>, into: &mut Vec<u8>) -> bool {
    encode_values(
        outer.iter().map(|outer| (value(outer, bound), outer.strict)),
        into,
    )
}

/// The same for values, each with whether it is strict.
pub(super) fn encode_values<'v>(
    values: impl Iterator<Item = (Option<&'v str>, bool)>,
    into: &mut Vec<u8>,
) -> bool {
    for (value, strict) in values {
        match value {
            Some(text) => {
                into.extend_from_slice(&text.len().to_le_bytes());
                into.extend_from_slice(text.as_bytes());
            }
            None if strict => return false,
            None => into.extend_from_slice(&usize::MAX.to_le_bytes()),
        }
    }
    true
}

/// Parameters of `Dialect::rows`, each an array still open.
#[derive(Default)]
pub(super) struct Batch {
    queries: Vec<Vec<u8>>,
    rows: usize,
}

impl Batch {
    pub fn push<'a>(&mut self, number: usize, values: impl Iterator<Item = Option<&'a str>>) {
        if self.rows.is_multiple_of(INSTANCES) {
            self.queries.push(Vec::new());
        }
        let Some(query) = self.queries.last_mut() else {
            return;
        };
        query.push(if query.is_empty() { b'[' } else { b',' });
        query.extend_from_slice(format!("[\"{number}\"").as_bytes());
        for value in values {
            query.push(b',');
            match value {
                Some(text) => write_string(query, text),
                None => query.extend_from_slice(b"null"),
            }
        }
        query.push(b']');
        self.rows += 1;
    }
}

fn close(mut query: Vec<u8>) -> String {
    query.push(b']');
    String::from_utf8_lossy(&query).into_owned()
}
