//! Every root there is, in pages: those of the source, and those of live mirror rows (a truncated table has none of the
//! first).
//!
//! A walk goes through the root's key in the key's own order, so each page is one look into its index; then through
//! the roots of the mirror that the source does not have. Where the key's order cannot be read back from a root's
//! id, each page sorts the ids instead.

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;

use super::reverse::{every_root, root_id};
use super::slots::qualified;
use super::{dialect, slots::alias};
use crate::catalogue::{Column, ColumnKind};
use crate::document::{ColumnRef, Document};

/// How all roots of a document are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllRoots {
    /// First the source, then the mirror.
    ByKey { source: Pages, mirror: Pages },
    /// Both together, ordered bytewise.
    Sorted(Pages),
}

/// Answers distinct ids, at most `$1` (`bigint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    pub first: String,
    /// Those after the id `$2` (text).
    pub next: String,
}

/// Where a walk stands: the last root that was found, and where it was found. Travels as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    Source(String),
    /// `None`: at its beginning.
    Mirror(Option<String>),
    Sorted(String),
}

pub(super) fn all_roots(document: &Document, names: &Names) -> AllRoots {
    match order(document, names.dialect()) {
        Some(order) => AllRoots::ByKey {
            source: source(document, names, &order),
            mirror: mirror(document, names),
        },
        None => AllRoots::Sorted(sorted(document, names)),
    }
}

impl AllRoots {
    /// The statements, for people and fingerprints.
    #[must_use]
    pub fn statements(&self) -> Vec<(String, &str)> {
        match self {
            Self::ByKey { source, mirror } => vec![
                ("all roots".to_owned(), &source.next),
                ("all roots of the mirror".to_owned(), &mirror.next),
            ],
            Self::Sorted(pages) => vec![("all roots".to_owned(), &pages.next)],
        }
    }
}

impl Position {
    /// `None` where it is not ours: then the walk begins anew.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("source", root)) => Some(Self::Source(root.to_owned())),
            Some(("mirror", root)) => Some(Self::Mirror(Some(root.to_owned()))),
            Some(("sorted", root)) => Some(Self::Sorted(root.to_owned())),
            None if text == "mirror" => Some(Self::Mirror(None)),
            _ => None,
        }
    }

    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Source(root) => format!("source:{root}"),
            Self::Mirror(Some(root)) => format!("mirror:{root}"),
            Self::Mirror(None) => "mirror".to_owned(),
            Self::Sorted(root) => format!("sorted:{root}"),
        }
    }
}

/// The places in `root_id`, in the order of the index that makes them unique. `None` where a walk by that index could
/// leave a row out: the index may compare in another way than its columns do, or the id does not say its place.
fn order(document: &Document, dialect: Dialect) -> Option<Vec<usize>> {
    let table = &document.sources[0].table;
    let id = &document.root_id;
    let is_same = |key: &[usize]| key.len() == id.len() && key.iter().all(|column| id.contains(column));
    let places = |key: &[usize]| -> Option<Vec<usize>> {
        key.iter()
            .map(|column| id.iter().position(|i| i == column))
            .collect()
    };
    let columns = || id.iter().map(|&column| &table.columns[column]);
    let readable = match dialect {
        Dialect::Postgres => true,
        // Values of any type can stand in any column, and composite keys may hold nulls.
        Dialect::Sqlite => id.len() == 1 && columns().all(has_affinity),
    };
    if !readable {
        return None;
    }
    if is_same(&table.primary_key) {
        return places(&table.primary_key);
    }
    // A unique index can have a collation of its own.
    let plain = columns().all(|column| !matches!(column.kind, ColumnKind::Text | ColumnKind::Other));
    let unique = table.unique.iter().find(|index| is_same(index))?;
    if plain { places(unique) } else { None }
}

/// Whether SQLite reads a text in a comparison as the column keeps it.
fn has_affinity(column: &Column) -> bool {
    let declared = column.sql_type.to_ascii_uppercase();
    match column.kind {
        ColumnKind::Integer => true,
        ColumnKind::Text => ["CHAR", "CLOB", "TEXT"]
            .iter()
            .any(|name| declared.contains(name)),
        _ => false,
    }
}

fn source(document: &Document, names: &Names, order: &[usize]) -> Pages {
    let dialect = names.dialect();
    let root = dialect::text_parameter(dialect, 2);
    let key: Vec<String> = order
        .iter()
        .map(|&place| qualified(dialect, document, id_column(document, place)))
        .collect();
    let values: Vec<String> = order
        .iter()
        .map(|&place| {
            let text = match document.root_id.len() {
                1 => format!("({root})"),
                _ => format!("(({root})::json->>{place})"),
            };
            dialect::cast(dialect, &text, document.column_of(id_column(document, place)))
        })
        .collect();
    let page = |condition: &str| {
        format!(
            "SELECT {id} {bytewise} AS root FROM {table} {s0}{condition} ORDER BY {key} LIMIT $1",
            id = root_id(dialect, document),
            bytewise = dialect.bytewise(),
            table = dialect::table(dialect, &document.sources[0].table),
            s0 = alias(0),
            key = key.join(", "),
        )
    };
    // On SQLite a primary key may hold nulls, which are the roots of nothing.
    let present = match dialect {
        Dialect::Postgres => String::new(),
        Dialect::Sqlite => format!(" WHERE {} IS NOT NULL", key.join(", ")),
    };
    let after = match key.len() {
        1 => format!("{} > {}", key.join(""), values.join("")),
        _ => format!("({}) > ({})", key.join(", "), values.join(", ")),
    };
    Pages {
        first: page(&present),
        next: page(&format!(" WHERE {after}")),
    }
}

/// Roots that only the mirror has. Compared as texts, because an earlier definition may have left roots there that are
/// no key of today's source: both sides are read once a page, and where nothing is left over there is one page.
fn mirror(document: &Document, names: &Names) -> Pages {
    let dialect = names.dialect();
    let bytewise = dialect.bytewise();
    let (id, s0) = (root_id(dialect, document), alias(0));
    let table = dialect::table(dialect, &document.sources[0].table);
    let only_there = match dialect {
        Dialect::Postgres => {
            format!("NOT EXISTS (SELECT 1 FROM {table} {s0} WHERE {id} {bytewise} = m.root)")
        }
        // It would go through the whole source for each root of the mirror; of IN it makes an index first.
        Dialect::Sqlite => format!("m.root NOT IN (SELECT {id} FROM {table} {s0} WHERE {id} IS NOT NULL)"),
    };
    let page = |condition: &str| {
        format!(
            "SELECT DISTINCT m.root FROM {mirror} m WHERE m.deleted_at IS NULL AND m.root IS NOT NULL{condition} \
             AND {only_there} ORDER BY m.root LIMIT $1",
            mirror = names.mirror(&document.name),
        )
    };
    Pages {
        first: page(""),
        next: page(&format!(
            " AND m.root > {} {bytewise}",
            dialect::text_parameter(dialect, 2)
        )),
    }
}

fn sorted(document: &Document, names: &Names) -> Pages {
    let page = |condition: &str| {
        let [source, mirror] = every_root(document, names).map(|roots| {
            format!(
                "SELECT root FROM (SELECT DISTINCT root FROM ({roots}) a WHERE root IS NOT NULL{condition} \
                 ORDER BY root LIMIT $1) b"
            )
        });
        format!("{source} UNION {mirror} ORDER BY root LIMIT $1")
    };
    let after = dialect::text_parameter(names.dialect(), 2);
    Pages {
        first: page(""),
        next: page(&format!(" AND root > {after}")),
    }
}

fn id_column(document: &Document, place: usize) -> ColumnRef {
    ColumnRef {
        source: 0,
        column: document.root_id[place],
    }
}
