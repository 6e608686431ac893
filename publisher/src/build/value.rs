//! From the database's text of a value to its JSON.

use std::borrow::Cow;

use pubsync_schema::dialect::Dialect;

use super::json::{base64_of_hex, is_number};
use crate::catalogue::ColumnKind;

/// A value in the form that the document language gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// JSON as it stands.
    Bare(Cow<'a, str>),
    /// The content of a JSON string.
    Quoted(Cow<'a, str>),
}

impl<'a> Form<'a> {
    /// As in keys, under `by` and in `{ text: … }`.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text,
        }
    }
}

/// `None`: the value has no JSON form.
pub(crate) fn form<'a>(dialect: Dialect, kind: &ColumnKind, text: &'a str) -> Option<Form<'a>> {
    let sqlite = dialect == Dialect::Sqlite;
    match kind {
        ColumnKind::Integer | ColumnKind::Float | ColumnKind::Numeric { .. } => {
            is_number(text).then_some(Form::Bare(text.into()))
        }
        ColumnKind::Boolean => match text {
            "true" | "1" => Some(Form::Bare("true".into())),
            "false" | "0" => Some(Form::Bare("false".into())),
            _ => None,
        },
        ColumnKind::Json | ColumnKind::Array => {
            let valid = !sqlite || serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
            valid.then(|| Form::Bare(on_one_line(text)))
        }
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampTz if sqlite && is_number(text) => {
            Some(Form::Bare(text.into()))
        }
        ColumnKind::Date => date(text, sqlite).map(Form::Quoted),
        ColumnKind::Timestamp if sqlite => sqlite_timestamp(text, false).map(Form::Quoted),
        ColumnKind::TimestampTz if sqlite => sqlite_timestamp(text, true).map(Form::Quoted),
        ColumnKind::Timestamp => postgres_timestamp(text, false).map(Form::Quoted),
        ColumnKind::TimestampTz => postgres_timestamp(text, true).map(Form::Quoted),
        ColumnKind::Bytes => {
            base64_of_hex(text.strip_prefix("\\x").unwrap_or(text)).map(|text| Form::Quoted(text.into()))
        }
        ColumnKind::Text | ColumnKind::Uuid | ColumnKind::Enum | ColumnKind::Time | ColumnKind::Other => {
            Some(Form::Quoted(text.into()))
        }
    }
}

/// Raw newlines stand between tokens only; they would break line-delimited JSON.
fn on_one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], " ").into()
    } else {
        json.into()
    }
}

fn date(text: &str, sqlite: bool) -> Option<Cow<'_, str>> {
    match text.strip_suffix(" BC") {
        Some(year) => before_christ(year).map(Cow::Owned),
        None if sqlite => {
            let (date, _) = split_time(text);
            is_date(date).then_some(date.into())
        }
        None => is_date(text).then_some(text.into()),
    }
}

/// `2024-01-02 03:04:05.123+00`, `… BC`, `infinity`. The session's zone is UTC; another is a mistake, not a value.
fn postgres_timestamp(text: &str, zoned: bool) -> Option<Cow<'_, str>> {
    let (text, early) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (text, zone) = if zoned {
        (text.strip_suffix("+00")?, "Z")
    } else {
        (text, "")
    };
    let (date, time) = text.split_once(' ')?;
    let date = if early {
        Cow::Owned(before_christ(date)?)
    } else {
        Cow::Borrowed(date)
    };
    is_date(date.trim_start_matches('-')).then(|| format!("{date}T{time}{zone}").into())
}

/// ISO with a blank or `T`, with or without fraction and zone.
fn sqlite_timestamp(text: &str, zoned: bool) -> Option<Cow<'_, str>> {
    let (date, time) = split_time(text);
    if !is_date(date) {
        return None;
    }
    let Some(time) = time else {
        return Some(date.into());
    };
    let (clock, zone) = match time.find(['+', '-', 'Z', 'z']) {
        Some(at) => time.split_at(at),
        None => (time, if zoned { "Z" } else { "" }),
    };
    let clock = match clock.trim_end().split_once('.') {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => seconds.to_owned(),
            fraction => format!("{seconds}.{fraction}"),
        },
        None => clock.trim_end().to_owned(),
    };
    let zone = match zone {
        "+00:00" | "+00" | "z" => "Z",
        zone => zone,
    };
    Some(format!("{date}T{clock}{zone}").into())
}

fn split_time(text: &str) -> (&str, Option<&str>) {
    match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    }
}

/// Year, month and day: digits and two dashes.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let digits = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| part.len() >= least && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    digits(parts.next(), 4) && digits(parts.next(), 2) && digits(parts.next(), 2) && parts.next().is_none()
}

/// ISO 8601 counts a year 0: 1 BC.
fn before_christ(date: &str) -> Option<String> {
    let (year, rest) = date.split_once('-')?;
    let year = year.parse::<u32>().ok()?.checked_sub(1)?;
    let sign = if year == 0 { "" } else { "-" };
    Some(format!("{sign}{year:04}-{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(dialect: Dialect, kind: ColumnKind, text: &str) -> Option<String> {
        form(dialect, &kind, text).map(|form| match form {
            Form::Bare(text) => text.into_owned(),
            Form::Quoted(text) => format!("\"{text}\""),
        })
    }

    #[test]
    fn timestamps_of_postgres_are_iso() {
        let plain = |text| json(Dialect::Postgres, ColumnKind::Timestamp, text);
        let zoned = |text| json(Dialect::Postgres, ColumnKind::TimestampTz, text);
        assert_eq!(
            plain("2024-01-02 03:04:05.123").as_deref(),
            Some("\"2024-01-02T03:04:05.123\"")
        );
        assert_eq!(
            plain("0044-03-15 00:00:00 BC").as_deref(),
            Some("\"-0043-03-15T00:00:00\"")
        );
        assert_eq!(
            plain("0001-03-15 00:00:00 BC").as_deref(),
            Some("\"0000-03-15T00:00:00\"")
        );
        assert_eq!(
            zoned("2024-01-02 03:04:05+00").as_deref(),
            Some("\"2024-01-02T03:04:05Z\"")
        );
        assert_eq!(zoned("2024-01-02 03:04:05+02"), None);
        assert_eq!(zoned("infinity"), None);
        assert_eq!(plain("-infinity"), None);
        assert_eq!(json(Dialect::Postgres, ColumnKind::Date, "infinity"), None);
    }

    #[test]
    fn timestamps_of_sqlite_are_iso() {
        let plain = |text| json(Dialect::Sqlite, ColumnKind::Timestamp, text);
        assert_eq!(
            plain("2024-01-02 03:04:05").as_deref(),
            Some("\"2024-01-02T03:04:05\"")
        );
        assert_eq!(
            plain("2024-01-02T03:04:05.100+00:00").as_deref(),
            Some("\"2024-01-02T03:04:05.1Z\"")
        );
        assert_eq!(
            plain("2024-01-02 03:04:05.000").as_deref(),
            Some("\"2024-01-02T03:04:05\"")
        );
        assert_eq!(plain("1700000000").as_deref(), Some("1700000000"));
        assert_eq!(plain("yesterday"), None);
        let zoned = json(Dialect::Sqlite, ColumnKind::TimestampTz, "2024-01-02 03:04:05.5");
        assert_eq!(zoned.as_deref(), Some("\"2024-01-02T03:04:05.5Z\""));
        assert_eq!(
            json(Dialect::Sqlite, ColumnKind::Date, "2024-01-02 00:00:00").as_deref(),
            Some("\"2024-01-02\"")
        );
    }

    #[test]
    fn json_stays_as_it_is_on_one_line() {
        let text = "{\"a\" :\n 1.00}";
        assert_eq!(
            json(Dialect::Postgres, ColumnKind::Json, text).as_deref(),
            Some("{\"a\" :  1.00}")
        );
        assert_eq!(json(Dialect::Sqlite, ColumnKind::Json, "{broken"), None);
    }
}
