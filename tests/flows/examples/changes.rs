//! Every column of every table gets other values, every table loses a row and gets one. After each change exactly those
//! documents have a new revision that the evaluator sees change, and all are what it says.
//!
//! The changes come from the schema, so a new table or column has its own at once. A column that shows in no document
//! stands in [`unused`], and a column that stands there and shows is a mistake as well.

use std::collections::BTreeSet;

use pubsync_examples::{Set, random::Random};
use pubsync_tests::naive::{ColumnKind, Row, Table};

use super::{
    example::{About, Example},
    observed::{Changes, Documents, Mirror, expected_changes, new_revisions},
    statements::{
        NEW_ID, copied, deleted, has_own_id, inserted, is_foreign, is_identity, literal, number, update,
    },
};

/// How many rows change at once, one attempt after the other, until some document changes: first one alone, because
/// what it changes is its own; then ever more, because few show. All rows of a table have their turn.
const AT_ONCE: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, usize::MAX];
const ALL: [usize; 1] = [usize::MAX];
/// How many of these attempts are made with rows that come and go.
const ATTEMPTS: usize = 3;
/// Rows that go for good, one after the other, until some document changes.
const LAST_ROWS: usize = 12;
/// How many other rows a foreign key may try to name, where the database refuses some.
const OTHER_ROWS: usize = 8;

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
        run.some_rows(table).await;
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

    /// Runs statements, each of which is one of several that mean the same: the first that the database does not refuse.
    /// Then looks at what follows. Gives which of them ran, and how many documents changed.
    async fn change(&mut self, statements: &[Vec<String>], about: About<'_>) -> (Vec<bool>, usize) {
        let (mut ran, mut what) = (Vec::new(), Vec::new());
        for alternatives in statements {
            let done = self.first_accepted(alternatives).await;
            ran.push(done.is_some());
            what.extend(done);
        }
        if what.is_empty() {
            return (ran, 0);
        }
        let changed = self.look(&what.join("; "), about).await;
        self.changes += what.len();
        self.documents += changed;
        (ran, changed)
    }

    /// As [`Self::change`], where nothing may be refused.
    async fn change_all(&mut self, statements: Vec<String>, about: About<'_>) -> usize {
        let statements: Vec<Vec<String>> = statements.into_iter().map(|sql| vec![sql]).collect();
        let (ran, changed) = self.change(&statements, about).await;
        let refused = ran.iter().position(|ran| !ran);
        assert!(
            refused.is_none(),
            "refused: {:?}",
            refused.map(|at| &statements[at])
        );
        changed
    }

    /// `None` where the database refuses all, for a key that is taken or a row that is needed.
    async fn first_accepted(&mut self, statements: &[String]) -> Option<String> {
        for sql in statements {
            match self.example.session.execute(sql).await {
                Ok(rows) => {
                    assert!(rows > 0, "{sql}: no row");
                    return Some(sql.clone());
                }
                Err(error) if is_refused(&error) => {}
                Err(error) => panic!("{sql}: {error}"),
            }
        }
        None
    }

    /// Exactly those documents change that the evaluator sees change, and all are what it says. Gives their number.
    async fn look(&mut self, what: &str, about: About<'_>) -> usize {
        self.example.drain().await;
        let expected = self.example.expected(Some(&self.expected), about).await;
        let mirror = self.example.mirror(Some(&self.mirror)).await;
        self.example.assert_nothing_failed(what).await;
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
            "{what}: {} documents should change, {} did; only the evaluator's: {:?}; only the mirror's: {:?}",
            should.len(),
            did.len(),
            sample(should.difference(&did).collect()),
            sample(did.difference(&should).collect()),
        );
        self.example
            .assert_equal(what, (&self.expected, &expected), &mirror);
        (self.expected, self.mirror) = (expected, mirror);
        should.len()
    }

    /// Another value for each column, but for those that are the row's identity.
    async fn columns(&mut self, table: &Table) {
        for place in (0..table.columns.len()).filter(|place| !is_identity(table, *place)) {
            let column = &table.columns[place];
            let mut changed = Vec::new();
            if self.column(table, place, &mut changed).await {
                self.showed.insert(format!("{}.{}", table.name, column.name));
            }
            // What is off, or over, would hide what hangs on it from all changes to come.
            if matches!(column.kind, ColumnKind::Boolean | ColumnKind::Timestamp) {
                let back = |row: &Row| update(table, place, &literal(&row[place]), row);
                let back = changed.iter().map(back).collect();
                self.change_all(back, About::Table(&table.name)).await;
            }
        }
    }

    /// Changes one column of more and more rows, until documents change. `changed`: those rows, as they were.
    async fn column(&mut self, table: &Table, place: usize, changed: &mut Vec<Row>) -> bool {
        let mut rows = self.shuffled(table);
        let name = format!("{}.{}", table.name, table.columns[place].name);
        let is_unused = unused(self.example.set).contains(name.as_str());
        for count in if is_unused { &ALL } else { &AT_ONCE[..] } {
            let rows: Vec<Row> = rows.split_off(rows.len().saturating_sub(*count));
            changed.extend(rows.iter().cloned());
            let changes = rows.iter().map(|row| self.updates(table, place, row));
            let changes: Vec<Vec<Vec<String>>> = changes.collect();
            // A row may have several changes: null, and another value.
            for number in 0.. {
                let statements: Vec<Vec<String>> = changes
                    .iter()
                    .filter_map(|changes| changes.get(number).cloned())
                    .collect();
                if statements.is_empty() {
                    break;
                }
                if self.change(&statements, About::Table(&table.name)).await.1 > 0 {
                    return true;
                }
            }
        }
        false
    }

    /// Statements that give a column of a row another value: each a change of its own, in several ways.
    fn updates(&mut self, table: &Table, place: usize, row: &Row) -> Vec<Vec<String>> {
        let update = |value: String| update(table, place, &value, row);
        let changes = self.values(table, place, row).into_iter();
        changes
            .map(|values| values.into_iter().map(update).collect())
            .collect()
    }

    /// Rows come, get another key, and go.
    async fn some_rows(&mut self, table: &Table) {
        let mut rows = self.shuffled(table);
        for count in AT_ONCE.into_iter().take(ATTEMPTS) {
            let rows: Vec<Row> = rows.split_off(rows.len().saturating_sub(count));
            let count = if has_own_id(table) {
                self.copied(table, &rows).await
            } else {
                self.replaced(table, &rows).await
            };
            if count > 0 {
                self.showed.insert(table.name.clone());
                return;
            }
        }
    }

    /// Copies of rows under new ids; their ids change; they are deleted.
    async fn copied(&mut self, table: &Table, rows: &[Row]) -> usize {
        let about = About::Table(&table.name);
        // As it is where the database lets it, else with other texts.
        let copy = |row: &Row| [false, true].map(|unique| copied(table, row, unique)).to_vec();
        let copies: Vec<Vec<String>> = rows.iter().map(copy).collect();
        let (ran, mut count) = self.change(&copies, about).await;
        if !ran.contains(&true) {
            // Unique by foreign keys: only the row itself can come again.
            return self.replaced(table, rows).await;
        }
        let id = &table.columns[table.key[0]].name;
        let ids = rows.iter().zip(ran).filter(|(_, ran)| *ran);
        let ids: Vec<u64> = ids.map(|(row, _)| number(table, row)).collect();
        let (first, second) = (|id| id + NEW_ID, |id| id + 2 * NEW_ID);
        let sql = &table.sql;
        let moved = ids.iter().map(|old| {
            format!(
                "UPDATE {sql} SET {id} = {} WHERE {id} = {}",
                second(old),
                first(old)
            )
        });
        count += self.change_all(moved.collect(), about).await;
        let deleted = ids
            .iter()
            .map(|old| format!("DELETE FROM {sql} WHERE {id} = {}", second(old)));
        count + self.change_all(deleted.collect(), about).await
    }

    /// Rows go and come again, as they were.
    async fn replaced(&mut self, table: &Table, rows: &[Row]) -> usize {
        let about = About::Table(&table.name);
        let deleted = rows.iter().map(|row| deleted(table, row)).collect();
        let inserted = rows.iter().map(|row| inserted(table, row)).collect();
        self.change_all(deleted, about).await + self.change_all(inserted, about).await
    }

    /// A row that others may name goes for good, and takes them along.
    async fn last_row(&mut self, table: &Table) {
        for row in self.shuffled(table).into_iter().take(LAST_ROWS) {
            let deleted = vec![deleted(table, &row)];
            if self.change_all(deleted, About::Everything).await > 0 {
                self.showed.insert(table.name.clone());
                return;
            }
        }
    }

    /// All rows, each time in another order, which both databases share.
    fn shuffled(&mut self, table: &Table) -> Vec<Row> {
        let mut rows = self.example.data.rows(table).to_vec();
        rows.sort();
        let mut shuffled = Vec::new();
        while !rows.is_empty() {
            let at = self.random.below(rows.len() as u32);
            shuffled.push(rows.swap_remove(at as usize));
        }
        shuffled
    }

    /// What else could stand there, as SQL: each a change of its own, in several ways.
    fn values(&mut self, table: &Table, place: usize, row: &Row) -> Vec<Vec<String>> {
        let column = &table.columns[place];
        let name = &column.name;
        // Rows that change together do not keep their distances.
        let more = 1_000 + self.random.below(1_000);
        let mut values = match &column.kind {
            _ if is_foreign(table, place) => vec![self.other_rows(table, place, row)],
            ColumnKind::Boolean => vec![vec![format!("NOT {name}")]],
            ColumnKind::Integer => vec![vec![format!("coalesce({name}, 0) + {more}")]],
            ColumnKind::Numeric(_) => vec![vec![format!("coalesce({name}, 0) + 100.25")]],
            ColumnKind::Timestamp => ["'2020-02-02 02:02:02'", "'2096-06-06 06:06:06'"]
                .map(|time| vec![time.into()])
                .to_vec(),
            ColumnKind::Json => vec![vec![r#"'{"changed": [1, 2.50]}'"#.into()]],
            ColumnKind::Text => vec![vec![format!("coalesce({name}, '') || '~'")]],
            other => panic!("{}.{name}: no other value for {other:?}", table.name),
        };
        if column.nullable && row[place].is_some() {
            let at = self.random.below(2) as usize;
            values.insert(at.min(values.len()), vec!["NULL".into()]);
        }
        values.retain(|ways| !ways.is_empty());
        values
    }

    /// Keys of some other rows that the foreign key could name. In a tree they are smaller ids, so that no cycle
    /// comes to be.
    fn other_rows(&mut self, table: &Table, place: usize, row: &Row) -> Vec<String> {
        let foreign = table
            .foreign
            .iter()
            .find(|key| key.columns == [place])
            .expect("a foreign key of one column");
        let named = self.example.schema.table(&foreign.table).clone();
        let may = |key: &String| {
            let smaller = || key.parse::<u64>().is_ok_and(|key| key < number(table, row));
            Some(key) != row[place].as_ref() && (foreign.table != table.name || smaller())
        };
        let rows = self.shuffled(&named).into_iter();
        let keys = rows.filter_map(|row| row[foreign.references[0]].clone());
        keys.filter(may).take(OTHER_ROWS).collect()
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

/// A key that is taken, or a row that others name.
fn is_refused(error: &sqlx::Error) -> bool {
    let kind = error.as_database_error().map(sqlx::error::DatabaseError::kind);
    matches!(
        kind,
        Some(sqlx::error::ErrorKind::UniqueViolation | sqlx::error::ErrorKind::ForeignKeyViolation)
    )
}
