//! A document as it is written: every construct known, no name looked up. What comes out of [`super::parse`] and goes
//! into [`super::check`].

use pubsync_schema::shape::SyncMode;

use crate::document::Comparison;

use super::expression::Expression;
use super::name::Name;
use super::template::Piece;
use super::yaml::{Scalar, Span};
use crate::document::Aggregate;

/// A thing with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    pub at: Span,
    pub is: T,
}

/// What is `None` though it is required was left out or broken; the problem is noted already.
#[derive(Debug, Clone)]
pub struct Declaration {
    pub name: Option<At<String>>,
    pub root: Option<At<Name>>,
    pub id: Option<At<Vec<At<Name>>>>,
    pub scopes: Vec<Scope>,
    pub key: Option<At<Vec<Piece>>>,
    pub aliases: Vec<At<Vec<Piece>>>,
    pub queries: Vec<Query>,
    pub conditions: Vec<Condition>,
    pub body: Vec<Member>,
    pub targets: Option<Vec<TargetUse>>,
    pub sync: Option<SyncMode>,
    pub queue: Option<String>,
    pub inline_limit: Option<usize>,
    pub life: Life,
}

/// When a document shows, and what stays of it.
#[derive(Debug, Clone, Default)]
pub struct Life {
    pub from: Option<At<Name>>,
    pub until: Option<At<Name>>,
    /// Members of the body.
    pub unhashed: Vec<At<String>>,
    pub tombstone: Vec<At<String>>,
    /// `absent: keep`.
    pub keeps_absent: bool,
    /// `capture: manual`.
    pub manual: bool,
}

/// An entry of `each`.
#[derive(Debug, Clone)]
pub struct Scope {
    pub name: At<String>,
    /// `None`: broken, the name stays known.
    pub table: Option<At<Name>>,
    pub link: Link,
    pub conditions: Vec<Condition>,
    pub optional: bool,
    /// No part of it is left out for a problem.
    pub whole: bool,
}

/// An entry of `queries`.
#[derive(Debug, Clone)]
pub struct Query {
    pub name: At<String>,
    /// `None`: the problem is noted already.
    pub sql: Option<At<Expression>>,
    pub id: Vec<At<Name>>,
    pub depends: Vec<Depends>,
}

/// An entry of `depends`: the SELECT of ids, with columns of the table's row in braces.
#[derive(Debug, Clone)]
pub struct Depends {
    pub table: At<Name>,
    pub sql: At<Expression>,
}

/// How rows are found.
#[derive(Debug, Clone)]
pub enum Link {
    /// By the foreign keys of the catalogue.
    Inferred,
    Via(Via),
    /// Column of the table, and what it equals.
    Match(Vec<Equality>),
    /// The problem is noted already.
    Broken,
}

#[derive(Debug, Clone)]
pub enum Via {
    /// With one foreign key to each side.
    Junction(Hop),
    /// From the current row on, each along one foreign key in either direction; never empty.
    Hops(Vec<Hop>),
}

#[derive(Debug, Clone)]
pub struct Hop {
    pub at: Span,
    pub table: At<Name>,
    /// Columns that meet the row before: of a junction, those that point at the current row.
    pub from: Option<Vec<At<Name>>>,
    /// Columns that meet the row after: of a junction, those that point at the joined row.
    pub to: Option<Vec<At<Name>>>,
}

/// An entry of `match`.
#[derive(Debug, Clone)]
pub struct Equality {
    pub column: At<Name>,
    pub equals: At<Right>,
}

/// An entry of `where`, or one test of an entry that has several.
#[derive(Debug, Clone)]
pub enum Condition {
    Column {
        column: At<Name>,
        test: At<Test>,
    },
    /// `exists`; not `wanted`: `missing`.
    Exists {
        rows: Existing,
        wanted: bool,
    },
}

/// The rows of `exists` and `missing`.
#[derive(Debug, Clone)]
pub struct Existing {
    pub table: At<Name>,
    /// `table` is the name of a query.
    pub query: bool,
    pub link: Link,
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
pub enum Test {
    Equals(Right),
    NotNull,
    OneOf(Vec<At<Right>>),
    NoneOf(Vec<At<Right>>),
    Compares(Comparison, Right),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    Name(Name),
    Constant(Scalar),
    Null,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    pub value: At<Value>,
}

#[derive(Debug, Clone)]
pub enum Value {
    Name(Name),
    /// `{ text: … }`
    Text(At<Name>),
    /// `{ value: … }`: JSON text.
    Constant(String),
    Object(Vec<Member>),
    One {
        rows: Rows,
        body: Box<At<Value>>,
    },
    Many {
        rows: Rows,
        body: Box<At<Value>>,
        gather: Gather,
    },
    Count {
        rows: Rows,
    },
    /// `column` of the table of `rows`.
    Aggregate {
        rows: Rows,
        aggregate: Aggregate,
        column: At<String>,
    },
    First(Vec<At<Value>>),
    List(Vec<At<Value>>),
    Merge(Vec<At<Value>>),
    Sql(At<Expression>),
    Ancestors {
        rows: Rows,
        parent: At<Vec<At<Name>>>,
        body: Box<At<Value>>,
    },
    Tree {
        rows: Rows,
        parent: At<Vec<At<Name>>>,
        /// `start: { where }`
        start: Option<Vec<Condition>>,
        body: Vec<Member>,
    },
}

/// What `by`, `flat` and `distinct` say.
#[derive(Debug, Clone)]
pub enum Gather {
    Array { flat: bool, distinct: bool },
    By(Vec<At<Name>>),
}

/// The rows of a node.
#[derive(Debug, Clone)]
pub struct Rows {
    pub table: At<Name>,
    /// `table` is the name of a query.
    pub query: bool,
    pub link: Link,
    pub conditions: Vec<Condition>,
    pub order: Vec<OrderBy>,
    pub limit: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct OrderBy {
    pub column: At<Name>,
    pub descending: bool,
}

/// An entry of `targets`.
#[derive(Debug, Clone)]
pub struct TargetUse {
    pub name: At<String>,
    pub index: Option<At<Vec<Piece>>>,
    pub only: Vec<Allowed>,
    pub mapping: Option<serde_json::Value>,
    pub settings: Option<serde_json::Value>,
    pub routing: Option<At<Vec<Piece>>>,
}

/// An entry of `only`: a column and the values that pass.
#[derive(Debug, Clone)]
pub struct Allowed {
    pub column: At<Name>,
    pub constants: Vec<At<Scalar>>,
}
