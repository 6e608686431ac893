//! All rows of all tables, as text, and hash indexes over them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::{
    form::comparable,
    schema::{Column, ColumnKind, Engine, Schema, Table, quote},
};
use crate::Session;

/// Texts in the order of the table's columns; null is `None`.
pub type Row = Vec<Option<String>>;

/// Numbers of rows by the values of some columns.
type Index = HashMap<Row, Vec<usize>>;

/// By table, then by columns.
type Indexes = HashMap<String, HashMap<Vec<usize>, Rc<Index>>>;

#[derive(Debug, Default)]
pub struct Data {
    tables: BTreeMap<String, Vec<Row>>,
    indexes: RefCell<Indexes>,
}

impl Data {
    /// Reads every table by a plain SELECT, one after the other: nobody may write meanwhile.
    pub async fn read(session: &mut Session, schema: &Schema) -> Self {
        let mut data = Self::default();
        for table in schema.tables.values() {
            data.read_again(session, schema, table).await;
        }
        data
    }

    /// Reads one table again.
    pub async fn read_again(&mut self, session: &mut Session, schema: &Schema, table: &Table) {
        let columns = table.columns.iter().map(|column| text_of(schema.engine, column));
        let columns: Vec<String> = columns.collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), table.sql);
        self.tables.insert(table.name.clone(), session.rows(&sql).await);
        self.indexes.borrow_mut().remove(&table.name);
    }

    pub fn of(tables: BTreeMap<String, Vec<Row>>) -> Self {
        Self {
            tables,
            indexes: RefCell::default(),
        }
    }

    pub fn rows(&self, table: &Table) -> &[Row] {
        &self.tables[&table.name]
    }

    /// Rows whose columns hold these values, in the table's order. A null meets nothing.
    pub fn find(&self, table: &Table, columns: &[usize], values: &[Option<String>]) -> Vec<&Row> {
        if values.iter().any(Option::is_none) {
            return Vec::new();
        }
        let rows = self.rows(table);
        let index = self.index(table, columns);
        let found = index.get(values).map_or(&[][..], Vec::as_slice);
        found.iter().map(|&number| &rows[number]).collect()
    }

    fn index(&self, table: &Table, columns: &[usize]) -> Rc<Index> {
        let known = |indexes: &Indexes| indexes.get(&table.name)?.get(columns).cloned();
        if let Some(index) = known(&self.indexes.borrow()) {
            return index;
        }
        let mut index = Index::new();
        for (number, row) in self.rows(table).iter().enumerate() {
            let values = comparables(table, row, columns);
            if values.iter().all(Option::is_some) {
                index.entry(values).or_default().push(number);
            }
        }
        let index = Rc::new(index);
        let mut indexes = self.indexes.borrow_mut();
        let of_table = indexes.entry(table.name.clone()).or_default();
        of_table.insert(columns.to_vec(), index.clone());
        index
    }
}

/// Values of a row in the form in which they compare.
pub fn comparables(table: &Table, row: &Row, columns: &[usize]) -> Row {
    let value = |&column: &usize| {
        let text = row[column].as_ref()?;
        Some(comparable(&table.columns[column].kind, text).into_owned())
    };
    columns.iter().map(value).collect()
}

/// The text from which [`super::form`] makes JSON.
fn text_of(engine: Engine, column: &Column) -> String {
    let name = quote(&column.name);
    match (engine, &column.kind) {
        (Engine::Postgres, ColumnKind::Array) => format!("to_json({name})::text"),
        (Engine::Postgres, ColumnKind::Other) => format!("to_json({name}) #>> '{{}}'"),
        (Engine::Postgres, _) => format!("{name}::text"),
        (Engine::Sqlite, ColumnKind::Bytes) => format!("CASE WHEN {name} IS NOT NULL THEN hex({name}) END"),
        (Engine::Sqlite, _) => format!("CAST({name} AS TEXT)"),
    }
}
