//! The body and the key with every column resolved to the place where its text will stand.

use super::aggregate::{Fold, fold};
use super::slots::{Slot, Slots};
use crate::document::{ColumnRef, Document, Gather, KeySegment, SourceId, Value};

/// How a column becomes JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnForm {
    /// In the JSON form of its type.
    Raw,
    /// As a JSON string, whatever the type.
    Text,
}

/// What a member of the body holds; [`Value`] with its columns resolved.
#[derive(Debug, Clone)]
pub enum Template {
    Column {
        slot: Slot,
        form: ColumnForm,
    },
    /// JSON text.
    Constant(String),
    /// Member names are JSON already, with the colon.
    Object(Vec<(String, Template)>),
    One {
        source: SourceId,
        body: Box<Template>,
    },
    Many {
        source: SourceId,
        body: Box<Template>,
        gather: Gathering,
    },
    Count {
        source: SourceId,
    },
    Aggregate {
        source: SourceId,
        /// For messages.
        column: ColumnRef,
        fold: Fold,
    },
    First(Vec<Template>),
    List(Vec<Template>),
    Merge(Vec<Template>),
    Expression {
        step: SourceId,
    },
    Ancestors {
        source: SourceId,
        body: Box<Template>,
    },
    Tree {
        source: SourceId,
        /// As in [`Template::Object`].
        members: Vec<(String, Template)>,
        /// The member for the rows below: JSON, with the colon.
        below: String,
    },
}

/// [`Gather`] with its columns resolved.
#[derive(Debug, Clone)]
pub enum Gathering {
    Array { flat: bool, distinct: bool },
    By(Vec<Slot>),
}

/// A part of the key.
#[derive(Debug, Clone)]
pub enum KeyPiece {
    Literal(String),
    /// `follows`: the character that comes next in the template.
    Value {
        slot: Slot,
        follows: Option<char>,
    },
}

pub(super) fn body(document: &Document, slots: &mut Slots<'_>) -> Template {
    object(&document.body, slots)
}

/// The members that count when bodies are compared.
pub(super) fn hashed(document: &Document, body: &Template) -> Option<Template> {
    let Template::Object(members) = body else {
        return None;
    };
    let unhashed = &document.life.unhashed;
    let counts = |(member, (name, _)): (&(String, Template), &(String, Value))| {
        (!unhashed.contains(name)).then(|| member.clone())
    };
    (!unhashed.is_empty())
        .then(|| Template::Object(members.iter().zip(&document.body).filter_map(counts).collect()))
}

/// Of the key, or of an alias.
pub(super) fn key(template: &[KeySegment], slots: &mut Slots<'_>) -> Vec<KeyPiece> {
    let follows = |i: usize| match template.get(i + 1) {
        Some(KeySegment::Literal(text)) => text.chars().next(),
        _ => None,
    };
    let piece = |(i, segment): (usize, &KeySegment)| match segment {
        KeySegment::Literal(text) => KeyPiece::Literal(text.clone()),
        KeySegment::Column(column) => KeyPiece::Value {
            slot: slots.value(*column),
            follows: follows(i),
        },
    };
    template.iter().enumerate().map(piece).collect()
}

fn object(members: &[(String, Value)], slots: &mut Slots<'_>) -> Template {
    Template::Object(labelled(members, slots))
}

fn labelled(members: &[(String, Value)], slots: &mut Slots<'_>) -> Vec<(String, Template)> {
    let member = |(name, value): &(String, Value)| (label(name), template(value, slots));
    members.iter().map(member).collect()
}

/// A member's name as JSON, with the colon.
fn label(name: &str) -> String {
    let mut label = Vec::new();
    crate::build::json::write_string(&mut label, name);
    format!("{}:", String::from_utf8_lossy(&label))
}

fn template(value: &Value, slots: &mut Slots<'_>) -> Template {
    let mut column = |column: &ColumnRef, form| Template::Column {
        slot: slots.value(*column),
        form,
    };
    match value {
        Value::Column(reference) => column(reference, ColumnForm::Raw),
        Value::Text(reference) => column(reference, ColumnForm::Text),
        Value::Constant(json) => Template::Constant(json.clone()),
        Value::Object(members) => object(members, slots),
        Value::One { source, body } => Template::One {
            source: *source,
            body: Box::new(template(body, slots)),
        },
        Value::Many { source, body, gather } => Template::Many {
            source: *source,
            gather: gathering(gather, slots),
            body: Box::new(template(body, slots)),
        },
        Value::Count { source } => Template::Count { source: *source },
        Value::Aggregate {
            source,
            aggregate,
            column,
        } => Template::Aggregate {
            source: *source,
            column: *column,
            fold: fold(*aggregate, slots.meta(*column)),
        },
        Value::First(values) => Template::First(templates(values, slots)),
        Value::List(values) => Template::List(templates(values, slots)),
        Value::Merge(values) => Template::Merge(templates(values, slots)),
        Value::Sql(expression) => Template::Expression {
            step: slots.expression(expression),
        },
        Value::Ancestors { source, body } => Template::Ancestors {
            source: *source,
            body: Box::new(template(body, slots)),
        },
        Value::Tree { source, body, below } => Template::Tree {
            source: *source,
            members: labelled(body, slots),
            below: label(below),
        },
    }
}

fn templates(values: &[Value], slots: &mut Slots<'_>) -> Vec<Template> {
    values.iter().map(|value| template(value, slots)).collect()
}

fn gathering(gather: &Gather, slots: &mut Slots<'_>) -> Gathering {
    match gather {
        Gather::Array { flat, distinct } => Gathering::Array {
            flat: *flat,
            distinct: *distinct,
        },
        Gather::By(by) => Gathering::By(by.iter().map(|column| slots.value(*column)).collect()),
    }
}

/// Calls `visit` for this value and every value inside it.
pub(super) fn each_value(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Column(_)
        | Value::Text(_)
        | Value::Constant(_)
        | Value::Sql(_)
        | Value::Count { .. }
        | Value::Aggregate { .. } => {}
        Value::Object(members) => members.iter().for_each(|(_, member)| each_value(member, visit)),
        Value::Tree { body, .. } => body.iter().for_each(|(_, member)| each_value(member, visit)),
        Value::One { body, .. } | Value::Many { body, .. } | Value::Ancestors { body, .. } => {
            each_value(body, visit);
        }
        Value::First(values) | Value::List(values) | Value::Merge(values) => {
            values.iter().for_each(|one| each_value(one, visit));
        }
    }
}
