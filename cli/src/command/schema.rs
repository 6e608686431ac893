//! `schema`: what files and documents look like, for editors and for those who read documents.

use pubsync_publisher::language;
use pubsync_publisher::operate::apply;
use pubsync_publisher::plan::result_schema;
use serde_json::Value as Json;

use super::SchemaOf;
use super::apply::files;
use crate::config::{self, Config};
use crate::fail::Fail;
use crate::terminal::print;
use crate::wiring::{self, FEW};

/// What takes no configuration and no database.
pub fn of_files(of: &SchemaOf) -> Option<Json> {
    match of {
        SchemaOf::Document => Some(language::json_schema()),
        SchemaOf::Config => Some(config::json_schema()),
        SchemaOf::Result { .. } => None,
    }
}

pub async fn schema(config: Config, of: &SchemaOf, json: bool) -> Result<(), Fail> {
    let found = match of {
        SchemaOf::Result { document } => of_result(config, document).await?,
        SchemaOf::Document => language::json_schema(),
        SchemaOf::Config => config::json_schema(),
    };
    show(&found, json);
    Ok(())
}

async fn of_result(config: Config, name: &str) -> Result<Json, Fail> {
    let files = files(&config)?;
    let wired = wiring::wire(config, FEW).await?;
    let targets: Vec<&str> = wired.config.targets.keys().map(String::as_str).collect();
    let (_, documents) = apply::check(&wired.store, &files, &targets).await?;
    let found = documents.iter().find(|document| document.name == name);
    let Some(document) = found else {
        let names: Vec<&str> = documents.iter().map(|document| document.name.as_str()).collect();
        return Err(Fail::Usage(format!(
            "no file declares a document \"{name}\"; they declare: {}",
            names.join(", ")
        )));
    };
    Ok(result_schema(document, wired.store.dialect()))
}

/// `--json` puts it on one line.
pub fn show(schema: &Json, json: bool) {
    print(json, schema, || {
        serde_json::to_string_pretty(schema).unwrap_or_default()
    });
}
