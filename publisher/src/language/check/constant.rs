//! Constants in the type of the column that they meet.

use crate::catalogue::{Column, ColumnKind};
use crate::document::Constant;

/// The constant as text that the column's type can read.
///
/// # Errors
/// Why it is none: `"abc" is no integer`.
pub fn constant(text: &str, column: &Column) -> Result<Constant, String> {
    let good = match column.kind {
        ColumnKind::Boolean => matches!(text, "true" | "false"),
        ColumnKind::Integer => text.parse::<i64>().is_ok(),
        ColumnKind::Numeric { .. } | ColumnKind::Float => is_decimal(text),
        ColumnKind::Uuid => is_uuid(text),
        ColumnKind::Date => is_date(text),
        ColumnKind::Timestamp | ColumnKind::TimestampTz => is_timestamp(text),
        ColumnKind::Time => is_time(text),
        ColumnKind::Text | ColumnKind::Enum | ColumnKind::Other => true,
        ColumnKind::Json | ColumnKind::Bytes | ColumnKind::Array => {
            return Err(format!(
                "\"{}\" is {}, which no constant can equal",
                column.name,
                noun(column)
            ));
        }
    };
    if text.contains('\0') {
        Err(format!(
            "a constant for \"{}\" cannot hold the character NUL",
            column.name
        ))
    } else if good {
        Ok(Constant(
            text.strip_prefix('+')
                .filter(|_| is_number(&column.kind))
                .unwrap_or(text)
                .to_owned(),
        ))
    } else {
        Err(format!(
            "\"{text}\" is not {}, as \"{}\" is",
            noun(column),
            column.name
        ))
    }
}

/// Whether the database can compare two columns. SQLite compares everything.
pub fn comparable(a: &Column, b: &Column) -> bool {
    use ColumnKind::{Array, Date, Enum, Json, Other, Timestamp, TimestampTz};
    match (&a.kind, &b.kind) {
        (Date | Timestamp | TimestampTz, Date | Timestamp | TimestampTz) => true,
        (Enum | Array | Other, _) | (_, Enum | Array | Other) => a.sql_type == b.sql_type,
        (Json, Json) => a.sql_type == b.sql_type && a.sql_type != "json",
        (a, b) if is_number(a) && is_number(b) => true,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

fn is_number(kind: &ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric { .. }
    )
}

/// What the column holds, for messages.
pub fn noun(column: &Column) -> &str {
    match column.kind {
        ColumnKind::Boolean => "a boolean (true or false)",
        ColumnKind::Integer => "an integer",
        ColumnKind::Float | ColumnKind::Numeric { .. } => "a number",
        ColumnKind::Text => "text",
        ColumnKind::Uuid => "a UUID",
        ColumnKind::Enum => "an enum",
        ColumnKind::Date => "a date (YYYY-MM-DD)",
        ColumnKind::Timestamp | ColumnKind::TimestampTz => "a timestamp (YYYY-MM-DDThh:mm:ss)",
        ColumnKind::Time => "a time (hh:mm:ss)",
        ColumnKind::Json => "JSON",
        ColumnKind::Bytes => "bytes",
        ColumnKind::Array => "an array",
        ColumnKind::Other => &column.sql_type,
    }
}

fn is_decimal(text: &str) -> bool {
    let only = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    text.chars().all(only) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if number(year, 4, 0, 9999) && number(month, 2, 1, 12) && number(day, 2, 1, 31))
}

/// A date, or a date and a time; a zone may follow.
fn is_timestamp(text: &str) -> bool {
    match text.split_once(['T', ' ']) {
        Some((date, time)) => is_date(date) && is_time(time),
        None => is_date(text),
    }
}

/// `hh:mm`, seconds and fractions where given; a zone may follow.
fn is_time(text: &str) -> bool {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let clock = text.split(['+', '-']).next().unwrap_or_default().trim_end();
    let parts: Vec<_> = clock.split(':').collect();
    match parts.as_slice() {
        [hour, minute] => number(hour, 2, 0, 24) && number(minute, 2, 0, 59),
        [hour, minute, second] => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
            number(hour, 2, 0, 24)
                && number(minute, 2, 0, 59)
                && number(whole, 2, 0, 60)
                && !fraction.is_empty()
                && fraction.chars().all(|c| c.is_ascii_digit())
        }
        _ => false,
    }
}

fn number(text: &str, digits: usize, least: u32, most: u32) -> bool {
    text.len() == digits
        && text.chars().all(|c| c.is_ascii_digit())
        && text.parse().is_ok_and(|n| (least..=most).contains(&n))
}
