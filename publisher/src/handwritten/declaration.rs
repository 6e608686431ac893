//! What must be known of a handwritten document besides its code: name, key, targets, and what to capture.

use std::collections::BTreeMap;

use pubsync_schema::definition::Definition;
use pubsync_schema::shape::{Binding, KeyPart, KeyPattern, Shape, SyncMode, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::catalogue::{Catalogue, Table};
use crate::language;
use crate::plan::TableUse;

/// A document whose publisher is written in Rust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    pub document: String,
    /// Of what the code makes: a higher one rebuilds all documents.
    pub version: u32,
    /// Template of all keys, as in a file: `price_list:{customer}`. The names between braces are for people.
    pub key: String,
    /// By the name that documents use for the table.
    pub captures: BTreeMap<String, Captured>,
    /// Index by target; all configured targets where left out.
    pub targets: Option<BTreeMap<String, Option<String>>>,
    pub sync: Option<SyncMode>,
    /// Properties of the OpenSearch mapping.
    pub mapping: Json,
}

/// What matters of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    /// Columns by which the publisher finds roots: changes bring their old and new values along, and those of the
    /// primary key.
    pub finds: Vec<String>,
    /// Other columns whose change can change a document.
    pub reads: Vec<String>,
}

/// Why a declaration does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {document:?}, written in Rust: {problem}")]
pub struct Mistake {
    pub document: String,
    pub problem: String,
}

/// How it is stored: JSON, which is YAML too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    rust: Declaration,
}

impl Declaration {
    /// A document with this key template, for all targets. `version`: of what its code makes.
    #[must_use]
    pub fn new(document: &str, key: &str, version: u32) -> Self {
        Self {
            document: document.to_owned(),
            version,
            key: key.to_owned(),
            captures: BTreeMap::new(),
            targets: None,
            sync: None,
            mapping: Json::Object(serde_json::Map::new()),
        }
    }

    /// Captures changes of a table: `finds` are the columns that lead to roots, `reads` the others that matter.
    #[must_use]
    pub fn captures(mut self, table: &str, finds: &[&str], reads: &[&str]) -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let captured = Captured {
            finds: own(finds),
            reads: own(reads),
        };
        self.captures.insert(table.to_owned(), captured);
        self
    }

    /// Goes to this target, and to no other that is not named too.
    #[must_use]
    pub fn target(mut self, name: &str, index: Option<&str>) -> Self {
        let targets = self.targets.get_or_insert_default();
        targets.insert(name.to_owned(), index.map(str::to_owned));
        self
    }

    /// The `properties` of the OpenSearch mapping.
    #[must_use]
    pub fn mapping(mut self, properties: Json) -> Self {
        self.mapping = properties;
        self
    }

    /// The declaration that a definition holds; `None` where it is that of a file.
    #[must_use]
    pub fn of(definition: &Definition) -> Option<Self> {
        let stored: Stored = serde_json::from_str(&definition.yaml).ok()?;
        Some(stored.rust)
    }

    /// What is stored of it.
    #[must_use]
    pub fn text(&self) -> String {
        let stored = Stored { rust: self.clone() };
        let mut text = serde_json::to_string_pretty(&stored).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Its shape, but for the types of columns.
    ///
    /// # Errors
    /// A name, key or target that cannot be.
    pub fn shape(&self, configured: &[&str]) -> Result<Shape, Mistake> {
        if !language::is_document_name(&self.document) {
            return Err(
                self.mistake("lower case letters, digits, - and _ make a name, it starts with a letter")
            );
        }
        let binding = |index: Option<&String>| Binding {
            index: index.map(|index| Template::text(index)),
            ..Binding::default()
        };
        let targets: BTreeMap<String, Binding> = match &self.targets {
            None => configured
                .iter()
                .map(|name| ((*name).to_owned(), binding(None)))
                .collect(),
            Some(named) => named
                .iter()
                .map(|(name, index)| (name.clone(), binding(index.as_ref())))
                .collect(),
        };
        if let Some(name) = targets.keys().find(|name| !configured.contains(&name.as_str())) {
            let list = configured.join(", ");
            return Err(self.mistake(format!("no target {name:?} is configured; there are: {list}")));
        }
        Ok(Shape {
            document: self.document.clone(),
            queue: self.document.clone(),
            key: self.key_pattern()?,
            aliases: Vec::new(),
            targets,
            sync: self.sync,
            inline_limit: None,
            mapping: self.mapping.clone(),
            columns: BTreeMap::new(),
        })
    }

    fn key_pattern(&self) -> Result<KeyPattern, Mistake> {
        let pattern = language::template_pattern(&self.key).map_err(|problem| self.mistake(problem))?;
        let has_value = pattern.0.iter().any(|part| matches!(part, KeyPart::Value(_)));
        if has_value {
            Ok(pattern)
        } else {
            Err(self.mistake("the key holds no {value}, so its documents would share one key"))
        }
    }

    /// What it uses of each table.
    ///
    /// # Errors
    /// A table or column that is not there.
    pub fn uses(&self, catalogue: &Catalogue) -> Result<BTreeMap<String, TableUse>, Mistake> {
        if self.captures.is_empty() {
            return Err(self.mistake("it captures no table, so no change would ever reach it"));
        }
        let used = |(name, captured): (&String, &Captured)| {
            let table = catalogue
                .tables
                .get(name)
                .ok_or_else(|| self.mistake(format!("no table {name:?}")))?;
            let column = |column: &String| {
                let missing = || self.mistake(format!("no column {column:?} in table {name:?}"));
                table.column(column).ok_or_else(missing)
            };
            let finds: Vec<usize> = captured.finds.iter().map(column).collect::<Result<_, _>>()?;
            let reads: Vec<usize> = captured.reads.iter().map(column).collect::<Result<_, _>>()?;
            let carried = table.primary_key.iter().copied().chain(finds).collect();
            let mut one = TableUse {
                table: table.clone(),
                watched: reads.into_iter().collect(),
                carried,
            };
            one.watched.extend(&one.carried);
            self.has_identity(name, table, &one)?;
            Ok((name.clone(), one))
        };
        self.captures.iter().map(used).collect()
    }

    fn has_identity(&self, name: &str, table: &Table, used: &TableUse) -> Result<(), Mistake> {
        if used.carried.is_empty() {
            debug_assert!(table.primary_key.is_empty());
            return Err(self.mistake(format!(
                "table {name:?} has no primary key, so name columns by which its changes find roots"
            )));
        }
        Ok(())
    }

    pub fn mistake(&self, problem: impl Into<String>) -> Mistake {
        Mistake {
            document: self.document.clone(),
            problem: problem.into(),
        }
    }
}
