//! A schema as the generator knows it, its DDL, and values for its columns.

use pubsync_tests::naive::Engine;

use crate::random::Random;

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub key: Vec<usize>,
    /// A column with a unique index and without nulls, beside the primary key.
    pub unique: Option<usize>,
    pub foreign: Vec<Foreign>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub sort: Sort,
    pub nullable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Integer,
    Bigint,
    /// Digits after the point.
    Numeric(usize),
    Float,
    Text,
    Boolean,
    Timestamp,
    TimestampTz,
    Date,
    Json,
    Uuid,
    Bytes,
    Mood,
}

#[derive(Debug, Clone)]
pub struct Foreign {
    pub columns: Vec<usize>,
    /// Index of the table whose primary key they hold.
    pub table: usize,
    /// What happens when the row it names goes.
    pub on_delete: &'static str,
}

/// Values of keys, so few that rows come, go and come again.
const KEYS: u64 = 9;

const TEXTS: [&str; 16] = [
    "",
    "a",
    "A",
    "b",
    "B a",
    "x:y",
    "100%",
    "{q}",
    "say \"hi\"",
    "line\nbreak",
    "tab\t",
    "o'clock",
    "back\\slash",
    "größe",
    "🦀",
    "null",
];

const LABELS: [&str; 3] = ["sad", "ok", "happy"];

impl Sort {
    fn sql(self, engine: Engine) -> String {
        let postgres = engine == Engine::Postgres;
        match self {
            Self::Integer => "integer".to_owned(),
            Self::Bigint => "bigint".to_owned(),
            Self::Numeric(scale) => format!("numeric(12,{scale})"),
            Self::Float if postgres => "double precision".to_owned(),
            Self::Float => "REAL".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Timestamp if postgres => "timestamp".to_owned(),
            Self::Timestamp => "DATETIME".to_owned(),
            Self::TimestampTz => "timestamptz".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Json if postgres => "jsonb".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Bytes if postgres => "bytea".to_owned(),
            Self::Bytes => "BLOB".to_owned(),
            Self::Mood if postgres => "mood".to_owned(),
            Self::Mood => "text".to_owned(),
        }
    }

    /// Whether the database orders and compares it.
    pub fn is_ordered(self) -> bool {
        !matches!(self, Self::Json | Self::Bytes)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Bigint | Self::Numeric(_))
    }

    /// A value as its text, without quotes.
    pub fn value(self, random: &mut Random) -> String {
        match self {
            Self::Integer => random.up_to(KEYS).to_string(),
            Self::Bigint => random.pick(&["-1", "0", "9007199254740993", "12"]).to_owned(),
            Self::Numeric(scale) => {
                let units = random.up_to(100_000).to_string();
                let sign = random.pick(&["", "", "", "-"]);
                match scale {
                    0 => format!("{sign}{units}"),
                    scale => {
                        let digits = format!("{units:0>width$}", width = scale + 1);
                        let (whole, fraction) = digits.split_at(digits.len() - scale);
                        format!("{sign}{whole}.{fraction}")
                    }
                }
            }
            Self::Float => random.pick(&["0.1", "-2.25", "1e20", "0", "1234.5"]).to_owned(),
            Self::Text => random.pick(&TEXTS).to_owned(),
            Self::Boolean => random.pick(&["true", "false"]).to_owned(),
            Self::Timestamp => format!(
                "{}{}",
                self.day(random),
                random.pick(&[" 03:04:05", " 23:59:59.120", " 00:00:00"])
            ),
            Self::TimestampTz => format!("{} 03:04:0{}", self.day(random), random.up_to(9)),
            Self::Date => self.day(random),
            Self::Json => random
                .pick(&[
                    "{\"a\": 1.00, \"b\": [1, null]}",
                    "[]",
                    "\"x\"",
                    "{\"b\":\n{\"c\": \"}\"}}",
                    "null",
                    "[1, [2]]",
                ])
                .to_owned(),
            Self::Uuid => format!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd38000{}", random.up_to(KEYS)),
            Self::Bytes => random.pick(&["00ff", "", "abcdef01"]).to_owned(),
            Self::Mood => random.pick(&LABELS).to_owned(),
        }
    }

    /// Long ago or far away, so that no boundary passes while a test runs.
    fn day(self, random: &mut Random) -> String {
        format!(
            "{}-0{}-1{}",
            random.pick(&["1999", "2019", "2190"]),
            random.up_to(3),
            random.up_to(2)
        )
    }

    /// A value in SQL.
    pub fn literal(self, engine: Engine, random: &mut Random) -> String {
        let value = self.value(random);
        match self {
            Self::Bytes if engine == Engine::Sqlite => format!("x'{value}'"),
            Self::Bytes => format!("'\\x{value}'"),
            Self::Integer | Self::Bigint | Self::Numeric(_) | Self::Float | Self::Boolean => value,
            _ => format!("'{}'", value.replace('\'', "''")),
        }
    }
}

impl Table {
    pub fn sql(&self) -> String {
        quote(&self.name)
    }

    pub fn column(&self, column: usize) -> String {
        quote(&self.columns[column].name)
    }

    pub fn columns_sql(&self, columns: &[usize]) -> String {
        let names: Vec<String> = columns.iter().map(|&column| self.column(column)).collect();
        names.join(", ")
    }

    /// Columns that no key and no foreign key holds.
    pub fn plain(&self) -> Vec<usize> {
        let held = |column: &usize| {
            self.key.contains(column)
                || self.unique == Some(*column)
                || self.foreign.iter().any(|key| key.columns.contains(column))
        };
        (0..self.columns.len()).filter(|column| !held(column)).collect()
    }

    fn ddl(&self, engine: Engine, tables: &[Self]) -> String {
        let column = |column: &Column| {
            let not_null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{not_null}", quote(&column.name), column.sort.sql(engine))
        };
        let mut parts: Vec<String> = self.columns.iter().map(column).collect();
        parts.push(format!("PRIMARY KEY ({})", self.columns_sql(&self.key)));
        if let Some(unique) = self.unique {
            parts.push(format!("UNIQUE ({})", self.column(unique)));
        }
        for key in &self.foreign {
            let named = &tables[key.table];
            parts.push(format!(
                "FOREIGN KEY ({}) REFERENCES {} ({}) ON UPDATE CASCADE {}",
                self.columns_sql(&key.columns),
                named.sql(),
                named.columns_sql(&named.key),
                key.on_delete
            ));
        }
        format!("CREATE TABLE {} ({});", self.sql(), parts.join(", "))
    }
}

pub fn ddl(engine: Engine, tables: &[Table]) -> String {
    let types = match engine {
        Engine::Postgres => "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');\n",
        Engine::Sqlite => "",
    };
    let all: Vec<String> = tables.iter().map(|table| table.ddl(engine, tables)).collect();
    types.to_owned() + &all.join("\n")
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
