//! Publishers that a program brings along, written in Rust, beside those of YAML files.
//!
//! What is stored of such a document is its [`Declaration`] alone, so every process can relay for it, capture for it and
//! keep its targets; only processes whose program has the publisher, in the declared version, build it.

mod declaration;
mod guard;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pubsync_schema::definition::Definition;
use pubsync_synchronizer::street::Street;

use crate::catalogue::Catalogue;
use crate::document::Life;
use crate::publish::share::Weight;
use crate::publisher::Publisher;
use crate::registry::Compiled;
pub use declaration::{Captured, Declaration, Mistake};
use guard::{Elsewhere, Guard};

/// The publishers of one program. Cheap to clone.
#[derive(Clone, Default)]
pub struct Publishers {
    here: BTreeMap<String, (Declaration, Arc<dyn Publisher>)>,
    without: BTreeSet<String>,
}

impl Publishers {
    /// Adds one; of two with the same name the later one counts.
    pub fn add(&mut self, declaration: Declaration, publisher: impl Publisher + 'static) {
        let entry = (declaration.clone(), Arc::new(publisher) as Arc<dyn Publisher>);
        self.here.insert(declaration.document, entry);
    }

    /// Names a document of an earlier program that shall go.
    pub fn leave_out(&mut self, document: &str) {
        self.without.insert(document.to_owned());
    }

    /// What is to stand: this program's declarations, and those that another program has applied.
    #[must_use]
    pub fn declared(&self, standing: &BTreeMap<String, Definition>) -> Vec<Declaration> {
        let others = standing.values().filter_map(Declaration::of);
        let others = others.filter(|other| {
            !self.here.contains_key(&other.document) && !self.without.contains(&other.document)
        });
        let own = self.here.values().map(|(declaration, _)| declaration.clone());
        own.chain(others).collect()
    }

    /// What a process can do for the document; `None` where it is no handwritten one.
    ///
    /// # Errors
    /// What the tables lack.
    #[must_use]
    pub fn compile(
        &self,
        street: &Street,
        catalogue: &Catalogue,
        definition: &Definition,
    ) -> Option<Result<Compiled, Mistake>> {
        let declaration = Declaration::of(definition)?;
        let ours = self.here.get(&declaration.document);
        let ours = ours.filter(|(here, _)| *here == declaration);
        let publisher: Arc<dyn Publisher> = match ours {
            Some((_, publisher)) => Arc::new(Guard::new(publisher.clone(), street, definition)),
            None => {
                let document = &declaration.document;
                tracing::warn!(
                    document,
                    "this program has no publisher of this name and version: it relays, and leaves building to others"
                );
                Arc::new(Elsewhere)
            }
        };
        Some(declaration.uses(catalogue).map(|uses| Compiled {
            definition: definition.clone(),
            uses,
            life: Life::default(),
            publisher,
            is_here: ours.is_some(),
            weight: Weight::default(),
        }))
    }
}
