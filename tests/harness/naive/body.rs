//! Values of the body, as JSON.

use std::rc::Rc;

use super::{
    evaluate::{Cell, Frame, Naive, Place},
    form::Form,
    name::Name,
    tree::Tree,
    value::Value,
    write::{Out, set},
};

impl<'a> Naive<'a> {
    pub(super) fn object(&self, members: &[(String, Value)], place: &Place<'a>) -> Result<Out, String> {
        let member = |(name, value): &(String, Value)| Ok((name.clone(), self.value(value, place)?));
        members
            .iter()
            .map(member)
            .collect::<Result<_, String>>()
            .map(Out::Object)
    }

    pub(super) fn value(&self, value: &Value, place: &Place<'a>) -> Result<Out, String> {
        match value {
            Value::Column(name) => self.column(&self.cell(name, place)),
            Value::Text(name) => {
                let form = self.form(&self.cell(name, place))?;
                Ok(form.map_or(Out::Null, |form| Out::string(&form.into_text())))
            }
            Value::Constant(out) => Ok(out.clone()),
            Value::Object(members) => self.object(members, place),
            Value::One { rows, body } => match self.one(rows, place) {
                Some(row) => self.value(body, &place.at(row)),
                None => Ok(Out::Null),
            },
            Value::Many { rows, body, by, .. } if !by.is_empty() => {
                self.keyed(&self.rows(rows, place), by, body, place)
            }
            Value::Many {
                rows,
                body,
                distinct,
                flat,
                ..
            } => {
                let rows = self.rows(rows, place).into_iter();
                let items: Result<Vec<Out>, String> =
                    rows.map(|row| self.value(body, &place.at(row))).collect();
                Ok(list(items?, *flat, *distinct))
            }
            Value::Count(rows) => Ok(Out::Text(self.rows(rows, place).len().to_string())),
            Value::Aggregate {
                function,
                rows,
                column,
            } => self.aggregate(*function, rows, column, place),
            Value::First(values) => {
                for value in values {
                    let out = self.value(value, place)?;
                    if !out.is_null() {
                        return Ok(out);
                    }
                }
                Ok(Out::Null)
            }
            Value::List(values) => {
                let items: Result<Vec<Out>, String> =
                    values.iter().map(|value| self.value(value, place)).collect();
                let items = items?.into_iter().filter(|item| !item.is_null());
                Ok(Out::Array(items.collect()))
            }
            Value::Merge(values) => self.merge(values, place),
            Value::Sql(text) => self.expression(text, place),
            Value::Ancestors { rows, parent, body } => self.ancestors(rows, parent, body, place),
            Value::Tree {
                rows,
                parent,
                body,
                start,
                member,
            } => {
                let start = start.as_deref();
                let tree = Tree {
                    rows,
                    parent,
                    body,
                    start,
                    member,
                };
                self.tree(&tree, place)
            }
        }
    }

    pub(super) fn column(&self, cell: &Cell<'_>) -> Result<Out, String> {
        Ok(match self.form(cell)? {
            None => Out::Null,
            Some(Form::Bare(text)) => Out::Text(text),
            Some(Form::Quoted(text)) => Out::string(&text),
        })
    }

    /// Nested objects. On equal keys the last row counts, in the place of the first; a null key leaves its row out.
    fn keyed(
        &self,
        rows: &[Rc<Frame<'a>>],
        by: &[Name],
        body: &Value,
        place: &Place<'a>,
    ) -> Result<Out, String> {
        let mut paths: Vec<(Vec<String>, &Rc<Frame<'a>>)> = Vec::new();
        for row in rows {
            let here = place.at(row.clone());
            let mut path = Vec::new();
            let cells: Vec<Cell<'a>> = by.iter().map(|name| self.cell(name, &here)).collect();
            if cells.iter().any(|cell| cell.text.is_none()) {
                continue;
            }
            for cell in &cells {
                path.extend(self.form(cell)?.map(Form::into_text));
            }
            match paths.iter_mut().find(|(known, _)| *known == path) {
                Some(known) => known.1 = row,
                None => paths.push((path, row)),
            }
        }
        let mut members = Vec::new();
        for (path, row) in paths {
            insert(&mut members, &path, self.value(body, &place.at(row.clone()))?);
        }
        Ok(Out::Object(members))
    }

    /// Nulls are skipped; objects are merged, arrays appended.
    fn merge(&self, values: &[Value], place: &Place<'a>) -> Result<Out, String> {
        let mut merged = Out::Null;
        for value in values {
            let next = self.value(value, place)?;
            if next.is_null() {
                continue;
            }
            merged = match (merged, next.opened()) {
                (Out::Null, next) => next,
                (Out::Object(mut members), Out::Object(later)) => {
                    for (name, value) in later {
                        set(&mut members, name, value);
                    }
                    Out::Object(members)
                }
                (Out::Array(mut items), Out::Array(more)) => {
                    items.extend(more);
                    Out::Array(items)
                }
                _ => return Err("only objects with objects and arrays with arrays can be merged".to_owned()),
            };
        }
        Ok(merged)
    }
}

fn insert(members: &mut Vec<(String, Out)>, path: &[String], value: Out) {
    let [first, rest @ ..] = path else { return };
    if rest.is_empty() {
        return members.push((first.clone(), value));
    }
    if let Some((_, Out::Object(inner))) = members.iter_mut().find(|(name, _)| name == first) {
        return insert(inner, rest, value);
    }
    let mut inner = Vec::new();
    insert(&mut inner, rest, value);
    members.push((first.clone(), Out::Object(inner)));
}

/// `flat` joins arrays of arrays, `distinct` then keeps the first of equal results.
fn list(items: Vec<Out>, flat: bool, distinct: bool) -> Out {
    let mut joined = Vec::new();
    for item in items.into_iter().filter(|item| !(flat && item.is_null())) {
        match item.clone().opened() {
            Out::Array(inner) if flat => joined.extend(inner),
            _ => joined.push(item),
        }
    }
    if distinct {
        let mut seen = std::collections::HashSet::new();
        joined.retain(|item| seen.insert(item.to_text()));
    }
    Out::Array(joined)
}
