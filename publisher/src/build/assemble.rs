//! Joins loaded rows by hash and writes documents as JSON bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pubsync_schema::shape::encode_key_value;

use super::decimal::mean;
use super::json::write_string;
use super::load::{Bound, Loaded, Row, is_optional};
use super::value::{Form, form};
use super::{BuiltDocument, DocumentFailure, MAX_BODY};
use crate::document::{ColumnRef, SourceId};
use crate::plan::{ColumnForm, DocumentPlan, Fold, KeyPiece, Slot, Template};

/// Why a body or a key cannot be written: class and message.
pub(super) type Fault = (&'static str, String);

type Outcome = Result<BuiltDocument, DocumentFailure>;

/// A document and the aliases that lead to it.
type WithAliases = (Outcome, Vec<Outcome>);

/// All documents of one root.
pub(super) fn documents(plan: &DocumentPlan, loaded: &Loaded, root: &Row) -> Vec<Outcome> {
    let mut bound: Bound<'_> = vec![None; plan.document.sources.len()];
    bound[0] = Some(root);
    let mut assembly = Assembly {
        plan,
        loaded,
        bound,
        scratch: Vec::new(),
        documents: Vec::new(),
    };
    assembly.combinations(&plan.document.scopes);
    one_for_each_key(assembly.documents)
}

/// Two documents with one key are one failure: neither is the right one.
fn one_for_each_key(documents: Vec<WithAliases>) -> Vec<Outcome> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<WithAliases> = Vec::with_capacity(documents.len());
    for (document, aliases) in documents {
        let key = match &document {
            Ok(built) => Some(&built.key),
            Err(failure) => failure.key.as_ref(),
        };
        match key.map(|key| places.entry(key.clone())) {
            Some(Entry::Occupied(taken)) => {
                let message = "several combinations of scope rows give this key".to_owned();
                let failure = DocumentFailure {
                    key: Some(taken.key().clone()),
                    class: "key",
                    message,
                };
                kept[*taken.get()] = (Err(failure), Vec::new());
            }
            entry => {
                if let Some(Entry::Vacant(free)) = entry {
                    free.insert(kept.len());
                }
                kept.push((document, aliases));
            }
        }
    }
    kept.into_iter()
        .flat_map(|(document, aliases)| std::iter::once(document).chain(aliases))
        .collect()
}

pub(super) struct Assembly<'a> {
    pub(super) plan: &'a DocumentPlan,
    loaded: &'a Loaded,
    /// Rows that the value being written stands in.
    bound: Bound<'a>,
    scratch: Vec<u8>,
    documents: Vec<WithAliases>,
}

impl<'a> Assembly<'a> {
    /// Binds each combination of rows of these scopes.
    fn combinations(&mut self, scopes: &[SourceId]) {
        let Some((&scope, rest)) = scopes.split_first() else {
            let document = self.document();
            return self.documents.push(document);
        };
        let rows = self.rows(scope);
        for row in rows {
            self.bound[scope] = Some(row);
            self.combinations(rest);
        }
        self.bound[scope] = None;
        if rows.is_empty() && is_optional(self.plan, scope) {
            self.combinations(rest);
        }
    }

    /// A document that cannot be built has no aliases here: those that lead to it stay as they are.
    fn document(&mut self) -> WithAliases {
        let document = self.body_under_key();
        let aliases = match &document {
            Ok(document) => self.aliases(&document.key),
            Err(_) => Vec::new(),
        };
        (document, aliases)
    }

    fn body_under_key(&mut self) -> Outcome {
        let failed = |key: Option<String>| move |(class, message)| DocumentFailure { key, class, message };
        let key = self.key(&self.plan.key).map_err(failed(None))?;
        let key =
            key.map_err(|null| failed(None)(("key", format!("{null} is null, but stands in the key"))))?;
        let mut body = Vec::with_capacity(1024);
        let written = self
            .write(&self.plan.body, &mut body)
            .and_then(|()| text_of(body));
        let body = written.map_err(failed(Some(key.clone())))?;
        let Some(hashed) = &self.plan.hashed else {
            return Ok(BuiltDocument::new(key, body));
        };
        let mut part = Vec::with_capacity(body.len());
        self.write(hashed, &mut part).map_err(failed(Some(key.clone())))?;
        Ok(BuiltDocument::new(key, body).compared_by(&part))
    }

    /// A null makes none.
    fn aliases(&self, of: &str) -> Vec<Outcome> {
        let alias = |template: &Vec<KeyPiece>| match self.key(template) {
            Ok(Ok(key)) => Some(Ok(BuiltDocument::alias(key, of))),
            Ok(Err(_null)) => None,
            Err((_, message)) => Some(Err(DocumentFailure {
                key: Some(of.to_owned()),
                class: "alias",
                message,
            })),
        };
        self.plan.aliases.iter().filter_map(alias).collect()
    }

    /// A key or an alias; inside, the name of a column of it that is null.
    fn key(&self, template: &[KeyPiece]) -> Result<Result<String, String>, Fault> {
        let mut key = String::new();
        for piece in template {
            match piece {
                KeyPiece::Literal(text) => key.push_str(text),
                KeyPiece::Value { slot, follows } => match self.value(slot)? {
                    Some(value) => encode_key_value(&value.into_text(), *follows, &mut key),
                    None => return Ok(Err(self.name(slot.column))),
                },
            }
        }
        Ok(Ok(key))
    }

    pub(super) fn write(&mut self, template: &'a Template, out: &mut Vec<u8>) -> Result<(), Fault> {
        match template {
            Template::Column { slot, form } => self.column(slot, *form, out)?,
            Template::Constant(json) => out.extend_from_slice(json.as_bytes()),
            Template::Object(members) => {
                for (i, (name, member)) in members.iter().enumerate() {
                    out.push(if i == 0 { b'{' } else { b',' });
                    out.extend_from_slice(name.as_bytes());
                    self.write(member, out)?;
                }
                out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
            Template::One { source, body } => match self.rows(*source) {
                [row, ..] => self.row(*source, row, body, out)?,
                [] => out.extend_from_slice(b"null"),
            },
            Template::Many { source, body, gather } => self.many(*source, body, gather, out)?,
            Template::Count { source } => self.count(*source, out),
            Template::Aggregate { source, column, fold } => self.aggregate(*source, *column, fold, out)?,
            Template::First(alternatives) => self.first(alternatives, out)?,
            Template::List(values) => self.list(values, out)?,
            Template::Merge(values) => self.merge(values, out)?,
            Template::Expression { step } => self.expression(*step, out)?,
            Template::Ancestors { source, body } => self.ancestors(*source, body, out)?,
            Template::Tree {
                source,
                members,
                below,
            } => self.tree(*source, members, below, out)?,
        }
        fits(out)
    }

    pub(super) fn row(
        &mut self,
        source: SourceId,
        row: &'a Row,
        body: &'a Template,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let before = self.bound[source].replace(row);
        let written = self.write(body, out);
        self.bound[source] = before;
        written
    }

    fn count(&mut self, source: SourceId, out: &mut Vec<u8>) {
        let counted = self
            .rows(source)
            .first()
            .and_then(|row| row[0].as_ref())
            .and_then(|text| text.parse::<u64>().ok());
        let at_most = self.plan.steps[source]
            .as_ref()
            .and_then(|step| step.at_most)
            .unwrap_or(u64::MAX);
        out.extend_from_slice(counted.unwrap_or(0).min(at_most).to_string().as_bytes());
    }

    fn first(&mut self, alternatives: &'a [Template], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        for alternative in alternatives {
            out.truncate(start);
            self.write(alternative, out)?;
            if &out[start..] != b"null" {
                return Ok(());
            }
        }
        out.truncate(start);
        out.extend_from_slice(b"null");
        Ok(())
    }

    fn column(&mut self, slot: &Slot, wanted: ColumnForm, out: &mut Vec<u8>) -> Result<(), Fault> {
        match (self.value(slot)?, wanted) {
            (None, _) => out.extend_from_slice(b"null"),
            (Some(value), ColumnForm::Raw) => write_form(value, out),
            (Some(value), ColumnForm::Text) => write_string(out, &value.into_text()),
        }
        Ok(())
    }

    fn value(&self, slot: &Slot) -> Result<Option<Form<'a>>, Fault> {
        let raw = self.bound[slot.source].and_then(|row| row[slot.place].as_deref());
        raw.map(|raw| self.form(slot, raw)).transpose()
    }

    pub(super) fn form(&self, slot: &Slot, raw: &'a str) -> Result<Form<'a>, Fault> {
        form(self.plan.dialect, &slot.kind, raw).ok_or_else(|| {
            let shown: String = raw.chars().take(60).collect();
            let name = self.name(slot.column);
            ("value", format!("{name} holds {shown:?}, which has no JSON form"))
        })
    }

    fn aggregate(
        &mut self,
        source: SourceId,
        column: ColumnRef,
        fold: &Fold,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let row = self.rows(source).first();
        let value = |place: usize| row.and_then(|row| row[place].as_deref());
        let no_form = |text: &str| {
            let name = self.name(column);
            (
                "value",
                format!("what is made of {name} is {text:?}, which has no JSON form"),
            )
        };
        match (fold, value(0)) {
            (Fold::Average, None) => out.extend_from_slice(b"null"),
            (Fold::Average, Some(sum)) => {
                let count = value(1).and_then(|count| count.parse().ok()).unwrap_or(0);
                let mean = mean(sum, count).ok_or_else(|| no_form(sum))?;
                out.extend_from_slice(mean.as_bytes());
            }
            (Fold::Value { of_nothing, .. }, None) => out.extend_from_slice(of_nothing.as_bytes()),
            (Fold::Value { kind, .. }, Some(text)) => {
                write_form(
                    form(self.plan.dialect, kind, text).ok_or_else(|| no_form(text))?,
                    out,
                );
            }
        }
        Ok(())
    }

    pub(super) fn rows(&mut self, source: SourceId) -> &'a [Row] {
        match &self.plan.steps[source] {
            Some(step) => self.loaded.rows(step, &self.bound, &mut self.scratch),
            None => &[],
        }
    }

    /// Rows that a row of a recursive source leads to.
    pub(super) fn onward(&mut self, source: SourceId, row: &'a Row) -> &'a [Row] {
        let Some(step) = &self.plan.steps[source] else {
            return &[];
        };
        let outside = self.bind(source, Some(row));
        let rows = self.loaded.onward(step, &self.bound, &mut self.scratch);
        self.bound[source] = outside;
        rows.map_or(&[], |(_, rows)| rows)
    }

    /// Gives what was bound.
    pub(super) fn bind(&mut self, source: SourceId, row: Option<&'a Row>) -> Option<&'a Row> {
        std::mem::replace(&mut self.bound[source], row)
    }

    fn name(&self, column: ColumnRef) -> String {
        let document = &self.plan.document;
        format!(
            "{}.{}",
            document.sources[column.source].table.name,
            document.column_of(column).name
        )
    }
}

fn write_form(form: Form<'_>, out: &mut Vec<u8>) {
    match form {
        Form::Bare(json) => out.extend_from_slice(json.as_bytes()),
        Form::Quoted(text) => write_string(out, &text),
    }
}

/// Bodies are bounded while they are written.
pub(super) fn fits(out: &[u8]) -> Result<(), Fault> {
    if out.len() > MAX_BODY {
        Err((
            "size",
            format!("the body exceeds {MAX_BODY} bytes: limit its rows, or make several documents of it"),
        ))
    } else {
        Ok(())
    }
}

/// What a body grew by that it did not need, and is worth giving back: it is kept until its transaction has committed.
const SPARE: usize = 64 * 1024;

fn text_of(mut body: Vec<u8>) -> Result<String, Fault> {
    if body.capacity() - body.len() > SPARE {
        body.shrink_to_fit();
    }
    String::from_utf8(body).map_err(|error| ("value", error.to_string()))
}
