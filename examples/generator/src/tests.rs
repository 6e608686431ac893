//! Every set on SQLite and PostgreSQL: the two schemas agree, all tables get rows, foreign keys hold, same seed same rows.

use std::collections::BTreeMap;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::{Set, Size, fill};

const SIZE: Size = Size {
    products: 120,
    seed: 1,
};

/// Rows of each table.
async fn filled(set: Set, db: &DatabaseConnection) -> BTreeMap<String, u64> {
    set.create_tables(db).await.unwrap();
    let mut said: BTreeMap<String, u64> = BTreeMap::new();
    let total = fill(db, set.tables(SIZE), |table, rows| {
        *said.entry(table.to_owned()).or_default() += rows
    })
    .await
    .unwrap();
    assert_eq!(total, said.values().sum::<u64>());
    said
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), sql))
        .await
        .unwrap();
    rows.iter().map(|row| row.try_get_by(0).unwrap()).collect()
}

async fn in_memory() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    // Every connection would have a database of its own.
    options.max_connections(1);
    Database::connect(options).await.unwrap()
}

/// Tables and columns in their order, with what refers to what.
async fn sqlite_columns(db: &DatabaseConnection) -> Vec<String> {
    texts(
        db,
        "SELECT t.name || '.' || c.name || CASE WHEN c.pk > 0 THEN ' key' WHEN c.\"notnull\" THEN ' not null' ELSE '' END \
         || coalesce((SELECT ' to ' || f.\"table\" || ' ' || f.on_delete FROM pragma_foreign_key_list(t.name) f \
         WHERE f.\"from\" = c.name), '') FROM sqlite_schema t, pragma_table_info(t.name) c \
         WHERE t.type = 'table' ORDER BY t.name, c.cid",
    )
    .await
}

async fn postgres_columns(db: &DatabaseConnection) -> Vec<String> {
    texts(
        db,
        "SELECT t.relname || '.' || c.attname || CASE WHEN p.conkey IS NOT NULL THEN ' key' WHEN c.attnotnull \
         THEN ' not null' ELSE '' END || coalesce((SELECT ' to ' || f.confrelid::regclass || CASE f.confdeltype \
         WHEN 'c' THEN ' CASCADE' WHEN 'n' THEN ' SET NULL' ELSE ' ?' END FROM pg_constraint f WHERE f.contype = 'f' \
         AND f.conrelid = t.oid AND f.conkey = ARRAY[c.attnum]), '') FROM pg_class t \
         JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped \
         LEFT JOIN pg_constraint p ON p.contype = 'p' AND p.conrelid = t.oid AND c.attnum = ANY (p.conkey) \
         WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace \
         ORDER BY t.relname COLLATE \"C\", c.attnum",
    )
    .await
}

#[tokio::test]
async fn every_table_gets_rows_on_sqlite() {
    for set in Set::ALL {
        let db = in_memory().await;
        db.execute_unprepared("PRAGMA foreign_keys = ON").await.unwrap();
        let rows = filled(set, &db).await;
        let tables = texts(
            &db,
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        )
        .await;
        assert_eq!(
            rows.keys().collect::<Vec<_>>(),
            tables.iter().collect::<Vec<_>>(),
            "{set:?}"
        );
        let empty: Vec<_> = rows.iter().filter(|(_, rows)| **rows == 0).collect();
        assert!(empty.is_empty(), "{set:?}: no rows: {empty:?}");
        let broken = texts(&db, "SELECT \"table\" FROM pragma_foreign_key_check()").await;
        assert!(broken.is_empty(), "{set:?}: {broken:?}");
    }
}

#[tokio::test]
async fn postgres_has_the_same_tables_and_rows() {
    let Ok(url) = std::env::var("PUBSYNC_TEST_POSTGRES") else {
        eprintln!("skipped: PUBSYNC_TEST_POSTGRES is not set (see docker/services)");
        return;
    };
    let admin = Database::connect(&url).await.unwrap();
    for set in Set::ALL {
        let schema = format!("example_{}_{}", set.name(), std::process::id());
        admin
            .execute_unprepared(&format!("CREATE SCHEMA {schema}"))
            .await
            .unwrap();
        let mut options = ConnectOptions::new(url.clone());
        options.set_schema_search_path(schema.clone()).max_connections(1);
        let db = Database::connect(options).await.unwrap();
        let compared = tokio::spawn(async move {
            let sqlite = in_memory().await;
            assert_eq!(filled(set, &db).await, filled(set, &sqlite).await, "{set:?}");
            assert_eq!(
                postgres_columns(&db).await,
                sqlite_columns(&sqlite).await,
                "{set:?}"
            );
            let next = "INSERT INTO store (code, name) VALUES ('next', 'Next')";
            if set == Set::Storefront {
                db.execute_unprepared(next).await.unwrap();
            }
        })
        .await;
        admin
            .execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE"))
            .await
            .unwrap();
        compared.unwrap();
    }
}

#[test]
fn same_seed_same_rows_and_other_seed_other_rows() {
    let rows = |set: Set, seed| {
        let size = Size { products: 40, seed };
        set.tables(size)
            .into_iter()
            .flat_map(|table| table.rows)
            .collect::<Vec<String>>()
    };
    for set in Set::ALL {
        assert_eq!(rows(set, 1), rows(set, 1), "{set:?}");
        assert_ne!(rows(set, 1), rows(set, 2), "{set:?}");
    }
}

/// The shapes that real catalogues have, per product.
#[test]
fn shapes_are_those_of_real_catalogues() {
    let size = Size {
        products: 2_000,
        seed: 1,
    };
    let counts: BTreeMap<&str, usize> = Set::Storefront
        .tables(size)
        .into_iter()
        .map(|table| (table.name, table.rows.count()))
        .collect();
    let per_product = |table: &str| counts[table] as f64 / 2_000.0;
    for (table, least, most) in [
        ("variant", 1.05, 1.44),
        ("product_category", 1.0, 1.23),
        ("price", 8.0, 11.0),
        ("image", 5.0, 15.0),
    ] {
        let found = per_product(table);
        assert!((least..=most).contains(&found), "{table}: {found}");
    }
}

#[test]
fn a_slug_has_small_letters_digits_and_single_dashes() {
    assert_eq!(
        crate::words::slug("Große Gießkanne Nr. 7"),
        "grosse-giesskanne-nr-7"
    );
    assert_eq!(crate::words::slug("--Care & repair--"), "care-repair");
}
