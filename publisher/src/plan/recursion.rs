//! `ancestors` and `tree`. Forward there is no recursive SQL: a step's rows make new instances of the SELECT that leads
//! on from a row, until there are no new ones; so rows that are met twice are read once, and a cycle ends. Back there is,
//! with UNION, for the same reason.

use pubsync_schema::dialect::Dialect;

use super::rows::Expressions;
use super::slots::{Slots, alias, qualified};
use super::{Outer, Slot, dialect};
use crate::document::{ColumnRef, Direction, Document, Link, Recursion, SourceId};

/// From one row of a step to the row above it, or to the rows below it.
#[derive(Debug)]
pub struct Onward {
    /// As the step's own, with these columns. `$1` holds `[number, carried value, …, link value, …]` for each instance.
    pub sql: String,
    /// Places in the step's outer values of those that conditions on all rows need.
    pub carried: Vec<usize>,
    /// What makes an instance: the carried values, then the columns of a row of the step that lead on.
    pub outer: Vec<Outer>,
    /// The columns by which rows name each other, for messages.
    pub key: Vec<Slot>,
    pub parent: Vec<ColumnRef>,
}

/// `all`: for each of the step's outer values, whether conditions on all rows need it.
pub(super) fn onward(
    expressions: &Expressions<'_>,
    slots: &Slots<'_>,
    source: SourceId,
    all: &[bool],
    links: Vec<LinkSlots>,
) -> Option<Onward> {
    let recursion = expressions.document.sources[source].recursion.as_ref()?;
    let carried: Vec<usize> = (0..all.len()).filter(|&place| all[place]).collect();
    let mut outer: Vec<Outer> = carried
        .iter()
        .map(|&place| expressions.outer[place].clone())
        .collect();
    let sql = Expressions {
        outer: &outer,
        onward: Some(recursion),
        ..*expressions
    }
    .step(source, slots, None);
    outer.extend(links.iter().map(|link| Outer {
        slot: match recursion.direction {
            Direction::Up => link.parent.clone(),
            Direction::Down => link.key.clone(),
        },
        strict: true,
    }));
    Some(Onward {
        sql,
        carried,
        outer,
        parent: links.iter().map(|link| link.parent.column).collect(),
        key: links.into_iter().map(|link| link.key).collect(),
    })
}

/// Where the columns of a [`Link`] stand in a row.
pub(super) struct LinkSlots {
    parent: Slot,
    key: Slot,
}

/// Has a recursive source answer the columns that lead on.
pub(super) fn links(document: &Document, slots: &mut Slots<'_>, source: SourceId) -> Vec<LinkSlots> {
    let recursion = document.sources[source].recursion.iter();
    recursion
        .flat_map(|recursion| &recursion.links)
        .map(|link| LinkSlots {
            parent: slots.outer(ColumnRef {
                source,
                column: link.parent,
            }),
            key: slots.outer(ColumnRef {
                source,
                column: link.key,
            }),
        })
        .collect()
}

/// The columns of a link in the direction in which rows are read: of the row that is looked for, and of the one that
/// leads there.
pub(super) fn ends(recursion: &Recursion, link: Link) -> (usize, usize) {
    match recursion.direction {
        Direction::Up => (link.key, link.parent),
        Direction::Down => (link.parent, link.key),
    }
}

/// A FROM item under the source's alias: rows that `seed` gives, and all rows whose own paths lead through them, as the
/// source reads them. So of a tree the rows above, of ancestors the rows below. It holds the columns of links and joins.
///
/// `seed` gives the text of a column of the rows to start from, `from` is what it reads.
pub(super) fn closure(
    dialect: Dialect,
    document: &Document,
    source: SourceId,
    recursion: &Recursion,
    seed: impl Fn(ColumnRef) -> String,
    from: &str,
) -> String {
    let columns = kept(document, source, recursion);
    let list = |text: &dyn Fn(ColumnRef) -> String| {
        let texts: Vec<String> = columns.iter().map(|&column| text(column)).collect();
        texts.join(", ")
    };
    let name = |column: ColumnRef| dialect.quote(&document.column_of(column).name);
    // Texts of one collation, so that both halves of the UNION have one type whatever the columns'.
    let plain = dialect::plain_collation(dialect);
    let current = |column| {
        let meta = document.column_of(column);
        let value = dialect::text(dialect, &qualified(dialect, document, column), meta);
        format!("{value} {plain}")
    };
    let walked = |column| {
        dialect::cast(
            dialect,
            &format!("w.{}", name(column)),
            document.column_of(column),
        )
    };
    let meets = |&link: &Link| {
        // The other way round than rows are read: from a row to those from which it is reached.
        let (reached, from) = ends(recursion, link);
        let from = qualified(dialect, document, ColumnRef { source, column: from });
        let reached = ColumnRef {
            source,
            column: reached,
        };
        format!("{from} = {}", walked(reached))
    };
    let on: Vec<String> = recursion.links.iter().map(meets).collect();
    let next = format!(
        "SELECT {} FROM w {} {} {} ON {}",
        list(&current),
        dialect::join(dialect),
        dialect::table(dialect, &document.sources[source].table),
        alias(source),
        on.join(" AND "),
    );
    format!(
        "(WITH RECURSIVE w({}) AS (SELECT {} FROM {from} UNION {next}) SELECT {} FROM w) {}",
        list(&name),
        list(&|column| format!("{} {plain}", seed(column))),
        list(&|column| format!("{} AS {}", walked(column), name(column))),
        alias(source),
    )
}

/// The columns by which rows of a recursive source meet each other and rows of other sources, each once.
fn kept(document: &Document, source: SourceId, recursion: &Recursion) -> Vec<ColumnRef> {
    let links = recursion.links.iter().flat_map(|link| [link.parent, link.key]);
    let joins = document.sources[source].joins.iter().map(|join| join.column);
    let mut columns: Vec<ColumnRef> = Vec::new();
    for column in links.chain(joins) {
        let column = ColumnRef { source, column };
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}
