//! From a checked document to everything that is derived from it: the SELECTs, the reverse paths, the columns that
//! matter and the index mapping. Pure: no database is asked.
//!
//! One SELECT per scope and node of the body. Its parameter is a batch of *instances*: the distinct combinations of
//! outer values (columns of rows of earlier sources) that its conditions need, each with a number. The answer's rows
//! carry the number of the instance that the database joined them to, so the worker never decides equality itself,
//! rows that many documents share are read once, and no SELECT repeats the joins above it.

mod aggregate;
pub mod dialect;
mod expression;
mod mapping;
mod recursion;
mod result;
mod reverse;
mod rows;
mod select;
mod slots;
mod template;
mod uses;
mod walk;

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;

use crate::catalogue::Catalogue;
use crate::document::{ColumnRef, Document, SourceId};

pub use aggregate::Fold;
pub use expression::ExpressionUse;
pub use mapping::mapping;
pub use recursion::Onward;
pub use result::result_schema;
pub use reverse::ReversePath;
pub use slots::Slot;
pub use template::{ColumnForm, Gathering, KeyPiece, Template};
pub use uses::{TableUse, uses};
pub use walk::{AllRoots, Pages, Position};

/// How one document is built and found. Made once per definition.
#[derive(Debug)]
pub struct DocumentPlan {
    pub document: Document,
    pub dialect: Dialect,
    /// Roots that exist and pass the document's `where`.
    pub root: RootSelect,
    /// One per scope and node, in an order in which outer values are always known. By source; `None` for the root and
    /// what is read with others. Then one for each expression.
    pub steps: Vec<Option<Step>>,
    /// In the order of their steps.
    pub expressions: Vec<ExpressionUse>,
    pub key: Vec<KeyPiece>,
    pub aliases: Vec<Vec<KeyPiece>>,
    pub body: Template,
    /// The body without the members that do not count when it is compared; `None`: all count.
    pub hashed: Option<Template>,
    /// By the catalogue's name of the table.
    pub uses: BTreeMap<String, TableUse>,
    /// From row images to roots, by the catalogue's name of the table.
    pub reverse: BTreeMap<String, ReversePath>,
    pub all_roots: AllRoots,
    /// Properties of the OpenSearch mapping.
    pub mapping: serde_json::Value,
}

/// The SELECT of the root's rows. `$1` holds `[number, id column, …]` for each root; answers number and columns.
#[derive(Debug)]
pub struct RootSelect {
    pub sql: String,
    /// How many columns stand after the number.
    pub width: usize,
    /// Places of the id's columns in the answer.
    pub id: Vec<Slot>,
    /// Also answers rows that `where` leaves out, or that do not show now. Four columns follow then: `1` where the
    /// row meets `where`, the moments from and until which it shows, and the moment of now, in microseconds.
    pub standing: bool,
}

/// The SELECT of one scope or node. `$1` holds `[number, outer value, …]` for each instance; answers number and
/// columns, in row order within an instance.
#[derive(Debug)]
pub struct Step {
    /// Its place in [`DocumentPlan::steps`]: the source, where it is of one.
    pub source: SourceId,
    pub sql: String,
    /// How many columns stand after the number.
    pub width: usize,
    /// Values of rows of earlier sources that make an instance.
    pub outer: Vec<Outer>,
    pub walk: Walk,
    /// Of a count: the rows that `many` would give at most.
    pub at_most: Option<u64>,
    /// Places of the columns by which rows of one instance are told apart; others are repetitions. Empty: all count.
    pub distinct: Vec<usize>,
    /// How its rows lead on to further rows.
    pub onward: Option<Onward>,
}

/// A value that a step needs from a row of an earlier source.
#[derive(Debug, Clone)]
pub struct Outer {
    pub slot: Slot,
    /// Stands in an equality only: null gives no rows.
    pub strict: bool,
}

/// Which rows must be visited to find all instances of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// Nothing outside: one instance.
    Once,
    /// Each root.
    Roots,
    /// Each row that was read of this source.
    Rows(SourceId),
    /// Each root with each combination of rows of these sources, nested in this order.
    Combinations(Vec<SourceId>),
}

impl DocumentPlan {
    #[must_use]
    pub fn new(document: Document, catalogue: &Catalogue, names: &Names) -> Self {
        let dialect = names.dialect();
        let mut slots = slots::Slots::new(dialect, &document);
        let body = template::body(&document, &mut slots);
        let hashed = template::hashed(&document, &body);
        let key = template::key(&document.key, &mut slots);
        let aliases = document
            .aliases
            .iter()
            .map(|alias| template::key(alias, &mut slots))
            .collect();
        let id = document
            .root_id
            .iter()
            .map(|&column| slots.outer(ColumnRef { source: 0, column }))
            .collect();
        let needs = select::needs(&document, &mut slots);
        let root = select::root(dialect, &document, &slots, id);
        let mut steps = select::steps(dialect, &document, &slots, needs);
        let expressions = select::expressions(&document, &mut steps, slots.into_expressions());
        let uses = uses(&document, catalogue);
        Self {
            root,
            steps,
            expressions,
            key,
            aliases,
            body,
            hashed,
            reverse: reverse::paths(names, &document, catalogue, &uses),
            all_roots: walk::all_roots(&document, names),
            mapping: mapping(&document),
            uses,
            dialect,
            document,
        }
    }

    /// What a step reads, for people.
    #[must_use]
    pub fn label(&self, step: &Step) -> String {
        match self.expressions.iter().find(|used| used.step == step.source) {
            Some(used) => format!("expression {}", used.text),
            None => self.document.label(step.source),
        }
    }

    /// All SQL of this plan, each with what it is for. For `plan --sql`.
    #[must_use]
    pub fn statements(&self) -> Vec<(String, &str)> {
        let mut all = vec![(
            format!("root {}", self.document.sources[0].table.name),
            self.root.sql.as_str(),
        )];
        for step in self.steps.iter().flatten() {
            all.push((self.label(step), &step.sql));
            if let Some(onward) = &step.onward {
                all.push((format!("{}, onward", self.label(step)), &onward.sql));
            }
        }
        for (table, path) in &self.reverse {
            all.push((format!("roots of changed rows of {table}"), &path.sql));
        }
        all.extend(self.all_roots.statements());
        all
    }
}
