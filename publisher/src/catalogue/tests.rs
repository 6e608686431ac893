//! What both databases say of their tables.

use pubsync_schema::dialect::Dialect;

use super::{Catalogue, ColumnKind, Table, introspect};
use crate::build::tests::fixture::{Fixture, on_both, on_postgres, on_sqlite};

async fn read(db: &Fixture) -> Catalogue {
    introspect(&db.conn, db.dialect, "pubsync").await.unwrap()
}

fn kinds(table: &Table) -> Vec<(&str, ColumnKind)> {
    table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind.clone()))
        .collect()
}

fn numeric(scale: impl Into<Option<u32>>) -> ColumnKind {
    ColumnKind::Numeric { scale: scale.into() }
}

#[tokio::test]
async fn keys_stand_in_their_own_order() {
    let sql = "
        CREATE TABLE parent (c integer, b integer NOT NULL, a integer NOT NULL, d text, PRIMARY KEY (a, b), UNIQUE (d, c));
        CREATE UNIQUE INDEX lower_d ON parent (lower(d));
        CREATE UNIQUE INDEX some_d ON parent (d) WHERE c = 1;
        CREATE INDEX plain_d ON parent (d);
        CREATE TABLE child (x integer, y integer, z integer, p integer REFERENCES other,
            FOREIGN KEY (y, x) REFERENCES parent (a, b), FOREIGN KEY (z, y) REFERENCES parent);
    ";
    on_both(
        &format!("CREATE TABLE other (id integer PRIMARY KEY); {sql}"),
        async |db| {
            let catalogue = read(db).await;
            assert_eq!(
                catalogue.tables.keys().collect::<Vec<_>>(),
                ["child", "other", "parent"]
            );
            let parent = &catalogue.tables["parent"];
            assert_eq!(parent.primary_key, [2, 1]);
            assert_eq!(parent.unique, [[3, 0]]);
            let nullable: Vec<bool> = parent.columns.iter().map(|column| column.nullable).collect();
            assert_eq!(nullable, [true, false, false, true]);
            let child = &catalogue.tables["child"];
            assert!(child.primary_key.is_empty());
            let mut keys: Vec<_> = child
                .foreign_keys
                .iter()
                .map(|key| (&key.columns[..], key.table.as_str(), key.references.join(",")))
                .collect();
            keys.sort();
            assert_eq!(
                keys,
                [
                    (&[1, 0][..], "parent", "a,b".to_owned()),
                    (&[2, 1][..], "parent", "a,b".to_owned()),
                    (&[3][..], "other", "id".to_owned()),
                ]
            );
        },
    )
    .await;
}

#[tokio::test]
async fn types_of_postgres_resolve() {
    let sql = "
        CREATE TYPE \"Mood\" AS ENUM ('good');
        CREATE DOMAIN amount AS numeric(12,4); CREATE DOMAIN fee AS amount NOT NULL;
        CREATE DOMAIN label AS varchar(3);
        CREATE TABLE t (id bigserial PRIMARY KEY, a \"Mood\", b fee, c label, d \"Mood\"[], e numeric, f numeric(5),
            g timestamptz(3), h varchar(9), i xml, j integer GENERATED ALWAYS AS (1 + 1) STORED, gone text);
        ALTER TABLE t DROP COLUMN gone;
    ";
    on_postgres(sql, async |db| {
        let table = read(db).await.tables["t"].clone();
        let expected = [
            ("id", ColumnKind::Integer),
            ("a", ColumnKind::Enum),
            ("b", numeric(4)),
            ("c", ColumnKind::Text),
            ("d", ColumnKind::Array),
            ("e", numeric(None)),
            ("f", numeric(0)),
            ("g", ColumnKind::TimestampTz),
            ("h", ColumnKind::Text),
            ("i", ColumnKind::Other),
            ("j", ColumnKind::Integer),
        ];
        assert_eq!(kinds(&table), expected);
        let types: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.sql_type.as_str())
            .collect();
        let numbers = [
            "bigint",
            "\"Mood\"",
            "fee",
            "label",
            "\"Mood\"[]",
            "numeric",
            "numeric(5,0)",
        ];
        let others = [
            "timestamp(3) with time zone",
            "character varying(9)",
            "xml",
            "integer",
        ];
        assert_eq!(types, [&numbers[..], &others[..]].concat());
    })
    .await;
}

#[tokio::test]
async fn schemas_of_postgres_name_their_tables() {
    let sql = "
        CREATE SCHEMA shop; CREATE SCHEMA pubsync;
        CREATE TABLE pubsync.outbox (id integer);
        CREATE TABLE shop.product (id integer PRIMARY KEY);
        CREATE TABLE product (id integer PRIMARY KEY, of integer REFERENCES shop.product);
        CREATE TABLE event (id integer, day date, product_id integer REFERENCES product, PRIMARY KEY (id, day))
            PARTITION BY RANGE (day);
        CREATE TABLE event_2024 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE seen (event_id integer, day date, FOREIGN KEY (event_id, day) REFERENCES event);
        CREATE VIEW v AS SELECT * FROM product;
    ";
    on_postgres(sql, async |db| {
        let catalogue = read(db).await;
        assert_eq!(
            catalogue.tables.keys().collect::<Vec<_>>(),
            ["event", "product", "seen", "shop.product"]
        );
        assert_eq!(catalogue.tables["product"].foreign_keys[0].table, "shop.product");
        assert_eq!(catalogue.tables["seen"].foreign_keys.len(), 1);
        for (name, table) in &catalogue.tables {
            assert_eq!(catalogue.name_of(table), Some(name.as_str()));
        }
        db.run("SET search_path = shop").await;
        let catalogue = read(db).await;
        assert_eq!(
            catalogue.tables.keys().collect::<Vec<_>>(),
            ["product", "public.event", "public.product", "public.seen"]
        );
        for (name, table) in &catalogue.tables {
            assert_eq!(catalogue.name_of(table), Some(name.as_str()));
        }
    })
    .await;
}

#[tokio::test]
async fn types_of_sqlite_are_what_the_declaration_says() {
    let columns = [
        ("BOOLEAN", ColumnKind::Boolean),
        ("BIGINT", ColumnKind::Integer),
        ("NUMERIC(10,2)", numeric(2)),
        ("DECIMAL(10)", numeric(0)),
        ("real_decimal(10, 3)", numeric(3)),
        ("NUMERIC", numeric(None)),
        ("DOUBLE PRECISION", ColumnKind::Float),
        ("DATETIME", ColumnKind::Timestamp),
        ("timestamp_with_timezone_text", ColumnKind::TimestampTz),
        ("TIMESTAMP", ColumnKind::Timestamp),
        ("DATE", ColumnKind::Date),
        ("TIME", ColumnKind::Time),
        ("JSON", ColumnKind::Json),
        ("UUID", ColumnKind::Uuid),
        ("BLOB", ColumnKind::Bytes),
        ("VARCHAR(20)", ColumnKind::Text),
        ("", ColumnKind::Text),
    ];
    let list: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(i, (declared, _))| format!("c{i} {declared}"))
        .collect();
    let sql = format!(
        "CREATE TABLE t ({}, g INTEGER AS (1));
         CREATE TABLE Parent (Id integer PRIMARY KEY); CREATE TABLE child (p integer REFERENCES PARENT (ID));
         CREATE TABLE pubsync_outbox (id integer); CREATE TABLE pubsynced (id integer); CREATE VIEW v AS SELECT * FROM t;",
        list.join(", ")
    );
    on_sqlite(&sql, async |db| {
        assert_eq!(db.dialect, Dialect::Sqlite);
        let catalogue = read(db).await;
        assert_eq!(
            catalogue.tables.keys().collect::<Vec<_>>(),
            ["Parent", "child", "pubsynced", "t"]
        );
        let found: Vec<ColumnKind> = catalogue.tables["t"]
            .columns
            .iter()
            .map(|column| column.kind.clone())
            .collect();
        let expected = columns
            .iter()
            .map(|(_, kind)| kind.clone())
            .chain([ColumnKind::Integer]);
        assert_eq!(found, expected.collect::<Vec<_>>());
        let key = &catalogue.tables["child"].foreign_keys[0];
        assert_eq!(
            (key.table.as_str(), &key.references[..]),
            ("Parent", &["Id".to_owned()][..])
        );
    })
    .await;
}
