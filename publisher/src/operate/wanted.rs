//! What the documents ask for: from files to definitions, and to what is captured for all of them.

use std::collections::BTreeMap;

use pubsync_schema::definition::Definition;
use pubsync_schema::names::{Lane, Names};
use pubsync_schema::shape::{Binding, Shape};

use super::compare::Targets;
use super::plan::Statement;
use crate::capture::{self, Capture};
use crate::catalogue::Catalogue;
use crate::document::Document;
use crate::handwritten::{Declaration, Mistake};
use crate::hash::hash;
use crate::language::{self, SourceFile};
use crate::plan::{DocumentPlan, TableUse};

/// A document as it is declared now.
pub struct Wanted {
    /// Number 0: it gets one when it is stored.
    pub definition: Definition,
    /// The file that declares it, or that it is written in Rust.
    pub file: String,
    /// By the catalogue's name of the table; empty where the application announces changes.
    pub uses: BTreeMap<String, TableUse>,
    /// All SELECTs and reverse paths.
    pub statements: Vec<Statement>,
}

/// Documents and the files that they came from, in the same order. `targets` are the configured ones.
pub fn wanted(
    documents: Vec<Document>,
    files: &[SourceFile],
    catalogue: &Catalogue,
    names: &Names,
    targets: &Targets,
) -> Vec<Wanted> {
    let one = |(document, file): (Document, &SourceFile)| {
        let plan = DocumentPlan::new(document, catalogue, names);
        let statements: Vec<_> = plan.statements().into_iter().map(Statement::from).collect();
        Wanted {
            definition: definition(&plan, &statements, &file.text, targets),
            file: file.name.clone(),
            statements,
            uses: match plan.document.life.manual {
                true => BTreeMap::new(),
                false => plan.uses,
            },
        }
    };
    documents.into_iter().zip(files).map(one).collect()
}

fn definition(plan: &DocumentPlan, statements: &[Statement], yaml: &str, targets: &Targets) -> Definition {
    let document = &plan.document;
    let mut bindings: BTreeMap<String, Binding> = match &document.targets {
        Some(list) => list.iter().cloned().collect(),
        None => targets
            .keys()
            .map(|name| (name.clone(), Binding::default()))
            .collect(),
    };
    for (name, binding) in &mut bindings {
        binding.aliases = targets.get(name).is_some_and(|target| target.holds_aliases());
    }
    let columns = columns(&plan.uses);
    Definition {
        document: document.name.clone(),
        number: 0,
        fingerprint: fingerprint(statements, yaml, &columns),
        yaml: yaml.to_owned(),
        shape: Shape {
            document: document.name.clone(),
            queue: document.queue.clone().unwrap_or_else(|| document.name.clone()),
            key: language::key_pattern(document),
            aliases: language::alias_patterns(document),
            targets: bindings,
            sync: document.sync,
            inline_limit: document.inline_limit,
            mapping: plan.mapping.clone(),
            columns,
        },
    }
}

/// Documents written in Rust: what their declarations ask for.
///
/// # Errors
/// Of the first declaration that does not fit the tables, the targets, or the other documents.
pub fn handwritten(
    declarations: &[Declaration],
    catalogue: &Catalogue,
    targets: &Targets,
    others: &[Wanted],
) -> Result<Vec<Wanted>, Mistake> {
    let names: Vec<&str> = targets.keys().map(String::as_str).collect();
    let mut all: Vec<Wanted> = Vec::new();
    for declaration in declarations {
        let uses = declaration.uses(catalogue)?;
        let mut shape = declaration.shape(&names)?;
        shape.columns = columns(&uses);
        let yaml = declaration.text();
        let mut text = yaml.clone();
        append_columns(&shape.columns, &mut text);
        if let Some(problem) = others
            .iter()
            .chain(&all)
            .find_map(|other| clash(&shape, &other.definition.shape))
        {
            return Err(declaration.mistake(problem));
        }
        all.push(Wanted {
            definition: Definition {
                document: declaration.document.clone(),
                number: 0,
                fingerprint: hash(&text),
                yaml,
                shape,
            },
            file: "written in Rust".to_owned(),
            uses,
            statements: Vec::new(),
        });
    }
    Ok(all)
}

/// What two documents cannot share.
fn clash(a: &Shape, b: &Shape) -> Option<String> {
    if a.document == b.document {
        return Some("a file declares a document of this name too".to_owned());
    }
    let shared: Vec<&String> = a
        .targets
        .keys()
        .filter(|name| b.targets.contains_key(*name))
        .collect();
    let keys = || b.aliases.iter().chain([&b.key]);
    if !shared.is_empty() && keys().any(|key| key.collides(&a.key)) {
        return Some(format!(
            "its keys could be those of document {:?}: let them begin with different text",
            b.document
        ));
    }
    let index = |shape: &Shape, target: &String| shape.collection(target).map(|collection| collection.index);
    let same = shared.iter().find(|target| index(a, target) == index(b, target));
    same.map(|target| {
        format!(
            "its index on target {target:?} belongs to document {:?} already",
            b.document
        )
    })
}

/// Types of used columns, as `table.column`.
fn columns(uses: &BTreeMap<String, TableUse>) -> BTreeMap<String, String> {
    let of_table = |(table, used): (&String, &TableUse)| {
        let typed = |&column: &usize| {
            let column = &used.table.columns[column];
            (format!("{table}.{}", column.name), column.sql_type.clone())
        };
        used.watched.iter().map(typed).collect::<Vec<_>>()
    };
    uses.iter().flat_map(of_table).collect()
}

/// Of everything that the result depends on: the declaration, the SQL, and the types of the columns, which say what a
/// value becomes in JSON.
fn fingerprint(statements: &[Statement], yaml: &str, columns: &BTreeMap<String, String>) -> String {
    let mut text = yaml.to_owned();
    for Statement { name, sql } in statements {
        text.push_str(name);
        text.push_str(sql);
    }
    append_columns(columns, &mut text);
    hash(&text)
}

fn append_columns(columns: &BTreeMap<String, String>, text: &mut String) {
    for (name, sql_type) in columns {
        text.push_str(name);
        text.push_str(sql_type);
    }
}

/// What to capture, merged over all documents.
pub fn captures(wanted: &[Wanted]) -> Vec<Capture> {
    capture::merged(wanted.iter().flat_map(|one| &one.uses))
}

/// The queues of these documents, each once, in order.
pub fn queues<'a>(names: &Names, shapes: impl IntoIterator<Item = &'a Shape>) -> Vec<String> {
    let mut queues = Vec::new();
    for shape in shapes {
        for lane in [Lane::Live, Lane::Bulk] {
            queues.push(names.publish_queue(&shape.queue, lane));
            let sync = |target: &String| names.sync_queue(target, &shape.queue, lane);
            queues.extend(shape.targets.keys().map(sync));
        }
    }
    queues.sort_unstable();
    queues.dedup();
    queues
}
