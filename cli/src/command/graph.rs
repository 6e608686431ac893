//! `graph`: draws what the library finds out.

use pubsync_publisher::operate::{apply, graph as graphs};

use super::GraphFormat;
use super::apply::files;
use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::print;
use crate::wiring::{self, FEW};

pub async fn graph(config: Config, format: GraphFormat, json: bool) -> Result<(), Fail> {
    let files = files(&config)?;
    let wired = wiring::wire(config, FEW).await?;
    let targets: Vec<&str> = wired.targets.keys().map(String::as_str).collect();
    let (catalogue, documents) = apply::check(&wired.store, &files, &targets).await?;
    let graph = graphs::graph(&documents, &catalogue, &targets);
    print(json, &graph, || {
        let drawn = match format {
            GraphFormat::Text => graph.text(),
            GraphFormat::Mermaid => graph.mermaid(),
            GraphFormat::Dot => graph.dot(),
        };
        drawn.trim_end().to_owned()
    });
    Ok(())
}
