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
type Index = HashMap<Vec<String>, Vec<usize>>;

/// By table and columns.
type Indexes = HashMap<(String, Vec<usize>), Rc<Index>>;

#[derive(Debug, Default)]
pub struct Data {
    tables: BTreeMap<String, Vec<Row>>,
    indexes: RefCell<Indexes>,
}

impl Data {
    /// Reads every table by a plain SELECT, one after the other: nobody may write meanwhile.
    pub async fn read(session: &mut Session, schema: &Schema) -> Self {
        let mut data = Self::default();
        for (name, table) in &schema.tables {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|column| text_of(schema.engine, column))
                .collect();
            let sql = format!("SELECT {} FROM {}", columns.join(", "), table.sql);
            data.tables.insert(name.clone(), session.rows(&sql).await);
        }
        data
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
        let Some(values) = values.iter().cloned().collect::<Option<Vec<String>>>() else {
            return Vec::new();
        };
        let rows = self.rows(table);
        let index = self.index(table, columns);
        let found = index.get(&values).map_or(&[][..], Vec::as_slice);
        found.iter().map(|&number| &rows[number]).collect()
    }

    fn index(&self, table: &Table, columns: &[usize]) -> Rc<Index> {
        let key = (table.name.clone(), columns.to_vec());
        if let Some(index) = self.indexes.borrow().get(&key) {
            return index.clone();
        }
        let mut index = Index::new();
        for (number, row) in self.rows(table).iter().enumerate() {
            let value =
                |&column: &usize| Some(comparable(&table.columns[column].kind, row[column].as_ref()?));
            if let Some(values) = columns.iter().map(value).collect::<Option<Vec<_>>>() {
                index.entry(values).or_default().push(number);
            }
        }
        let index = Rc::new(index);
        self.indexes.borrow_mut().insert(key, index.clone());
        index
    }
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
