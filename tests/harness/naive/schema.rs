//! Tables as the database describes them, read by queries of our own.

use std::collections::BTreeMap;

use crate::Session;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    Sqlite,
}

#[derive(Debug, Clone)]
pub struct Schema {
    pub engine: Engine,
    /// By the name that documents use: bare in the default schema, else `schema.table`.
    pub tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// As documents call it.
    pub name: String,
    /// Quoted, for SQL. Of a query its text in parentheses.
    pub sql: String,
    pub columns: Vec<Column>,
    /// Places of the primary key's columns, in its order; empty where there is none.
    pub key: Vec<usize>,
    pub foreign: Vec<Foreign>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    pub nullable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnKind {
    Boolean,
    Integer,
    Float,
    /// With the declared digits after the point.
    Numeric(Option<usize>),
    Text,
    Uuid,
    /// Labels in their order.
    Enum(Vec<String>),
    Date,
    Timestamp,
    TimestampTz,
    Time,
    Json,
    Bytes,
    Array,
    /// The database's text.
    Other,
}

/// `columns` hold the key of a row of `table`, which is in `references`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    pub columns: Vec<usize>,
    pub table: String,
    pub references: Vec<usize>,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column.name == name);
        let any_case = |column: &Column| column.name.eq_ignore_ascii_case(name);
        exact.or_else(|| self.columns.iter().position(any_case))
    }

    /// # Panics
    /// Where there is none.
    pub fn place(&self, name: &str) -> usize {
        self.column(name)
            .unwrap_or_else(|| panic!("no column {name:?} in {}", self.name))
    }
}

impl Schema {
    /// All tables but the product's own.
    pub async fn read(session: &mut Session) -> Self {
        match session {
            Session::Postgres(_) => postgres(session).await,
            Session::Sqlite(_) => sqlite(session).await,
        }
    }

    /// # Panics
    /// Where there is none.
    pub fn table(&self, name: &str) -> &Table {
        let any_case = || {
            let mut all = self.tables.iter();
            all.find(|(known, _)| self.engine == Engine::Sqlite && known.eq_ignore_ascii_case(name))
                .map(|(_, table)| table)
        };
        self.tables
            .get(name)
            .or_else(any_case)
            .unwrap_or_else(|| panic!("no table {name:?}"))
    }
}

pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell(row: &[Option<String>], at: usize) -> &str {
    row[at].as_deref().unwrap_or_default()
}

/// Ordinary and partitioned tables outside of the system's and the product's schemas, in the order of their columns.
pub(super) const POSTGRES_COLUMNS: &str = "
    SELECT CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname END, c.relname, a.attname,
        CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END,
        CASE WHEN t.typtype = 'd' THEN b.typtype::text || b.typcategory::text
            ELSE t.typtype::text || t.typcategory::text END,
        CASE WHEN a.atttypmod > 0 THEN a.atttypmod ELSE t.typtypmod END::text,
        CASE WHEN a.attnotnull THEN '' ELSE 'null' END,
        (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)::text FROM pg_enum e WHERE e.enumtypid = t.oid),
        coalesce((SELECT array_position(i.indkey::int2[], a.attnum)::text FROM pg_index i
            WHERE i.indrelid = c.oid AND i.indisprimary), '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'pubsync') AND NOT c.relispartition";

const POSTGRES_FOREIGN: &str = "
    SELECT CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname END, c.relname,
        CASE WHEN m.nspname = current_schema() THEN '' ELSE m.nspname END, r.relname,
        (SELECT json_agg(a.attname ORDER BY k.place)::text FROM unnest(f.conkey) WITH ORDINALITY k(number, place)
            JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number),
        (SELECT json_agg(a.attname ORDER BY k.place)::text FROM unnest(f.confkey) WITH ORDINALITY k(number, place)
            JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number)
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace m ON m.oid = r.relnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0 AND NOT c.relispartition ORDER BY f.conname, f.oid";

async fn postgres(session: &mut Session) -> Schema {
    let sql = format!("{POSTGRES_COLUMNS} AND c.relkind IN ('r', 'p') ORDER BY c.oid, a.attnum");
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut keys: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for row in session.rows(&sql).await {
        let name = qualified(cell(&row, 0), cell(&row, 1));
        let table = tables.entry(name.clone()).or_insert_with(|| Table {
            sql: match cell(&row, 0) {
                "" => quote(cell(&row, 1)),
                schema => format!("{}.{}", quote(schema), quote(cell(&row, 1))),
            },
            name: name.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            foreign: Vec::new(),
        });
        if let Ok(place) = cell(&row, 8).parse() {
            keys.entry(name).or_default().push((place, table.columns.len()));
        }
        table.columns.push(postgres_column(&row));
    }
    for (name, mut key) in keys {
        key.sort_unstable();
        tables.get_mut(&name).expect("its table").key = key.into_iter().map(|(_, column)| column).collect();
    }
    for row in session.rows(POSTGRES_FOREIGN).await {
        let (from, to) = (
            qualified(cell(&row, 0), cell(&row, 1)),
            qualified(cell(&row, 2), cell(&row, 3)),
        );
        let names = |at: usize| serde_json::from_str::<Vec<String>>(cell(&row, at)).expect("names");
        add_foreign(&mut tables, &from, &to, &names(4), &names(5));
    }
    Schema {
        engine: Engine::Postgres,
        tables,
    }
}

pub(super) fn postgres_column(row: &[Option<String>]) -> Column {
    let modifier: i32 = cell(row, 5).parse().unwrap_or(-1);
    let kind = match (cell(row, 3), cell(row, 4)) {
        ("bool", _) => ColumnKind::Boolean,
        ("int2" | "int4" | "int8", _) => ColumnKind::Integer,
        ("float4" | "float8", _) => ColumnKind::Float,
        // ((precision << 16) | scale) + 4
        ("numeric", _) => ColumnKind::Numeric((modifier >= 4).then(|| ((modifier - 4) & 0x7ff) as usize)),
        ("uuid", _) => ColumnKind::Uuid,
        ("date", _) => ColumnKind::Date,
        ("timestamp", _) => ColumnKind::Timestamp,
        ("timestamptz", _) => ColumnKind::TimestampTz,
        ("time" | "timetz", _) => ColumnKind::Time,
        ("json" | "jsonb", _) => ColumnKind::Json,
        ("bytea", _) => ColumnKind::Bytes,
        (_, class) if class.starts_with('e') => {
            ColumnKind::Enum(serde_json::from_str(cell(row, 7)).expect("labels"))
        }
        (_, class) if class.ends_with('A') => ColumnKind::Array,
        (_, class) if class.ends_with('S') => ColumnKind::Text,
        _ => ColumnKind::Other,
    };
    Column {
        name: cell(row, 2).to_owned(),
        kind,
        nullable: cell(row, 6) == "null",
    }
}

fn qualified(schema: &str, table: &str) -> String {
    if schema.is_empty() {
        table.to_owned()
    } else {
        format!("{schema}.{table}")
    }
}

/// A foreign key twice is one.
fn add_foreign(
    tables: &mut BTreeMap<String, Table>,
    from: &str,
    to: &str,
    columns: &[String],
    references: &[String],
) {
    let target = tables[to].clone();
    let table = tables.get_mut(from).expect("a table with a foreign key");
    let foreign = Foreign {
        columns: columns.iter().map(|name| table.place(name)).collect(),
        table: to.to_owned(),
        references: match references {
            [] => target.key,
            names => names.iter().map(|name| target.place(name)).collect(),
        },
    };
    if !table.foreign.contains(&foreign) {
        table.foreign.push(foreign);
    }
}

async fn sqlite(session: &mut Session) -> Schema {
    let mut tables = BTreeMap::new();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
                 AND name NOT LIKE 'pubsync!_%' ESCAPE '!' AND sql NOT LIKE 'create virtual%' ORDER BY rowid";
    let names = session.rows(names).await;
    for row in &names {
        let name = cell(row, 0);
        let sql = format!(
            "SELECT name, type, \"notnull\" || '', pk || '' FROM pragma_table_xinfo({}) WHERE hidden <> 1 ORDER BY cid",
            literal(name)
        );
        let described = session.rows(&sql).await;
        let mut key: Vec<(usize, usize)> = described
            .iter()
            .enumerate()
            .filter_map(|(place, row)| Some((cell(row, 3).parse().ok().filter(|n| *n > 0)?, place)))
            .collect();
        key.sort_unstable();
        let table = Table {
            name: name.to_owned(),
            sql: quote(name),
            columns: described.iter().map(|row| sqlite_column(row)).collect(),
            key: key.into_iter().map(|(_, place)| place).collect(),
            foreign: Vec::new(),
        };
        tables.insert(name.to_owned(), table);
    }
    for row in &names {
        let from = cell(row, 0);
        let sql = format!(
            "SELECT id || '', \"table\", \"from\", \"to\" FROM pragma_foreign_key_list({}) ORDER BY id DESC, seq",
            literal(from)
        );
        let mut keys: BTreeMap<i64, (String, Vec<String>, Vec<String>)> = BTreeMap::new();
        for row in session.rows(&sql).await {
            let id: i64 = cell(&row, 0).parse().expect("an id");
            let key = keys
                .entry(-id)
                .or_insert_with(|| (cell(&row, 1).to_owned(), Vec::new(), Vec::new()));
            key.1.push(cell(&row, 2).to_owned());
            key.2.extend(row[3].clone());
        }
        for (_, (to, columns, references)) in keys {
            let known = tables.keys().find(|name| name.eq_ignore_ascii_case(&to)).cloned();
            if let Some(to) = known {
                add_foreign(&mut tables, from, &to, &columns, &references);
            }
        }
    }
    Schema {
        engine: Engine::Sqlite,
        tables,
    }
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn sqlite_column(row: &[Option<String>]) -> Column {
    let declared = cell(row, 1).to_ascii_uppercase();
    let begins = |words: &[&str]| words.iter().any(|word| declared.starts_with(word));
    let holds = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let kind = if begins(&["BOOL"]) {
        ColumnKind::Boolean
    } else if begins(&["TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"]) {
        ColumnKind::TimestampTz
    } else if begins(&["TIMESTAMP", "DATETIME"]) {
        ColumnKind::Timestamp
    } else if begins(&["DATE"]) {
        ColumnKind::Date
    } else if begins(&["TIME"]) {
        ColumnKind::Time
    } else if begins(&["JSON"]) {
        ColumnKind::Json
    } else if begins(&["UUID"]) {
        ColumnKind::Uuid
    } else if holds(&["INT"]) {
        ColumnKind::Integer
    } else if holds(&["NUMERIC", "DECIMAL"]) {
        ColumnKind::Numeric(declared_scale(&declared))
    } else if holds(&["BLOB"]) {
        ColumnKind::Bytes
    } else if holds(&["REAL", "FLOA", "DOUB"]) {
        ColumnKind::Float
    } else {
        ColumnKind::Text
    };
    Column {
        name: cell(row, 0).to_owned(),
        kind,
        nullable: cell(row, 2) == "0" && cell(row, 3) == "0",
    }
}

/// `NUMERIC(10,2)` has 2, `NUMERIC(10)` 0.
fn declared_scale(declared: &str) -> Option<usize> {
    let (_, inside) = declared.split_once('(')?;
    let inside = inside.trim_end_matches(')');
    Some(
        inside
            .split_once(',')
            .map_or(0, |(_, scale)| scale.trim().parse().expect("a scale")),
    )
}
