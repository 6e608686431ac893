//! `graph`: which tables and columns make which documents, and where these go. One graph for all documents.

mod draw;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::document::{Document, Role, SourceId};
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
    graph
        .edges
        .sort_by(|a, b| (&a.table, &a.document).cmp(&(&b.table, &b.document)));
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
        let column = |column: &usize| used.table.columns[*column].name.clone();
        Edge {
            table: table.clone(),
            document: document.name.clone(),
            roles,
            columns: used.watched.iter().map(column).collect(),
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
