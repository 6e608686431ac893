//! `ancestors` and `tree`: reads the rows that rows lead to, level by level, and writes them.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, StreamTrait};

use super::BuildError;
use super::assemble::{Assembly, Fault, fits};
use super::load::{Batch, Row, Rows, Values, ask, encode_values};
use super::reading::Reading;
use crate::document::SourceId;
use crate::plan::{DocumentPlan, Onward, Step, Template};

/// All rows to which the first rows of a step lead. What leads to one instance is asked once, so a cycle ends: one query
/// (of up to 5,000 instances) for each level. `carried`: values of each instance of `first`, as [`Onward::carried`] says.
pub(super) async fn follow<C: ConnectionTrait + StreamTrait>(
    reading: &mut Reading<'_, C>,
    plan: &DocumentPlan,
    step: &Step,
    onward: &Onward,
    first: &Rows,
    carried: &[Values],
) -> Result<Rows, BuildError> {
    let mut found = Rows::default();
    let mut instances: Vec<Values> = Vec::new();
    let mut next = leads(onward, &first.rows, carried);
    loop {
        let (known, mut batch, mut key) = (instances.len(), Batch::default(), Vec::new());
        for values in next {
            key.clear();
            let strict = onward.outer.iter().map(|outer| outer.strict);
            let meets = encode_values(values.iter().map(Option::as_deref).zip(strict), &mut key);
            if meets && !found.instances.contains_key(&key) {
                batch.push(instances.len(), values.iter().map(Option::as_deref));
                found.instances.insert(key.clone(), instances.len());
                instances.push(values);
            }
        }
        if instances.len() == known {
            return Ok(found);
        }
        found.rows.resize(instances.len(), Vec::new());
        ask(reading, plan, step, &onward.sql, batch, &mut found.rows).await?;
        next = leads(onward, &found.rows[known..], &instances[known..]);
    }
}

/// The instances that rows lead to; `from` are those that they are of, the carried values first.
fn leads(onward: &Onward, rows: &[Vec<Row>], from: &[Values]) -> Vec<Values> {
    let (carried, links) = onward.outer.split_at(onward.carried.len());
    let lead = |values: &Values, row: &Row| {
        let link = links.iter().map(|outer| row[outer.slot.place].clone());
        values[..carried.len()].iter().cloned().chain(link).collect()
    };
    let of_instance = |(rows, values): (&Vec<Row>, &Values)| -> Vec<Values> {
        rows.iter().map(|row| lead(values, row)).collect()
    };
    rows.iter().zip(from).flat_map(of_instance).collect()
}

/// Rows on one level of a tree.
struct Level<'a> {
    rows: &'a [Row],
    next: usize,
}

/// The rows from the first to the one that is looked at.
#[derive(Default)]
struct Path {
    keys: Vec<String>,
    met: HashSet<String>,
}

impl Path {
    /// The error is the cycle.
    fn enter(&mut self, key: String) -> Result<(), String> {
        if self.met.insert(key.clone()) {
            self.keys.push(key);
            return Ok(());
        }
        let begin = self
            .keys
            .iter()
            .position(|known| *known == key)
            .unwrap_or_default();
        Err(format!("{} → {key}", self.keys[begin..].join(" → ")))
    }

    fn leave(&mut self) {
        if let Some(key) = self.keys.pop() {
            self.met.remove(&key);
        }
    }
}

impl<'a> Assembly<'a> {
    pub(super) fn ancestors(
        &mut self,
        source: SourceId,
        body: &'a Template,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (mut chain, mut path) = (Vec::new(), Path::default());
        let mut row = self.rows(source).first();
        while let Some(one) = row {
            self.enter(&mut path, source, one)?;
            chain.push(one);
            row = self.onward(source, one).first();
        }
        out.push(b'[');
        for (i, row) in chain.into_iter().rev().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.row(source, row, body, out)?;
        }
        out.push(b']');
        Ok(())
    }

    /// Without recursion of its own: a tree may be as deep as a body is long.
    pub(super) fn tree(
        &mut self,
        source: SourceId,
        members: &'a [(String, Template)],
        below: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let outside = self.bind(source, None);
        let mut path = Path::default();
        // The first rows hang on the enclosing row alone.
        let mut levels = vec![Level {
            rows: self.rows(source),
            next: 0,
        }];
        out.push(b'[');
        while let Some(level) = levels.last_mut() {
            let Some(row) = level.rows.get(level.next) else {
                levels.pop();
                path.leave();
                out.extend_from_slice(if levels.is_empty() { b"]" } else { b"]}" });
                continue;
            };
            if level.next > 0 {
                out.push(b',');
            }
            level.next += 1;
            self.enter(&mut path, source, row)?;
            let rows = self.onward(source, row);
            self.bind(source, Some(row));
            out.push(b'{');
            for (name, member) in members {
                out.extend_from_slice(name.as_bytes());
                self.write(member, out)?;
                out.push(b',');
            }
            out.extend_from_slice(below.as_bytes());
            out.push(b'[');
            fits(out)?;
            levels.push(Level { rows, next: 0 });
        }
        self.bind(source, outside);
        Ok(())
    }

    fn enter(&self, path: &mut Path, source: SourceId, row: &Row) -> Result<(), Fault> {
        let document = &self.plan.document;
        let Some(onward) = self.plan.steps[source]
            .as_ref()
            .and_then(|step| step.onward.as_ref())
        else {
            return Ok(());
        };
        let texts: Vec<&str> = onward
            .key
            .iter()
            .map(|slot| row[slot.place].as_deref().unwrap_or("null"))
            .collect();
        path.enter(texts.join("/")).map_err(|cycle| {
            let parent: Vec<&str> = onward
                .parent
                .iter()
                .map(|column| document.column_of(*column).name.as_str())
                .collect();
            let table = &document.sources[source].table.name;
            let message = format!("{table} {cycle} is a cycle by {}", parent.join(", "));
            ("value", message)
        })
    }
}
