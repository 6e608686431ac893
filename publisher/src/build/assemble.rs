//! Joins loaded rows by hash and writes documents as JSON bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pubsync_schema::shape::encode_key_value;

use super::json::write_string;
use super::load::{Bound, Loaded, Row, is_optional};
use super::value::{Form, form};
use super::{BuiltDocument, DocumentFailure, MAX_BODY};
use crate::document::SourceId;
use crate::plan::{ColumnForm, DocumentPlan, KeyPiece, Slot, Template};

/// Why a body or a key cannot be written: class and message.
type Fault = (&'static str, String);

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

struct Assembly<'a> {
    plan: &'a DocumentPlan,
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
        let key = key.map_err(|null| failed(None)(("key", format!("{null} is null, but stands in the key"))))?;
        let mut body = Vec::with_capacity(1024);
        let written = self
            .write(&self.plan.body, &mut body)
            .and_then(|()| text_of(body));
        let body = written.map_err(failed(Some(key.clone())))?;
        Ok(BuiltDocument::new(key, body))
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
                    None => return Ok(Err(self.name(slot))),
                },
            }
        }
        Ok(Ok(key))
    }

    fn write(&mut self, template: &'a Template, out: &mut Vec<u8>) -> Result<(), Fault> {
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
            Template::Many { source, body, by } if by.is_empty() => {
                out.push(b'[');
                for (i, row) in self.rows(*source).iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    self.row(*source, row, body, out)?;
                }
                out.push(b']');
            }
            Template::Many { source, body, by } => {
                let rows: Vec<&Row> = self.rows(*source).iter().collect();
                self.keyed(*source, &rows, by, body, out)?;
            }
            Template::Count { source } => self.count(*source, out),
            Template::First(alternatives) => self.first(alternatives, out)?,
        }
        if out.len() > MAX_BODY {
            Err(("size", format!("the body exceeds {MAX_BODY} bytes")))
        } else {
            Ok(())
        }
    }

    fn row(
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

    /// Nested objects: rows grouped by the first of `by`, each group by the rest, the last row of the last group
    /// written.
    fn keyed(
        &mut self,
        source: SourceId,
        rows: &[&'a Row],
        by: &'a [Slot],
        body: &'a Template,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some((slot, rest)) = by.split_first() else {
            return rows.last().map_or(Ok(()), |row| self.row(source, row, body, out));
        };
        let mut groups: Vec<(String, Vec<&'a Row>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for &row in rows
            .iter()
            .filter(|row| by.iter().all(|slot| row[slot.place].is_some()))
        {
            let Some(raw) = &row[slot.place] else { continue };
            let key = self.form(slot, raw)?.into_text().into_owned();
            let place = *places.entry(key).or_insert_with_key(|key| {
                groups.push((key.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(row);
        }
        out.push(b'{');
        for (i, (key, group)) in groups.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(out, key);
            out.push(b':');
            self.keyed(source, group, rest, body, out)?;
        }
        out.push(b'}');
        Ok(())
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
            (Some(Form::Bare(json)), ColumnForm::Raw) => out.extend_from_slice(json.as_bytes()),
            (Some(value), _) => write_string(out, &value.into_text()),
        }
        Ok(())
    }

    fn value(&self, slot: &Slot) -> Result<Option<Form<'a>>, Fault> {
        let raw = self.bound[slot.source].and_then(|row| row[slot.place].as_deref());
        raw.map(|raw| self.form(slot, raw)).transpose()
    }

    fn form(&self, slot: &Slot, raw: &'a str) -> Result<Form<'a>, Fault> {
        form(self.plan.dialect, &slot.kind, raw).ok_or_else(|| {
            let shown: String = raw.chars().take(60).collect();
            (
                "value",
                format!("{} holds {shown:?}, which has no JSON form", self.name(slot)),
            )
        })
    }

    fn rows(&mut self, source: SourceId) -> &'a [Row] {
        match &self.plan.steps[source] {
            Some(step) => self.loaded.rows(step, &self.bound, &mut self.scratch),
            None => &[],
        }
    }

    fn name(&self, slot: &Slot) -> String {
        let document = &self.plan.document;
        format!(
            "{}.{}",
            document.sources[slot.column.source].table.name,
            document.column_of(slot.column).name
        )
    }
}

fn text_of(body: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(body).map_err(|error| ("value", error.to_string()))
}
