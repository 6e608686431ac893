//! What every worker must know of a document without reading its declaration: where its results go and which keys
//! are its own. `apply` derives it from the declaration and stores it beside it in `definition`.

mod binding;
mod collection;
mod key;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use binding::{Binding, Only, Template};
pub use collection::Collection;
pub use key::{KeyPart, KeyPattern, encode_key_value, in_encoded_value};

/// The part of a definition that travels to workers which do not build documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    pub document: String,
    /// Names of queues: the document's own name, or the group that it shares (`queue: group`).
    pub queue: String,
    pub key: KeyPattern,
    /// Of the keys of aliases.
    #[serde(default)]
    pub aliases: Vec<KeyPattern>,
    /// By the target's name in the configuration.
    pub targets: BTreeMap<String, Binding>,
    /// `None`: as the configuration says.
    pub sync: Option<SyncMode>,
    /// Bodies over this many bytes travel as references; `None`: as the configuration says.
    pub inline_limit: Option<usize>,
    /// Properties of the OpenSearch mapping, derived from column types.
    pub mapping: serde_json::Value,
    /// Types of the columns that the document uses, as `table.column`: so that `plan` can say which one changed.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    Queue,
    Direct,
}

impl Shape {
    /// The view of this document that the named target gets; `None` where it does not go there.
    #[must_use]
    pub fn collection(&self, target: &str) -> Option<Collection> {
        let binding = self.targets.get(target)?;
        Some(Collection {
            index: binding
                .index
                .clone()
                .unwrap_or_else(|| Template::text(&self.document)),
            only: binding.only.clone(),
            derived: self.mapping.clone(),
            mapping: binding.mapping.clone().unwrap_or_default(),
            settings: binding.settings.clone().unwrap_or_default(),
            routing: binding.routing.clone(),
            aliases: if binding.aliases {
                self.aliases.clone()
            } else {
                Vec::new()
            },
            ..Collection::new(&self.document, self.key.clone())
        })
    }

    /// Whether aliases of this document go to the target; yes where the document does not go there at all.
    #[must_use]
    pub fn shows_aliases(&self, target: &str) -> bool {
        self.targets.get(target).is_none_or(|binding| binding.aliases)
    }
}
