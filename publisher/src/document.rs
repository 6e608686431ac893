//! A checked document: every name resolved against the catalogue, every join known, every construct legal. What
//! comes out of the language's checker and goes into planning SELECTs, reverse paths, triggers and mappings.
//!
//! A document is a set of *sources* (tables that take part, each with its joins to sources before it) and a *body*
//! that says where their columns go. Source 0 is the root; scopes (`each`) follow in their order; a junction (`via`)
//! stands before the source that it leads to; nodes stand after the source of their enclosing row. A row that a foreign key
//! names for a column alone, and rows of which a condition asks whether there are any, are sources too, which no SELECT of
//! their own reads.

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
    pub life: Life,
}

/// When a document shows, what stays of it, and who says that it changed.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Columns of the root's row, or of rows that it names. The document is there from the first moment on and until before
    /// the second; null is open.
    pub from: Option<ColumnRef>,
    pub until: Option<ColumnRef>,
    /// Members of the body that do not count when it is compared.
    pub unhashed: Vec<String>,
    /// Members that stay on the tombstone.
    pub tombstone: Vec<String>,
    /// Documents of a root that vanished from the source stay.
    pub keeps_absent: bool,
    /// No triggers: the application announces changes.
    pub manual: bool,
}

impl Life {
    /// Whether the root's SELECT must answer roots that have no documents now, too.
    #[must_use]
    pub fn asks_for_all(&self) -> bool {
        self.keeps_absent || self.from.is_some() || self.until.is_some()
    }
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
    /// Of a query its columns, under its name.
    pub table: Arc<Table>,
    /// Where its rows come from instead of a table.
    pub query: Option<Arc<Query>>,
    pub role: Role,
    /// How its rows meet rows of earlier sources; all must hold. Empty for the root, and for a scope that takes
    /// every row.
    pub joins: Vec<Join>,
    /// `where`; all must hold. Never applied on a reverse path.
    pub filters: Vec<Filter>,
    pub order: Vec<Order>,
    /// Per enclosing row, after order. A to-one by `match` has 1.
    pub limit: Option<u64>,
    /// Further rows of the table that hang on these: `ancestors`, `tree`.
    pub recursion: Option<Recursion>,
}

/// How rows of a table hang on each other. The source's joins give the first rows, these columns all others.
#[derive(Debug, Clone)]
pub struct Recursion {
    pub direction: Direction,
    /// Columns that name the row above, each with the column that it names. Never empty.
    pub links: Vec<Link>,
    /// Conditions on the first rows alone, besides [`Source::filters`].
    pub start: Vec<Filter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a row to the row above.
    Up,
    /// From a row to the rows below.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Index into the table's columns.
    pub parent: usize,
    /// The column that it names: index into the same columns.
    pub key: usize,
}

/// A query that stands in place of a table; its joins are over `id` alone.
#[derive(Debug)]
pub struct Query {
    pub name: String,
    /// One SELECT that fits in parentheses.
    pub sql: String,
    /// Columns that tell which of its rows a change touches.
    pub id: Vec<usize>,
    /// Every table that it reads.
    pub depends: Vec<Depends>,
}

/// How rows of one table touch rows of a query.
#[derive(Debug)]
pub struct Depends {
    pub table: Arc<Table>,
    /// A SELECT of values of the query's id, for one old or new row of the table.
    pub pieces: Vec<DependsPiece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependsPiece {
    Text(String),
    /// A column of the row.
    Column(usize),
}

impl Depends {
    /// Columns of the row that the SELECT needs.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            DependsPiece::Column(column) => Some(*column),
            DependsPiece::Text(_) => None,
        })
    }
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
    /// A junction; `parent` is the source that it starts from, which is another junction after the first of several.
    Via {
        parent: SourceId,
    },
    /// The row that a foreign key of a row of `parent` names, if there is one: a column `t.x`. Read together with `parent`.
    Lookup {
        parent: SourceId,
    },
    /// Rows of which a condition asks whether there is one; `parent` is the source of the row that the condition is
    /// about, `via` the junction. Nothing of them is read.
    Exists {
        parent: SourceId,
        via: Option<SourceId>,
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

/// A condition of `where`.
#[derive(Debug, Clone)]
pub enum Filter {
    Column {
        column: ColumnRef,
        test: Test,
    },
    /// A row of this source, whose role is [`Role::Exists`], must stand; or none, where it is not `wanted`.
    Exists {
        source: SourceId,
        wanted: bool,
    },
}

/// What a column must be. Null passes `IsNull` and `NoneOf` only.
#[derive(Debug, Clone)]
pub enum Test {
    Equals(Operand),
    IsNull,
    IsNotNull,
    /// Equal to one of these; never empty.
    OneOf(Vec<Operand>),
    /// Distinct from each of these, where two nulls are not distinct; never empty.
    NoneOf(Vec<Operand>),
    Compares(Comparison, Operand),
}

/// In the database's own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Test {
    /// All right sides.
    #[must_use]
    pub fn operands(&self) -> &[Operand] {
        match self {
            Self::Equals(operand) | Self::Compares(_, operand) => std::slice::from_ref(operand),
            Self::OneOf(operands) | Self::NoneOf(operands) => operands,
            Self::IsNull | Self::IsNotNull => &[],
        }
    }

    /// Whether a null on the left leaves the row out.
    #[must_use]
    pub fn drops_null(&self) -> bool {
        !matches!(self, Self::IsNull | Self::NoneOf(_))
    }

    /// Whether a null on the right leaves the row out, whatever the left.
    #[must_use]
    pub fn needs_right(&self) -> bool {
        matches!(self, Self::Equals(_) | Self::Compares(..))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Of this source, of its junction, or of a row that a foreign key of them names.
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
    /// The source's rows, together.
    Many {
        source: SourceId,
        body: Box<Value>,
        gather: Gather,
    },
    /// How many rows `many` would give.
    Count {
        source: SourceId,
    },
    /// Of a column of the rows that `many` would give; nulls do not count.
    Aggregate {
        source: SourceId,
        aggregate: Aggregate,
        column: ColumnRef,
    },
    /// The first that is not null.
    First(Vec<Value>),
    /// An array of those that are not null.
    List(Vec<Value>),
    /// Objects merged or arrays appended; nulls do not count.
    Merge(Vec<Value>),
    /// `{ sql: … }`
    Sql(Expression),
    /// The source's first row and all above it, the top one first.
    Ancestors {
        source: SourceId,
        body: Box<Value>,
    },
    /// The source's rows, each an object with its own rows below under `below`.
    Tree {
        source: SourceId,
        body: Vec<(String, Value)>,
        below: String,
    },
}

/// An expression of the database over columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    pub pieces: Vec<Piece>,
    /// Where it stands in the file, both from 1: only the database can say whether it is right.
    pub line: usize,
    pub column: usize,
}

impl Expression {
    pub fn columns(&self) -> impl Iterator<Item = ColumnRef> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(column) => Some(*column),
            Piece::Text(_) => None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Brackets and quotes are closed, no statement ends here, and no table is read.
    Text(String),
    Column(ColumnRef),
}

/// How the rows of `many` become one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gather {
    /// An array. `flat`: its entries are arrays and are joined. `distinct`: then the first of equal entries only.
    Array { flat: bool, distinct: bool },
    /// Objects keyed by these columns, nested in this order; never empty.
    By(Vec<ColumnRef>),
}

/// What is made of the values of a column. Of none: 0, null, null, null, false, true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Avg,
    Min,
    Max,
    Any,
    All,
}

impl Aggregate {
    const EVERY: [Self; 6] = [Self::Sum, Self::Avg, Self::Min, Self::Max, Self::Any, Self::All];

    /// The one with this keyword.
    #[must_use]
    pub fn named(keyword: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|one| one.keyword() == keyword)
    }

    /// As documents write it.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Any => "any",
            Self::All => "all",
        }
    }
}
