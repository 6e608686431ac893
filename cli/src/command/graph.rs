//! `graph`: draws what the library finds out.

use pubsync_publisher::handwritten::Publishers;

use super::GraphFormat;
use super::apply::{files, work};
use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::print;
use crate::wiring::{self, FEW};

pub async fn graph(
    config: Config,
    publishers: &Publishers,
    format: GraphFormat,
    json: bool,
) -> Result<(), Fail> {
    let files = files(&config)?;
    let wired = wiring::wire(config, FEW).await?;
    let url = wired.config.database.url();
    let graph = work(&wired, &url, publishers, &files).graph().await?;
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
