//! What both databases are asked, row by row, and how the answers become tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};

use super::{Catalogue, Column, ForeignKey, Table};

/// Identifies a table: schema (SQLite: none) and name.
pub(super) type TableId = (Option<String>, String);

/// Answers of the catalogue queries, one entry a column.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The schema whose tables have bare names.
    pub default_schema: Option<String>,
    /// In table order.
    pub columns: Vec<(TableId, Column)>,
    /// Of primary keys and unique indexes, in key order; no name where the index has an expression.
    pub keys: Vec<KeyColumn>,
    /// Of foreign keys, in constraint order; no name where the constraint means the primary key.
    pub references: Vec<Reference>,
}

#[derive(Debug)]
pub(super) struct KeyColumn {
    pub table: TableId,
    pub index: String,
    pub primary: bool,
    pub column: Option<String>,
}

#[derive(Debug)]
pub(super) struct Reference {
    pub table: TableId,
    pub constraint: String,
    pub column: String,
    pub to: TableId,
    pub to_column: Option<String>,
}

impl Facts {
    pub fn into_catalogue(self) -> Catalogue {
        let mut tables: BTreeMap<TableId, Table> = BTreeMap::new();
        for (id, column) in self.columns {
            let (schema, name) = id.clone();
            let table = tables.entry(id).or_insert_with(|| Table {
                schema,
                name,
                columns: Vec::new(),
                primary_key: Vec::new(),
                unique: Vec::new(),
                foreign_keys: Vec::new(),
            });
            table.columns.push(column);
        }
        add_keys(&mut tables, &self.keys);
        add_references(&mut tables, &self.references, self.default_schema.as_deref());
        let named = |(id, table): (TableId, Table)| {
            (
                document_name(&id, self.default_schema.as_deref()),
                Arc::new(table),
            )
        };
        Catalogue {
            tables: tables.into_iter().map(named).collect(),
            statements: BTreeMap::new(),
        }
    }
}

fn document_name((schema, name): &TableId, default_schema: Option<&str>) -> String {
    match schema {
        Some(schema) if Some(schema.as_str()) != default_schema => format!("{schema}.{name}"),
        _ => name.clone(),
    }
}

fn add_keys(tables: &mut BTreeMap<TableId, Table>, keys: &[KeyColumn]) {
    for group in keys.chunk_by(|a, b| a.table == b.table && a.index == b.index) {
        let Some(table) = tables.get_mut(&group[0].table) else {
            continue;
        };
        let positions = group
            .iter()
            .map(|key| key.column.as_deref().and_then(|name| position(table, name)));
        let Some(columns) = positions.collect::<Option<Vec<_>>>() else {
            continue;
        };
        if group[0].primary {
            table.primary_key = columns;
        } else {
            table.unique.push(columns);
        }
    }
}

fn add_references(
    tables: &mut BTreeMap<TableId, Table>,
    references: &[Reference],
    default_schema: Option<&str>,
) {
    for group in references.chunk_by(|a, b| a.table == b.table && a.constraint == b.constraint) {
        let Some((id, target)) = find(tables, &group[0].to) else {
            continue;
        };
        let names: Option<Vec<String>> = group
            .iter()
            .enumerate()
            .map(|(i, reference)| {
                let at = match &reference.to_column {
                    Some(name) => position(target, name),
                    None => target.primary_key.get(i).copied(),
                };
                at.map(|at| target.columns[at].name.clone())
            })
            .collect();
        let table = document_name(id, default_schema);
        let Some(holder) = tables.get_mut(&group[0].table) else {
            continue;
        };
        let columns = group
            .iter()
            .map(|reference| position(holder, &reference.column))
            .collect();
        if let (Some(references), Some(columns)) = (names, columns) {
            holder.foreign_keys.push(ForeignKey {
                columns,
                table,
                references,
            });
        }
    }
}

/// SQLite writes names in a foreign key as the statement did, in any case.
fn find<'a>(tables: &'a BTreeMap<TableId, Table>, id: &TableId) -> Option<(&'a TableId, &'a Table)> {
    let any_case = || {
        tables
            .iter()
            .find(|((schema, name), _)| *schema == id.0 && name.eq_ignore_ascii_case(&id.1))
    };
    tables
        .get_key_value(id)
        .or_else(|| if id.0.is_none() { any_case() } else { None })
}

fn position(table: &Table, name: &str) -> Option<usize> {
    let any_case = || {
        table
            .columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    };
    table
        .column(name)
        .or_else(|| if table.schema.is_none() { any_case() } else { None })
}

/// Runs a SELECT whose `width` columns are all text.
pub(crate) async fn texts(
    conn: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
    width: usize,
) -> Result<Vec<Vec<Option<String>>>, DbErr> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| (0..width).map(|i| row.try_get_by_index(i)).collect())
        .collect()
}
