//! Random statements of an application. What they do depends on the rows that are there, never on chance in the
//! database, so that a seed repeats them.

use pubsync_tests::naive::Engine;

use super::{history::movable, model::Table};
use crate::random::Random;

pub struct Writer<'a> {
    pub random: &'a mut Random,
    pub engine: Engine,
    pub tables: &'a [Table],
}

impl Writer<'_> {
    /// A row; where its key is taken, nothing or an error.
    pub fn insert(&mut self, table: usize, quiet: bool) -> String {
        let row = self.row(table);
        let table = &self.tables[table];
        let conflict = if quiet || self.random.percent(50) {
            " ON CONFLICT DO NOTHING"
        } else {
            ""
        };
        format!("INSERT INTO {} VALUES ({row}){conflict}", table.sql())
    }

    pub fn insert_many(&mut self, table: usize) -> String {
        let rows: Vec<String> = (0..2 + self.random.below(6))
            .map(|_| format!("({})", self.row(table)))
            .collect();
        format!(
            "INSERT INTO {} VALUES {} ON CONFLICT DO NOTHING",
            self.tables[table].sql(),
            rows.join(", ")
        )
    }

    /// Takes the values of the row that would have been inserted, all of them or those of some columns.
    pub fn upsert(&mut self, table: usize) -> String {
        let row = self.row(table);
        let table = &self.tables[table];
        let set: Vec<String> = (0..table.columns.len())
            .filter(|column| !table.key.contains(column) && self.random.percent(60))
            .map(|column| format!("{0} = excluded.{0}", table.column(column)))
            .collect();
        let action = if set.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", set.join(", "))
        };
        format!(
            "INSERT INTO {} VALUES ({row}) ON CONFLICT ({}) DO {action}",
            table.sql(),
            table.columns_sql(&table.key)
        )
    }

    pub fn update_one(&mut self, table: usize) -> String {
        let (set, one) = (self.assignments(table), self.one(table));
        format!("UPDATE {} SET {set} WHERE {one}", self.tables[table].sql())
    }

    pub fn update_many(&mut self, table: usize) -> String {
        let (set, some) = (self.assignments(table), self.some(table));
        format!("UPDATE {} SET {set}{some}", self.tables[table].sql())
    }

    /// Of one row or of some.
    pub fn update_column(&mut self, table: usize) -> String {
        let columns = self.tables[table].plain();
        if columns.is_empty() {
            return self.update_one(table);
        }
        let column = *self.random.one_of(&columns);
        let set = self.assignment(table, column);
        let rows = if self.random.percent(60) {
            format!(" WHERE {}", self.one(table))
        } else {
            self.some(table)
        };
        format!("UPDATE {} SET {set}{rows}", self.tables[table].sql())
    }

    pub fn update_nothing(&mut self, table: usize) -> String {
        let (name, some) = (self.tables[table].sql(), self.some(table));
        let column = self.random.below(self.tables[table].columns.len());
        let column = self.tables[table].column(column);
        format!("UPDATE {name} SET {column} = {column}{some}")
    }

    pub fn change_key(&mut self, table: usize) -> String {
        let (one, columns) = (self.one(table), self.tables[table].key.clone());
        let set: Vec<String> = columns
            .iter()
            .map(|&column| self.assignment(table, column))
            .collect();
        format!(
            "UPDATE {} SET {} WHERE {one}",
            self.tables[table].sql(),
            set.join(", ")
        )
    }

    /// Another row that a foreign key names, or none.
    pub fn move_to_another(&mut self, table: usize) -> String {
        let keys: Vec<_> = movable(&self.tables[table]).into_iter().cloned().collect();
        if keys.is_empty() {
            return self.update_one(table);
        }
        let key = self.random.one_of(&keys).clone();
        let values = if key.table == table && self.random.percent(70) {
            let (named, own) = (&self.tables[table], &self.tables[table].key);
            let own: Vec<String> = own
                .iter()
                .map(|&column| format!("{}.{}", named.sql(), named.column(column)))
                .collect();
            self.above(table, &own)
        } else {
            self.reference(key.table, self.tables[table].columns[key.columns[0]].nullable)
        };
        let set: Vec<String> = key
            .columns
            .iter()
            .zip(values)
            .map(|(&column, value)| format!("{} = {value}", self.tables[table].column(column)))
            .collect();
        let rows = if self.random.percent(80) {
            format!(" WHERE {}", self.one(table))
        } else {
            self.some(table)
        };
        format!("UPDATE {} SET {}{rows}", self.tables[table].sql(), set.join(", "))
    }

    pub fn delete_one(&mut self, table: usize) -> String {
        format!(
            "DELETE FROM {} WHERE {}",
            self.tables[table].sql(),
            self.one(table)
        )
    }

    pub fn delete_many(&mut self, table: usize) -> String {
        format!("DELETE FROM {}{}", self.tables[table].sql(), self.some(table))
    }

    pub fn truncate(&mut self, table: usize) -> String {
        match self.engine {
            Engine::Postgres => format!("TRUNCATE {} CASCADE", self.tables[table].sql()),
            Engine::Sqlite => format!("DELETE FROM {}", self.tables[table].sql()),
        }
    }

    /// Values of all columns.
    fn row(&mut self, table: usize) -> String {
        let columns = self.tables[table].columns.len();
        let mut values: Vec<String> = (0..columns)
            .map(|column| self.column_value(table, column))
            .collect();
        for key in self.tables[table].foreign.clone() {
            let nullable = self.tables[table].columns[key.columns[0]].nullable;
            let named = if key.table == table && self.random.percent(75) {
                let own = &self.tables[table].key;
                let own: Vec<String> = own.iter().map(|&column| values[column].clone()).collect();
                self.above(table, &own)
            } else {
                self.reference(key.table, nullable)
            };
            for (column, value) in key.columns.iter().zip(named) {
                values[*column] = value;
            }
        }
        values.join(", ")
    }

    fn column_value(&mut self, table: usize, column: usize) -> String {
        let column = &self.tables[table].columns[column];
        if column.nullable && self.random.percent(25) {
            "NULL".to_owned()
        } else {
            column.sort.literal(self.engine, self.random)
        }
    }

    /// The key of a row that is there; null where there is none, or by choice.
    fn reference(&mut self, table: usize, nullable: bool) -> Vec<String> {
        let named = &self.tables[table];
        if nullable && self.random.percent(20) {
            return vec!["NULL".to_owned(); named.key.len()];
        }
        let skipped = self.random.below(5);
        let column = |&column: &usize| {
            format!(
                "(SELECT {} FROM {} ORDER BY {} LIMIT 1 OFFSET (SELECT {skipped} % max(count(*), 1) FROM {1}))",
                named.column(column),
                named.sql(),
                named.columns_sql(&named.key),
            )
        };
        let greatest = match self.engine {
            Engine::Postgres => "greatest(count(*), 1)",
            Engine::Sqlite => "max(count(*), 1)",
        };
        named
            .key
            .iter()
            .map(|key| column(key).replace("max(count(*), 1)", greatest))
            .collect()
    }

    /// The key of a row of the same table that is less than this one: so hierarchies are deep, and most have no cycle.
    fn above(&mut self, table: usize, own: &[String]) -> Vec<String> {
        let (table, skipped) = (&self.tables[table], self.random.below(2));
        let key: Vec<String> = table
            .key
            .iter()
            .map(|&column| format!("above.{}", table.column(column)))
            .collect();
        let descending: Vec<String> = key.iter().map(|column| format!("{column} DESC")).collect();
        let column = |column: &String| {
            format!(
                "(SELECT {column} FROM {} AS above WHERE ({}) < ({}) ORDER BY {} LIMIT 1 OFFSET {skipped})",
                table.sql(),
                key.join(", "),
                own.join(", "),
                descending.join(", "),
            )
        };
        key.iter().map(column).collect()
    }

    fn assignment(&mut self, table: usize, column: usize) -> String {
        let value = self.column_value(table, column);
        format!("{} = {value}", self.tables[table].column(column))
    }

    /// Of one to three plain columns; of the key where there are none.
    fn assignments(&mut self, table: usize) -> String {
        let mut columns = self.tables[table].plain();
        if columns.is_empty() {
            columns = self.tables[table].key.clone();
        } else {
            self.random.shuffle(&mut columns);
            columns.truncate(1 + self.random.below(3));
        }
        let set: Vec<String> = columns
            .iter()
            .map(|&column| self.assignment(table, column))
            .collect();
        set.join(", ")
    }

    /// One row by its number in the order of keys.
    fn one(&mut self, table: usize) -> String {
        let table = &self.tables[table];
        let key = table.columns_sql(&table.key);
        let (place, name) = (self.random.below(8), table.sql());
        format!("({key}) IN (SELECT {key} FROM {name} ORDER BY {key} LIMIT 1 OFFSET {place})")
    }

    /// Some rows, or all.
    fn some(&mut self, table: usize) -> String {
        let table = &self.tables[table];
        let key = table.columns_sql(&table.key);
        let (rows, place, name) = (self.random.up_to(5), self.random.below(4), table.sql());
        match self.random.below(4) {
            0 => String::new(),
            _ => format!(
                " WHERE ({key}) IN (SELECT {key} FROM {name} ORDER BY {key} LIMIT {rows} OFFSET {place})"
            ),
        }
    }
}
