//! Definitions compiled for work: what this process can build, relay and find roots for.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use pubsync_schema::definition::Definition;
use pubsync_schema::pause::{self, Subject};
use pubsync_synchronizer::street::Street;
use sea_orm::DbErr;

use crate::catalogue::{self, Catalogue};
use crate::declarative::Declarative;
use crate::document::Life;
use crate::handwritten::Publishers;
use crate::language::{self, SourceFile};
use crate::plan::{DocumentPlan, TableUse};
use crate::publish::share::Weight;
use crate::publisher::Publisher;

/// A document that this process can work on.
pub struct Compiled {
    pub definition: Definition,
    /// By the catalogue's name of the table.
    pub uses: BTreeMap<String, TableUse>,
    pub life: Life,
    pub publisher: Arc<dyn Publisher>,
    /// Whether this process can build it; else it only relays for it.
    pub is_here: bool,
    /// How large its documents are.
    pub weight: Weight,
}

impl Compiled {
    /// What the document uses of a table whose changes concern it: of none where the application announces them.
    #[must_use]
    pub fn uses(&self, table: &str) -> Option<&TableUse> {
        self.uses.get(table).filter(|_| !self.life.manual)
    }
}

type Documents = BTreeMap<String, Arc<Compiled>>;

/// All compiled documents of this process. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    street: Street,
    publishers: Publishers,
    documents: Arc<RwLock<Arc<Documents>>>,
    /// Documents that cannot be compiled, with the number that cannot.
    unusable: Arc<RwLock<BTreeMap<String, i64>>>,
}

impl Registry {
    /// Compiles what is defined now, with the publishers of files only.
    ///
    /// # Errors
    /// Of the database.
    pub async fn load(street: &Street) -> Result<Self, DbErr> {
        Self::load_with(street, &Publishers::default()).await
    }

    /// Compiles what is defined now; `publishers` are those that this program brings along.
    ///
    /// # Errors
    /// Of the database.
    pub async fn load_with(street: &Street, publishers: &Publishers) -> Result<Self, DbErr> {
        let registry = Self {
            street: street.clone(),
            publishers: publishers.clone(),
            documents: Arc::default(),
            unusable: Arc::default(),
        };
        registry.refresh().await?;
        Ok(registry)
    }

    /// A document that this process can build.
    #[must_use]
    pub fn get(&self, document: &str) -> Option<Arc<Compiled>> {
        self.all()
            .get(document)
            .filter(|compiled| compiled.is_here)
            .cloned()
    }

    #[must_use]
    pub fn all(&self) -> Arc<Documents> {
        self.documents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this process has looked at this number of a document. One that cannot be compiled is known too: it is
    /// paused, and the `apply` that ends the pause rebuilds it as a whole, so what is not routed to it meanwhile is
    /// not lost.
    #[must_use]
    pub fn knows(&self, document: &str, number: i64) -> bool {
        let all = self.all();
        let compiled = all.get(document).is_some_and(|c| c.definition.number == number);
        compiled
            || self
                .unusable
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(document)
                == Some(&number)
    }

    /// Whether these are all documents of this process, in the numbers that it has looked at.
    #[must_use]
    pub fn is_current(&self, numbers: &[(String, i64)]) -> bool {
        numbers.len() >= self.all().len()
            && numbers
                .iter()
                .all(|(document, number)| self.knows(document, *number))
    }

    /// Puts a publisher of one's own in the place of the declarative one, until a newer definition comes.
    pub fn replace(&self, compiled: Arc<Compiled>) {
        let mut documents = self.documents.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut documents).insert(compiled.definition.document.clone(), compiled);
    }

    /// Compiles definitions that are new or changed. One that cannot be compiled pauses its document; the others go
    /// on.
    ///
    /// # Errors
    /// Of the database.
    pub async fn refresh(&self) -> Result<(), DbErr> {
        let wanted = self.street.definitions.current();
        let known = self.all();
        let unchanged = |d: &Definition| {
            known
                .get(&d.document)
                .is_some_and(|c| c.definition.number == d.number)
        };
        if known.len() == wanted.len() && wanted.iter().all(unchanged) {
            return Ok(());
        }
        let store = &self.street.store;
        let mut catalogue = catalogue::introspect(&store.read, store.dialect(), store.names.name()).await?;
        let files: Vec<SourceFile> = wanted.iter().map(file).collect();
        let statements = language::statements(&files, &catalogue);
        catalogue::describe(&store.write, store.dialect(), &mut catalogue, statements).await?;
        let mut documents = Documents::new();
        let mut unusable = BTreeMap::new();
        for definition in wanted.iter() {
            let kept = known
                .get(&definition.document)
                .filter(|c| c.definition.number == definition.number);
            let compiled = match kept {
                Some(compiled) => compiled.clone(),
                None => match self.compile(&catalogue, definition) {
                    Ok(compiled) => Arc::new(compiled),
                    Err(reason) => {
                        self.stand_still(&definition.document, &reason).await?;
                        unusable.insert(definition.document.clone(), definition.number);
                        continue;
                    }
                },
            };
            documents.insert(definition.document.clone(), compiled);
        }
        *self.documents.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(documents);
        *self.unusable.write().unwrap_or_else(PoisonError::into_inner) = unusable;
        Ok(())
    }

    fn compile(&self, catalogue: &Catalogue, definition: &Definition) -> Result<Compiled, String> {
        match self.publishers.compile(&self.street, catalogue, definition) {
            Some(compiled) => compiled.map_err(|mistake| mistake.to_string()),
            None => compile(&self.street, catalogue, definition),
        }
    }

    async fn stand_still(&self, document: &str, reason: &str) -> Result<(), DbErr> {
        let reason = format!(
            "{reason}: the definition and the tables do not fit; adapt the document or the tables, then `pubsync apply` \
             (it rebuilds what was missed)"
        );
        tracing::error!(document, reason, "definition cannot be used; document paused");
        let store = &self.street.store;
        pause::set(
            &store.write,
            store,
            &Subject::Document(document.to_owned()),
            &reason,
            None,
        )
        .await
    }
}

/// The document as it was applied.
fn file(definition: &Definition) -> SourceFile {
    SourceFile {
        name: format!("{}.yaml", definition.document),
        text: definition.yaml.clone(),
    }
}

/// From stored YAML to a plan, against the tables of now.
fn compile(street: &Street, catalogue: &Catalogue, definition: &Definition) -> Result<Compiled, String> {
    let targets: Vec<&String> = definition.shape.targets.keys().collect();
    let documents = language::check(&[file(definition)], catalogue, &targets).map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })?;
    let document = documents
        .into_iter()
        .next()
        .ok_or_else(|| "the definition is empty".to_owned())?;
    let plan = Arc::new(DocumentPlan::new(document, catalogue, &street.store.names));
    let publisher = Arc::new(Declarative::new(plan.clone(), street.store.dialect()));
    Ok(Compiled {
        definition: definition.clone(),
        uses: plan.uses.clone(),
        life: plan.document.life.clone(),
        publisher,
        is_here: true,
        weight: Weight::default(),
    })
}
