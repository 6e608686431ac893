//! `schema`: what files look like, for editors.

use pubsync_publisher::language;
use serde_json::Value as Json;

use super::SchemaOf;
use crate::config;
use crate::terminal::print;

/// Takes no configuration and no database.
pub fn of_files(of: &SchemaOf, json: bool) {
    show(
        &match of {
            SchemaOf::Document => language::json_schema(),
            SchemaOf::Config => config::json_schema(),
        },
        json,
    );
}

/// `--json` puts it on one line.
fn show(schema: &Json, json: bool) {
    print(json, schema, || {
        serde_json::to_string_pretty(schema).unwrap_or_default()
    });
}
