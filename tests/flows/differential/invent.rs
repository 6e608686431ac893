//! Random schemas: two to eight tables that name each other, junctions, self-references, composite keys.

use super::model::{Column, Foreign, Sort, Table};
use crate::random::Random;

const NAMES: [&str; 8] = [
    "item",
    "shop",
    "order",
    "store item",
    "Brand",
    "größe",
    "note",
    "tag",
];
const COLUMNS: [&str; 8] = ["name", "rank", "price", "is on", "Kind", "since", "note", "first"];

const SORTS: [Sort; 16] = [
    Sort::Integer,
    Sort::Integer,
    Sort::Bigint,
    Sort::Numeric(2),
    Sort::Numeric(0),
    Sort::Numeric(4),
    Sort::Float,
    Sort::Text,
    Sort::Text,
    Sort::Boolean,
    Sort::Timestamp,
    Sort::TimestampTz,
    Sort::Date,
    Sort::Json,
    Sort::Bytes,
    Sort::Mood,
];

pub fn schema(random: &mut Random) -> Vec<Table> {
    let mut names = NAMES;
    random.shuffle(&mut names);
    let count = 2 + random.below(7);
    let mut tables: Vec<Table> = Vec::new();
    for name in &names[..count] {
        let table = if tables.len() >= 2 && random.percent(30) {
            junction(random, name, &tables)
        } else {
            entity(random, name, &tables)
        };
        tables.push(table);
    }
    tables
}

fn column(name: impl Into<String>, sort: Sort, nullable: bool) -> Column {
    Column {
        name: name.into(),
        sort,
        nullable,
    }
}

fn entity(random: &mut Random, name: &str, tables: &[Table]) -> Table {
    let mut columns = match random.below(10) {
        0..6 => vec![column("id", Sort::Integer, false)],
        6 => vec![column("code", Sort::Text, false)],
        7 => vec![column("id", Sort::Uuid, false)],
        _ => vec![
            column("no", Sort::Integer, false),
            column("code", Sort::Text, false),
        ],
    };
    let key = (0..columns.len()).collect();
    let mut names = COLUMNS;
    random.shuffle(&mut names);
    for name in &names[..1 + random.below(4)] {
        let sort = *random.one_of(&SORTS);
        let nullable = random.percent(70);
        columns.push(column(*name, sort, nullable));
    }
    if random.percent(35) {
        for name in ["opens", "closes"] {
            let sort = *random.one_of(&[Sort::Date, Sort::Timestamp, Sort::TimestampTz]);
            let nullable = random.percent(70);
            columns.push(column(name, sort, nullable));
        }
    }
    let mut table = Table {
        name: name.to_owned(),
        columns,
        key,
        unique: None,
        foreign: Vec::new(),
    };
    if random.percent(20) {
        table.unique = Some(table.columns.len());
        table.columns.push(column("ean", Sort::Text, false));
    }
    for _ in 0..random.below(3).min(tables.len()) {
        let to = random.below(tables.len());
        let nullable = random.percent(75);
        refer(random, &mut table, to, &tables[to].clone(), nullable);
    }
    if random.percent(45) {
        let itself = table.clone();
        refer(random, &mut table, tables.len(), &itself, true);
    }
    table
}

/// Adds columns that hold the key of a row of `named`.
fn refer(random: &mut Random, table: &mut Table, to: usize, named: &Table, nullable: bool) {
    let number = table.foreign.len();
    let mut columns = Vec::new();
    for &key in &named.key {
        let Column { name, sort, .. } = &named.columns[key];
        columns.push(table.columns.len());
        table
            .columns
            .push(column(format!("ref{number}_{name}"), *sort, nullable));
    }
    let on_delete = match random.below(4) {
        0 => "",
        1 if nullable => "ON DELETE SET NULL",
        _ => "ON DELETE CASCADE",
    };
    table.foreign.push(Foreign {
        columns,
        table: to,
        on_delete,
    });
}

/// Two foreign keys, often to the same table; its primary key are both, or a number of its own.
fn junction(random: &mut Random, name: &str, tables: &[Table]) -> Table {
    let mut table = Table {
        name: name.to_owned(),
        columns: Vec::new(),
        key: Vec::new(),
        unique: None,
        foreign: Vec::new(),
    };
    let own_key = random.percent(40);
    if own_key {
        table.columns.push(column("id", Sort::Integer, false));
        table.key.push(0);
    }
    for _ in 0..2 {
        let to = random.below(tables.len());
        let nullable = own_key && random.percent(30);
        refer(random, &mut table, to, &tables[to].clone(), nullable);
    }
    if !own_key {
        table.key = (0..table.columns.len()).collect();
    }
    if random.percent(70) {
        table.columns.push(column("place", Sort::Integer, true));
    }
    if random.percent(30) {
        table.columns.push(column("label", Sort::Text, true));
    }
    table
}
