//! The value of `{ sql: … }`.

use super::assemble::{Assembly, Fault};
use super::json::base64_of_hex;
use super::load::Row;
use super::value::{Form, form};
use crate::catalogue::ColumnKind;
use crate::document::SourceId;

impl Assembly<'_> {
    pub(super) fn expression(&mut self, step: SourceId, out: &mut Vec<u8>) -> Result<(), Fault> {
        let rows = self.rows(step);
        let fault = |this: &Self, what: String| {
            let step = this.plan.steps[step].as_ref();
            let label = step.map(|step| this.plan.label(step)).unwrap_or_default();
            ("value", format!("{label} {what}"))
        };
        let [row] = rows else {
            // An aggregate on SQLite, a function that gives a set on PostgreSQL.
            let what = format!("gives {} values for one row", rows.len());
            return Err(fault(self, what));
        };
        match json(row) {
            Some(Ok(json)) => out.extend_from_slice(json.as_bytes()),
            Some(Err(text)) => {
                let shown: String = text.chars().take(60).collect();
                return Err(fault(self, format!("is {shown:?}, which has no JSON form")));
            }
            None => out.extend_from_slice(b"null"),
        }
        Ok(())
    }
}

/// `None`: null. The error is the text that has no form.
fn json(row: &Row) -> Option<Result<String, &str>> {
    let text = row[0].as_deref()?;
    let json = match row[1].as_deref() {
        Some("bytes") => {
            let hex = text.trim_matches('"');
            let base64 = base64_of_hex(hex.strip_prefix("\\\\x").unwrap_or(hex));
            base64.map(|base64| format!("\"{base64}\""))
        }
        Some(_) => Some(match text.strip_suffix("+00:00\"") {
            Some(utc) => format!("{utc}Z\""),
            None => text.to_owned(),
        }),
        // As strict as SQLite needs it: whatever calls itself JSON there.
        None => match form(pubsync_schema::dialect::Dialect::Sqlite, &ColumnKind::Json, text) {
            Some(Form::Bare(json) | Form::Quoted(json)) => Some(json.into_owned()),
            None => None,
        },
    };
    Some(json.ok_or(text))
}
