//! A graph as text, as Mermaid and as Graphviz DOT.

use std::collections::BTreeMap;

use super::{DocumentNode, Edge, Graph, TargetUse};

/// Lines of a drawing.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn push(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

impl Graph {
    /// Each table with the documents that it makes, then each document with its targets.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Lines::default();
        for node in &self.tables {
            out.push(&node.table);
            for edge in self.edges.iter().filter(|edge| edge.table == node.table) {
                let (document, roles) = (&edge.document, edge.roles.join(", "));
                out.push(&format!(
                    "  → {document} as {roles} ({})",
                    edge.columns.join(", ")
                ));
            }
        }
        for DocumentNode { document, targets } in &self.documents {
            out.push(&format!(
                "{document} ⇒ {}",
                targets.iter().map(target).collect::<Vec<_>>().join(", ")
            ));
        }
        out.0
    }

    /// A flow chart that GitHub and GitLab draw.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let ids = Ids::of(self);
        let mut out = Lines("flowchart LR\n".to_owned());
        for node in &self.tables {
            let text = mermaid_text(&format!("{}\n{}", node.table, node.columns.join(", ")));
            out.push(&format!("  {}[(\"{text}\")]", ids.table(&node.table)));
        }
        for node in &self.documents {
            out.push(&format!(
                "  {}[\"{}\"]",
                ids.document(&node.document),
                mermaid_text(&node.document)
            ));
        }
        for name in ids.targets.keys() {
            out.push(&format!("  {}([\"{}\"])", ids.target(name), mermaid_text(name)));
        }
        for Edge {
            table,
            document,
            roles,
            ..
        } in &self.edges
        {
            let label = mermaid_text(&roles.join("\n"));
            out.push(&format!(
                "  {} -->|\"{label}\"| {}",
                ids.table(table),
                ids.document(document)
            ));
        }
        for (node, used) in self.uses() {
            let label = used
                .index
                .as_ref()
                .map(|index| format!("|\"{}\"|", mermaid_text(index)));
            let (from, to) = (ids.document(&node.document), ids.target(&used.target));
            out.push(&format!("  {from} ==>{} {to}", label.unwrap_or_default()));
        }
        out.0
    }

    /// For `dot -Tsvg`.
    #[must_use]
    pub fn dot(&self) -> String {
        let ids = Ids::of(self);
        let mut out = Lines("digraph pubsync {\n  rankdir=LR;\n".to_owned());
        for node in &self.tables {
            let text = dot_text(&format!("{}\n{}", node.table, node.columns.join(", ")));
            out.push(&format!(
                "  {} [shape=cylinder, label={text}];",
                ids.table(&node.table)
            ));
        }
        for node in &self.documents {
            let text = dot_text(&node.document);
            out.push(&format!(
                "  {} [shape=box, label={text}];",
                ids.document(&node.document)
            ));
        }
        for name in ids.targets.keys() {
            out.push(&format!(
                "  {} [shape=oval, label={}];",
                ids.target(name),
                dot_text(name)
            ));
        }
        for Edge {
            table,
            document,
            roles,
            ..
        } in &self.edges
        {
            let label = dot_text(&roles.join("\n"));
            out.push(&format!(
                "  {} -> {} [label={label}];",
                ids.table(table),
                ids.document(document)
            ));
        }
        for (node, used) in self.uses() {
            let label = used
                .index
                .as_ref()
                .map(|index| format!(", label={}", dot_text(index)));
            let (from, to) = (ids.document(&node.document), ids.target(&used.target));
            out.push(&format!(
                "  {from} -> {to} [style=bold{}];",
                label.unwrap_or_default()
            ));
        }
        out.push("}");
        out.0
    }

    fn uses(&self) -> impl Iterator<Item = (&DocumentNode, &TargetUse)> {
        let of_one = |node| move |used| (node, used);
        self.documents
            .iter()
            .flat_map(move |node| node.targets.iter().map(of_one(node)))
    }
}

fn target(used: &TargetUse) -> String {
    match &used.index {
        Some(index) => format!("{} (index {index})", used.target),
        None => used.target.clone(),
    }
}

/// Names of nodes in a drawing: tables, documents and targets may be called the same.
struct Ids<'a> {
    tables: BTreeMap<&'a str, usize>,
    documents: BTreeMap<&'a str, usize>,
    targets: BTreeMap<&'a str, usize>,
}

impl<'a> Ids<'a> {
    fn of(graph: &'a Graph) -> Self {
        let tables = graph.tables.iter().map(|node| node.table.as_str());
        let documents = graph.documents.iter().map(|node| node.document.as_str());
        Self {
            tables: numbered(tables),
            documents: numbered(documents),
            targets: numbered(graph.uses().map(|(_, used)| used.target.as_str())),
        }
    }

    fn table(&self, name: &str) -> String {
        id("t", &self.tables, name)
    }

    fn document(&self, name: &str) -> String {
        id("d", &self.documents, name)
    }

    fn target(&self, name: &str) -> String {
        id("g", &self.targets, name)
    }
}

fn numbered<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut all: Vec<&str> = names.collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().zip(1..).collect()
}

fn id(kind: &str, numbers: &BTreeMap<&str, usize>, name: &str) -> String {
    format!("{kind}{}", numbers.get(name).copied().unwrap_or_default())
}

fn mermaid_text(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('\n', "<br>")
}

fn dot_text(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
