//! What a column's text is in JSON, and how two values compare.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    number::Number,
    schema::{ColumnKind, Engine},
};

/// A value in JSON: bare, or the content of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    Bare(String),
    Quoted(String),
}

impl Form {
    /// As in keys, under `by` and as `{ text: … }`.
    pub fn into_text(self) -> String {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text,
        }
    }
}

/// `None`: the value has no JSON form.
pub fn form(engine: Engine, kind: &ColumnKind, text: &str) -> Option<Form> {
    let bare = |text: &str| Some(Form::Bare(text.to_owned()));
    match kind {
        ColumnKind::Boolean => bare(match text {
            "true" | "t" | "1" => "true",
            "false" | "f" | "0" => "false",
            _ => return None,
        }),
        ColumnKind::Numeric(Some(scale)) if engine == Engine::Sqlite => {
            Some(Form::Bare(Number::parse(text)?.fixed(*scale)))
        }
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric(_) => {
            Number::parse(text).and_then(|_| bare(text))
        }
        ColumnKind::Json if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => None,
        ColumnKind::Json | ColumnKind::Array => bare(&text.replace(['\n', '\r'], " ")),
        ColumnKind::Date => text
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| Form::Quoted(text.to_owned())),
        ColumnKind::Timestamp => timestamp(text, "").map(Form::Quoted),
        ColumnKind::TimestampTz => timestamp(text.strip_suffix("+00").unwrap_or(text), "Z").map(Form::Quoted),
        ColumnKind::Bytes => Some(Form::Quoted(base64(text.strip_prefix("\\x").unwrap_or(text)))),
        ColumnKind::Text | ColumnKind::Uuid | ColumnKind::Enum(_) | ColumnKind::Time | ColumnKind::Other => {
            Some(Form::Quoted(text.to_owned()))
        }
    }
}

/// `2024-01-02 03:04:05.120` is `2024-01-02T03:04:05.12`.
fn timestamp(text: &str, zone: &str) -> Option<String> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let time = match time.split_once('.') {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => seconds.to_owned(),
            fraction => format!("{seconds}.{fraction}"),
        },
        None => time.to_owned(),
    };
    date.starts_with(|c: char| c.is_ascii_digit())
        .then(|| format!("{date}T{time}{zone}"))
}

fn base64(hex: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = hex
        .chars()
        .map(|c| c.to_digit(16).expect("hexadecimal digits"))
        .flat_map(|nibble| (0..4).rev().map(move |bit| nibble >> bit & 1))
        .collect();
    let sextets = bits.chunks(6).map(|chunk| {
        let value = (0..6).fold(0, |value, i| value << 1 | chunk.get(i).copied().unwrap_or(0));
        char::from(DIGITS[value as usize])
    });
    let mut text: String = sextets.collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Equal values of columns that can be compared have equal texts here.
pub fn comparable<'t>(kind: &ColumnKind, text: &'t str) -> Cow<'t, str> {
    let owned = match kind {
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric(_) if is_plain(text) => {
            return text.into();
        }
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric(_) => match Number::parse(text) {
            Some(number) => number.to_text(),
            None => return text.into(),
        },
        ColumnKind::Boolean => match text {
            "true" | "t" | "1" => return "true".into(),
            _ => return "false".into(),
        },
        ColumnKind::Timestamp => moment(text),
        ColumnKind::TimestampTz => moment(text.trim_end_matches("+00").trim_end_matches('Z')),
        ColumnKind::Uuid => text.to_ascii_lowercase(),
        _ => return text.into(),
    };
    owned.into()
}

/// Whether it is a positive whole number as everybody writes it, so that its text is the only one.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(text.as_bytes().first(), Some(b'1'..=b'9'))
}

/// `12:00:00.120` is `12:00:00.12`.
fn moment(text: &str) -> String {
    let text = text.replacen('T', " ", 1);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The order of the database under a bytewise collation.
pub fn compare(kind: &ColumnKind, a: &str, b: &str) -> Ordering {
    match kind {
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric(_) if is_plain(a) && is_plain(b) => {
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric(_) => {
            match (Number::parse(a), Number::parse(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.cmp(b),
            }
        }
        ColumnKind::Enum(labels) => {
            let place = |text: &str| labels.iter().position(|label| label == text);
            place(a).cmp(&place(b))
        }
        kind => comparable(kind, a).cmp(&comparable(kind, b)),
    }
}

/// Nulls stand last, whatever the direction.
pub fn order(kind: &ColumnKind, a: Option<&str>, b: Option<&str>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => compare(kind, b, a),
        (Some(a), Some(b)) => compare(kind, a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}
