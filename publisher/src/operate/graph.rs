//! `graph`: which tables and columns make which documents, and where these go. One graph for all documents.

mod draw;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::apply::{self, Apply, ApplyError};
use crate::catalogue::Catalogue;
use crate::document::{Document, Role, SourceId};
use crate::handwritten::Declaration;
use crate::plan;

/// A change of one of the columns of a table rebuilds documents; they go to their targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    pub tables: Vec<TableNode>,
    pub documents: Vec<DocumentNode>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableNode {
    /// As documents call it.
    pub table: String,
    /// Columns that some document uses.
    pub columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentNode {
    pub document: String,
    /// Target, and its index where the document names one.
    pub targets: Vec<TargetUse>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetUse {
    pub target: String,
    pub index: Option<String>,
}

/// From a table to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    pub table: String,
    pub document: String,
    /// What the table's rows are there: `root`, `each store`, `category › product` (nested), `junction to category`,
    /// `product.brand` (a column through a foreign key). In the order of the declaration, each once.
    pub roles: Vec<String>,
    /// Columns whose change matters to this document.
    pub columns: Vec<String>,
}

impl Apply<'_> {
    /// The graph of all documents, those of programs too.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn graph(&self) -> Result<Graph, ApplyError> {
        let targets: Vec<&str> = self.targets.keys().map(String::as_str).collect();
        let (catalogue, documents) = apply::check(self.store, self.files, &targets).await?;
        let mut graph = graph(&documents, &catalogue, &targets);
        let standing = self.standing_if_any().await?;
        for declaration in self.publishers.declared(&standing.definitions) {
            graph.add_handwritten(&declaration, &declaration.uses(&catalogue)?, &targets);
        }
        Ok(graph)
    }
}

impl Graph {
    /// What a table is to code that somebody wrote is not known.
    fn add_handwritten(
        &mut self,
        declaration: &Declaration,
        uses: &BTreeMap<String, plan::TableUse>,
        configured: &[&str],
    ) {
        for (table, used) in uses {
            let edge = Edge {
                table: table.clone(),
                document: declaration.document.clone(),
                roles: vec!["written in Rust".to_owned()],
                columns: column_names(used),
            };
            let node = match self.tables.iter_mut().position(|node| node.table == *table) {
                Some(at) => &mut self.tables[at],
                None => {
                    self.tables.push(TableNode {
                        table: table.clone(),
                        columns: Vec::new(),
                    });
                    let last = self.tables.len() - 1;
                    &mut self.tables[last]
                }
            };
            node.columns.extend(edge.columns.iter().cloned());
            node.columns.sort_unstable();
            node.columns.dedup();
            self.edges.push(edge);
        }
        let all = || configured.iter().map(|name| ((*name).to_owned(), None)).collect();
        let targets = declaration.targets.clone().unwrap_or_else(all);
        let targets = targets
            .into_iter()
            .map(|(target, index)| TargetUse { target, index });
        self.documents.push(DocumentNode {
            document: declaration.document.clone(),
            targets: targets.collect(),
        });
        self.tables.sort_by(|a, b| a.table.cmp(&b.table));
        self.sort_edges();
    }

    fn sort_edges(&mut self) {
        self.edges
            .sort_by(|a, b| (&a.table, &a.document).cmp(&(&b.table, &b.document)));
    }
}

fn column_names(used: &plan::TableUse) -> Vec<String> {
    let name = |column: &usize| used.table.columns[*column].name.clone();
    used.watched.iter().map(name).collect()
}

/// The graph of checked documents. `targets` are the configured ones.
#[must_use]
pub fn graph(documents: &[Document], catalogue: &Catalogue, targets: &[&str]) -> Graph {
    let mut graph = Graph::default();
    let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for document in documents {
        for edge in edges(document, catalogue) {
            let known = columns.entry(edge.table.clone()).or_default();
            known.extend(edge.columns.iter().cloned());
            graph.edges.push(edge);
        }
        graph.documents.push(DocumentNode {
            document: document.name.clone(),
            targets: target_uses(document, targets),
        });
    }
    let node = |(table, columns): (String, BTreeSet<String>)| TableNode {
        table,
        columns: columns.into_iter().collect(),
    };
    graph.tables = columns.into_iter().map(node).collect();
    graph.sort_edges();
    graph
}

fn edges(document: &Document, catalogue: &Catalogue) -> Vec<Edge> {
    let uses = plan::uses(document, catalogue);
    let edge = |(table, used): (&String, &plan::TableUse)| {
        let mut roles = Vec::new();
        for source in 0..document.sources.len() {
            let role = role(document, source);
            if document.sources[source].table == used.table && !roles.contains(&role) {
                roles.push(role);
            }
        }
        let queries = document.sources.iter().filter_map(|source| source.query.as_ref());
        for query in queries {
            let role = format!("query {}", query.name);
            if query.depends.iter().any(|depends| depends.table == used.table) && !roles.contains(&role) {
                roles.push(role);
            }
        }
        Edge {
            table: table.clone(),
            document: document.name.clone(),
            roles,
            columns: column_names(used),
        }
    };
    uses.iter().map(edge).collect()
}

fn role(document: &Document, source: SourceId) -> String {
    match &document.sources[source].role {
        Role::Root => "root".to_owned(),
        Role::Scope { name, .. } => format!("each {name}"),
        Role::Via { .. } => format!("junction to {}", table_of(document, document.joined_to(source))),
        Role::Exists { parent, .. } => format!("condition of {}", role(document, *parent)),
        Role::Lookup { parent } => format!("{}.{}", table_of(document, *parent), table_of(document, source)),
        Role::Node { parent, .. } => {
            let table = table_of(document, source);
            match document.sources[*parent].role {
                Role::Node { .. } => format!("{} › {table}", role(document, *parent)),
                _ => table.to_owned(),
            }
        }
    }
}

fn table_of(document: &Document, source: SourceId) -> &str {
    &document.sources[source].table.name
}

fn target_uses(document: &Document, configured: &[&str]) -> Vec<TargetUse> {
    match &document.targets {
        Some(uses) => uses
            .iter()
            .map(|(target, binding)| TargetUse {
                target: target.clone(),
                index: binding.index.as_ref().map(ToString::to_string),
            })
            .collect(),
        None => configured
            .iter()
            .map(|target| TargetUse {
                target: (*target).to_owned(),
                index: None,
            })
            .collect(),
    }
}
