//! Which columns of which tables matter to a document: what capture watches and what it carries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::template::each_value;
use crate::catalogue::{Catalogue, Table};
use crate::document::{ColumnRef, Depends, Document, Filter, Gather, KeySegment, Operand, SourceId, Value};

/// One table's part in a document, in all its roles there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUse {
    pub table: Arc<Table>,
    /// Columns whose change can change some document, or which documents a row reaches. Holds `carried`.
    pub watched: BTreeSet<usize>,
    /// Columns whose old and new values a captured change brings along: the key, and what leads to the roots.
    pub carried: BTreeSet<usize>,
}

/// By the catalogue's name of the table.
#[must_use]
pub fn uses(document: &Document, catalogue: &Catalogue) -> BTreeMap<String, TableUse> {
    let mut columns = Columns {
        document,
        watched: vec![BTreeSet::new(); document.sources.len()],
    };
    columns.read();
    let mut tables = BTreeMap::new();
    for (source, watched) in columns.watched.into_iter().enumerate() {
        if let Some(query) = &document.sources[source].query {
            query
                .depends
                .iter()
                .for_each(|depends| add_depends(&mut tables, depends, catalogue));
            continue;
        }
        let table = &document.sources[source].table;
        let name = catalogue.name_of(table).unwrap_or(&table.name).to_owned();
        let entry: &mut TableUse = tables.entry(name).or_insert_with(|| unused(table));
        entry.carried.extend(carried(document, source));
        entry.watched.extend(watched);
        entry.watched.extend(&entry.carried);
    }
    tables
}

fn unused(table: &Arc<Table>) -> TableUse {
    TableUse {
        table: Arc::clone(table),
        watched: BTreeSet::new(),
        carried: BTreeSet::new(),
    }
}

/// Nobody knows which columns a query reads, so all of them matter. An image holds one at least.
fn add_depends(tables: &mut BTreeMap<String, TableUse>, depends: &Depends, catalogue: &Catalogue) {
    let table = &depends.table;
    let name = catalogue.name_of(table).unwrap_or(&table.name).to_owned();
    let entry = tables.entry(name).or_insert_with(|| unused(table));
    entry.watched.extend(0..table.columns.len());
    entry.carried.extend(&table.primary_key);
    entry.carried.extend(depends.columns());
    if entry.carried.is_empty() {
        entry.carried.insert(0);
    }
}

/// The key and the columns of joins toward earlier sources; of the root its id.
fn carried(document: &Document, source: SourceId) -> impl Iterator<Item = usize> {
    let id: &[usize] = if source == 0 { &document.root_id } else { &[] };
    let joins = document.sources[source].joins.iter().map(|join| join.column);
    let recursion = document.sources[source].recursion.iter();
    let links = recursion.flat_map(|recursion| &recursion.links);
    document.sources[source]
        .table
        .primary_key
        .iter()
        .chain(id)
        .copied()
        .chain(joins)
        .chain(links.flat_map(|link| [link.parent, link.key]))
}

struct Columns<'a> {
    document: &'a Document,
    /// By source.
    watched: Vec<BTreeSet<usize>>,
}

impl Columns<'_> {
    fn read(&mut self) {
        let document = self.document;
        for source in &document.sources {
            source.joins.iter().for_each(|join| self.operand(&join.to));
            source.filters.iter().for_each(|filter| self.filter(filter));
            source.order.iter().for_each(|order| self.column(order.column));
            let start = source.recursion.iter().flat_map(|recursion| &recursion.start);
            start.for_each(|filter| self.filter(filter));
        }
        document.filters.iter().for_each(|filter| self.filter(filter));
        for segment in document.key.iter().chain(document.aliases.iter().flatten()) {
            if let KeySegment::Column(column) = segment {
                self.column(*column);
            }
        }
        for moment in [document.life.from, document.life.until].into_iter().flatten() {
            self.column(moment);
        }
        for (_, value) in &document.body {
            each_value(value, &mut |value| match value {
                Value::Column(column) | Value::Text(column) => self.column(*column),
                Value::Many {
                    gather: Gather::By(by),
                    ..
                } => by.iter().for_each(|column| self.column(*column)),
                Value::Aggregate { column, .. } => self.column(*column),
                Value::Sql(expression) => expression.columns().for_each(|column| self.column(column)),
                // Each by its name: a column that is forgotten here is never captured.
                Value::Constant(_)
                | Value::Object(_)
                | Value::One { .. }
                | Value::Many { .. }
                | Value::Count { .. }
                | Value::First(_)
                | Value::List(_)
                | Value::Merge(_)
                | Value::Ancestors { .. }
                | Value::Tree { .. } => {}
            });
        }
    }

    fn filter(&mut self, filter: &Filter) {
        if let Filter::Column { column, test } = filter {
            self.column(*column);
            test.operands().iter().for_each(|operand| self.operand(operand));
        }
    }

    fn operand(&mut self, operand: &Operand) {
        if let Operand::Column(column) = operand {
            self.column(*column);
        }
    }

    fn column(&mut self, column: ColumnRef) {
        self.watched[column.source].insert(column.column);
    }
}
