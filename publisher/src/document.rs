//! A checked document: every name resolved against the catalogue, every join known, every construct legal. What
//! comes out of the language's checker and goes into planning SELECTs, reverse paths, triggers and mappings.
//!
//! A document is a set of *sources* (tables that take part, each with its joins to sources before it) and a *body*
//! that says where their columns go. Source 0 is the root; scopes (`each`) follow in their order; a junction (`via`)
//! stands directly before the source that it leads to; nodes stand after the source of their enclosing row.

use std::sync::Arc;

use pubsync_schema::shape::{Binding, SyncMode};

use crate::catalogue::Table;

/// Index into [`Document::sources`].
pub type SourceId = usize;

#[derive(Debug, Clone)]
pub struct Document {
    pub name: String,
    pub sources: Vec<Source>,
    /// Sources of `each`, in declared order (their junctions excluded).
    pub scopes: Vec<SourceId>,
    /// Columns of the root that are its id: the primary key, or `id:`.
    pub root_id: Vec<usize>,
    pub key: Vec<KeySegment>,
    /// Templates of keys that lead to the document.
    pub aliases: Vec<Vec<KeySegment>>,
    /// The document's own `where`, over root columns.
    pub filters: Vec<Filter>,
    /// Always an object.
    pub body: Vec<(String, Value)>,
    /// By target name; `None`: all that are configured.
    pub targets: Option<Vec<(String, Binding)>>,
    pub sync: Option<SyncMode>,
    /// `queue: group`.
    pub queue: Option<String>,
    /// Bytes.
    pub inline_limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub enum KeySegment {
    Literal(String),
    Column(ColumnRef),
}

/// A column of a source's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    pub source: SourceId,
    /// Index into the source table's columns.
    pub column: usize,
}

/// A table that takes part in a document.
#[derive(Debug, Clone)]
pub struct Source {
    pub table: Arc<Table>,
    pub role: Role,
    /// How its rows meet rows of earlier sources; all must hold. Empty for the root, and for a scope that takes
    /// every row.
    pub joins: Vec<Join>,
    /// `where`; all must hold. Never applied on a reverse path.
    pub filters: Vec<Filter>,
    pub order: Vec<Order>,
    /// Per enclosing row, after order. A to-one by `match` has 1.
    pub limit: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Root,
    /// A row of `each`, under this name. `optional`: one document with null columns where no row is.
    /// `via`: its junction.
    Scope {
        name: String,
        optional: bool,
        via: Option<SourceId>,
    },
    /// A junction; `parent` is the source that it starts from.
    Via {
        parent: SourceId,
    },
    /// Rows of a construct in the body; `parent` is the source of the enclosing row, `via` its junction.
    Node {
        parent: SourceId,
        via: Option<SourceId>,
    },
}

/// `column` of this source equals `to`. Null never matches.
#[derive(Debug, Clone)]
pub struct Join {
    pub column: usize,
    pub to: Operand,
}

#[derive(Debug, Clone)]
pub enum Operand {
    Column(ColumnRef),
    Constant(Constant),
}

/// A constant in the type of the column that it meets: its text, cast by the planner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant(pub String);

/// A condition on a column.
#[derive(Debug, Clone)]
pub struct Filter {
    pub column: ColumnRef,
    pub test: Test,
}

#[derive(Debug, Clone)]
pub enum Test {
    Equals(Operand),
    IsNull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Of this source, or of its junction.
    pub column: ColumnRef,
    pub descending: bool,
}

/// What a member of the body holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// Column values, in their JSON form.
    Column(ColumnRef),
    /// `{ text: x }`: a JSON string whatever the type; null stays null.
    Text(ColumnRef),
    /// `{ value: … }`: JSON text.
    Constant(String),
    Object(Vec<(String, Value)>),
    /// The source's first row, or null.
    One {
        source: SourceId,
        body: Box<Value>,
    },
    /// Array of the source's rows; nested objects where `by` is not empty.
    Many {
        source: SourceId,
        body: Box<Value>,
        by: Vec<ColumnRef>,
    },
    /// How many rows `many` would give.
    Count {
        source: SourceId,
    },
    /// The first that is not null.
    First(Vec<Value>),
}
