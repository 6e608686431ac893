//! Every column of every table gets other values, every table loses a row and gets one. After each change exactly those
//! documents have a new revision that the evaluator sees change, and all are what it says.
//!
//! The changes come from the schema, so a new table or column has its own at once. A column that shows in no document
//! stands in [`unused`], and a column that stands there and shows is a mistake as well.

use std::collections::BTreeSet;

use pubsync_examples::{Set, random::Random};
use pubsync_tests::naive::{ColumnKind, Data, Table};

use super::{
    example::{About, Example},
    observed::{Changes, Documents, Mirror, expected_changes, new_revisions},
};

/// Rows that are tried until a change of them shows in some document.
const ROWS: u32 = 12;
/// Far above every generated id.
const NEW_ID: u64 = 1_000_000;

/// Columns that no document shows.
fn unused(set: Set) -> BTreeSet<&'static str> {
    match set {
        Set::Storefront => BTreeSet::from(["product.created_at"]),
        // It is in a document, but does not count there: `unhashed`.
        Set::Feeds => BTreeSet::from(["product.updated_at"]),
        Set::Projections => BTreeSet::new(),
    }
}

/// Makes all changes, one after the other.
pub async fn all(example: &mut Example) {
    let mut run = Run::start(example).await;
    let tables: Vec<Table> = run.example.schema.tables.values().cloned().collect();
    for table in &tables {
        run.columns(table).await;
        run.one_row(table).await;
    }
    for table in in_order_of_deletion(&tables) {
        run.last_row(table).await;
    }
    println!(
        "{:?}: {} changes changed {} documents",
        run.example.set, run.changes, run.documents
    );
    run.assert_everything_showed(&tables);
}

struct Run<'a> {
    example: &'a mut Example,
    expected: Documents,
    mirror: Mirror,
    random: Random,
    /// Tables and `table.column` whose change changed documents.
    showed: BTreeSet<String>,
    changes: usize,
    documents: usize,
}

impl<'a> Run<'a> {
    async fn start(example: &'a mut Example) -> Self {
        let (expected, mirror) = (
            example.expected(None, About::Everything).await,
            example.mirror(None).await,
        );
        Self {
            example,
            expected,
            mirror,
            random: Random::new(1, "changes", 0),
            showed: BTreeSet::new(),
            changes: 0,
            documents: 0,
        }
    }

    /// Runs a statement and looks at what follows. Gives how many documents changed; `None` where the database refuses
    /// the statement, for a key that is taken or a row that is needed.
    async fn change(&mut self, sql: &str, about: About<'_>) -> Option<usize> {
        let rows = match self.example.session.execute(sql).await {
            Ok(rows) => rows,
            Err(error) if is_refused(&error) => return None,
            Err(error) => panic!("{sql}: {error}"),
        };
        assert!(rows > 0, "{sql}: no row");
        self.example.drain().await;
        let expected = self.example.expected(Some(&self.expected), about).await;
        let mirror = self.example.mirror(Some(&self.mirror)).await;
        self.example.assert_nothing_failed(sql).await;
        let Changes {
            bodies: should,
            roots,
        } = expected_changes(&self.expected, &expected);
        let mut did = new_revisions(&self.mirror, &mirror);
        did.retain(|key| !roots.contains(key));
        let sample =
            |keys: BTreeSet<&(String, String)>| keys.into_iter().take(5).cloned().collect::<Vec<_>>();
        assert!(
            should == did,
            "{sql}: {} documents should change, {} did; only the evaluator's: {:?}; only the mirror's: {:?}",
            should.len(),
            did.len(),
            sample(should.difference(&did).collect()),
            sample(did.difference(&should).collect()),
        );
        self.example
            .assert_equal(sql, (&self.expected, &expected), &mirror);
        (self.expected, self.mirror) = (expected, mirror);
        self.changes += 1;
        self.documents += should.len();
        Some(should.len())
    }

    /// Another value for each column, but for those that are the row's identity.
    async fn columns(&mut self, table: &Table) {
        for place in (0..table.columns.len()).filter(|place| !is_identity(table, *place)) {
            if self.column(table, place).await {
                let name = format!("{}.{}", table.name, table.columns[place].name);
                self.showed.insert(name);
            }
        }
    }

    /// Changes one column of some rows, until documents change.
    async fn column(&mut self, table: &Table, place: usize) -> bool {
        let column = &table.columns[place].name;
        for row in self.rows(table).await {
            for value in self.values(table, place, &row).await {
                let sql = format!(
                    "UPDATE {} SET {column} = {value} WHERE {}",
                    table.sql,
                    is_row(table, &row)
                );
                if self
                    .change(&sql, About::Table(&table.name))
                    .await
                    .is_some_and(|count| count > 0)
                {
                    return true;
                }
            }
        }
        false
    }

    /// A row comes, gets another key, and goes.
    async fn one_row(&mut self, table: &Table) {
        for row in self.rows(table).await {
            let count = if has_own_id(table) {
                self.copied(table, &row).await
            } else {
                self.replaced(table, &row).await
            };
            if count > 0 {
                self.showed.insert(table.name.clone());
                return;
            }
        }
    }

    /// A copy of a row under a new id; its id changes; it is deleted.
    async fn copied(&mut self, table: &Table, row: &Row) -> usize {
        let id = &table.columns[table.key[0]].name;
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let value = |unique: bool, place: usize| {
            let column = &table.columns[place];
            match column.kind {
                _ if place == table.key[0] => format!("{} + {NEW_ID}", column.name),
                ColumnKind::Text if unique => format!("{} || '-2'", column.name),
                _ => column.name.clone(),
            }
        };
        let mut count = 0;
        // As it is where the database lets it, else with other texts.
        for unique in [false, true] {
            let values: Vec<String> = (0..table.columns.len())
                .map(|place| value(unique, place))
                .collect();
            let sql = format!(
                "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
                table.sql,
                names.join(", "),
                values.join(", "),
                table.sql,
                is_row(table, row)
            );
            if let Some(inserted) = self.change(&sql, About::Table(&table.name)).await {
                count += inserted;
                break;
            }
            if unique {
                // Unique by foreign keys: only the row itself can come again.
                return self.replaced(table, row).await;
            }
        }
        let (old, new) = (number(table, row) + NEW_ID, number(table, row) + 2 * NEW_ID);
        let moved = format!("UPDATE {} SET {id} = {new} WHERE {id} = {old}", table.sql);
        let deleted = format!("DELETE FROM {} WHERE {id} = {new}", table.sql);
        for sql in [moved, deleted] {
            count += self
                .change(&sql, About::Table(&table.name))
                .await
                .unwrap_or_else(|| panic!("{sql}: refused"));
        }
        count
    }

    /// A row goes and comes again, as it was.
    async fn replaced(&mut self, table: &Table, row: &Row) -> usize {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<String> = row.iter().map(literal).collect();
        let deleted = format!("DELETE FROM {} WHERE {}", table.sql, is_row(table, row));
        let inserted = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.sql,
            names.join(", "),
            values.join(", ")
        );
        let mut count = 0;
        for sql in [deleted, inserted] {
            count += self
                .change(&sql, About::Table(&table.name))
                .await
                .unwrap_or_else(|| panic!("{sql}: refused"));
        }
        count
    }

    /// A row that others may name goes for good, and takes them along.
    async fn last_row(&mut self, table: &Table) {
        for row in self.rows(table).await {
            let sql = format!("DELETE FROM {} WHERE {}", table.sql, is_row(table, &row));
            let count = self
                .change(&sql, About::Everything)
                .await
                .unwrap_or_else(|| panic!("{sql}: refused"));
            if count > 0 {
                self.showed.insert(table.name.clone());
                return;
            }
        }
    }

    /// Some rows of the table, each time others.
    async fn rows(&mut self, table: &Table) -> Vec<Row> {
        let mut rows = self.all_rows(table).await;
        let mut picked = Vec::new();
        while picked.len() < ROWS as usize && !rows.is_empty() {
            let at = self.random.below(rows.len() as u32);
            picked.push(rows.swap_remove(at as usize));
        }
        picked
    }

    /// In an order that both databases share.
    async fn all_rows(&mut self, table: &Table) -> Vec<Row> {
        let data = Data::read(&mut self.example.session, &self.example.schema).await;
        let mut rows = data.rows(table).to_vec();
        rows.sort();
        rows
    }

    /// What else could stand there, as SQL.
    async fn values(&mut self, table: &Table, place: usize, row: &Row) -> Vec<String> {
        let column = &table.columns[place];
        let name = &column.name;
        let mut values = match &column.kind {
            _ if is_foreign(table, place) => self.other_rows(table, place, row).await,
            ColumnKind::Boolean => vec![format!("NOT {name}")],
            ColumnKind::Integer => vec![format!("coalesce({name}, 0) + 1000")],
            ColumnKind::Numeric(_) => vec![format!("coalesce({name}, 0) + 100.25")],
            ColumnKind::Timestamp => vec!["'2020-02-02 02:02:02'".into(), "'2096-06-06 06:06:06'".into()],
            ColumnKind::Json => vec![r#"'{"changed": [1, 2.50]}'"#.into()],
            ColumnKind::Text => vec![format!("coalesce({name}, '') || '~'")],
            other => panic!("{}.{name}: no other value for {other:?}", table.name),
        };
        if column.nullable && row[place].is_some() {
            let at = self.random.below(2) as usize;
            values.insert(at.min(values.len()), "NULL".into());
        }
        values
    }

    /// Keys of one other row that the foreign key could name. In a tree it is one with a smaller id, so that no cycle
    /// comes to be.
    async fn other_rows(&mut self, table: &Table, place: usize, row: &Row) -> Vec<String> {
        let foreign = table
            .foreign
            .iter()
            .find(|key| key.columns == [place])
            .expect("a foreign key of one column");
        let named = self.example.schema.table(&foreign.table).clone();
        let rows = self.all_rows(&named).await;
        let keys = rows.iter().filter_map(|row| row[foreign.references[0]].clone());
        let may = |key: &String| {
            let smaller = || key.parse::<u64>().is_ok_and(|key| key < number(table, row));
            Some(key) != row[place].as_ref() && (foreign.table != table.name || smaller())
        };
        let keys: Vec<String> = keys.filter(may).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        vec![self.random.pick(&keys).clone()]
    }

    fn assert_everything_showed(&self, tables: &[Table]) {
        let unused = unused(self.example.set);
        let columns = tables.iter().flat_map(|table| {
            let places = (0..table.columns.len()).filter(|place| !is_identity(table, *place));
            places.map(|place| format!("{}.{}", table.name, table.columns[place].name))
        });
        let silent: Vec<String> = columns.filter(|column| !self.showed.contains(column)).collect();
        let silent: BTreeSet<&str> = silent.iter().map(String::as_str).collect();
        assert_eq!(silent, unused, "columns whose changes changed no document");
        let silent: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let silent: Vec<&str> = silent
            .into_iter()
            .filter(|table| !self.showed.contains(*table))
            .collect();
        assert!(
            silent.is_empty(),
            "tables whose rows came and went and changed no document: {silent:?}"
        );
    }
}

type Row = Vec<Option<String>>;

/// Those that nobody names first, so that a delete does not take away what is still to be deleted from.
fn in_order_of_deletion(tables: &[Table]) -> Vec<&Table> {
    let (mut left, mut order): (Vec<&Table>, Vec<&Table>) = (tables.iter().collect(), Vec::new());
    while !left.is_empty() {
        let is_named = |table: &Table| {
            let others = left.iter().filter(|other| other.name != table.name);
            others
                .flat_map(|other| &other.foreign)
                .any(|key| key.table == table.name)
        };
        let (named, free): (Vec<&Table>, Vec<&Table>) =
            left.iter().copied().partition(|table| is_named(table));
        assert!(!free.is_empty(), "tables name each other");
        order.extend(free);
        left = named;
    }
    order
}

/// An id of its own, or the foreign keys of a junction: other values there are another row.
fn is_identity(table: &Table, place: usize) -> bool {
    table.key.contains(&place) && (table.key.len() == 1 || is_foreign(table, place))
}

fn is_foreign(table: &Table, place: usize) -> bool {
    table.foreign.iter().any(|key| key.columns == [place])
}

/// Whether the key is a number of the table's own.
fn has_own_id(table: &Table) -> bool {
    table.key.len() == 1 && !is_foreign(table, table.key[0])
}

fn number(table: &Table, row: &Row) -> u64 {
    let id = row[table.key[0]].as_deref().expect("an id");
    id.parse().unwrap_or_else(|error| panic!("{id}: {error}"))
}

fn is_row(table: &Table, row: &Row) -> String {
    let column = |place: &usize| format!("{} = {}", table.columns[*place].name, literal(&row[*place]));
    let columns: Vec<String> = table.key.iter().map(column).collect();
    columns.join(" AND ")
}

fn literal(value: &Option<String>) -> String {
    match value {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

/// A key that is taken, or a row that others name.
fn is_refused(error: &sqlx::Error) -> bool {
    let kind = error.as_database_error().map(sqlx::error::DatabaseError::kind);
    matches!(
        kind,
        Some(sqlx::error::ErrorKind::UniqueViolation | sqlx::error::ErrorKind::ForeignKeyViolation)
    )
}
