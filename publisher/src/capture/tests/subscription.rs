//! Rule 19: rows that logical replication applies fire no statement trigger. A real subscription, from another database
//! of the same server.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};

use super::shop::{Shop, capture_of, on_postgres, run, table};
use crate::capture::Capture;
use crate::catalogue::ColumnKind;

const PRODUCT: &str =
    "CREATE TABLE product(id int primary key, name text, price numeric, tags text[], at timestamptz)";

/// Only the subscriber partitions its events, and has columns of its own.
const EVENT: &str = "
    CREATE TABLE event(id int, day int, PRIMARY KEY (id, day), extra text DEFAULT 'x') PARTITION BY RANGE (day);
    CREATE TABLE event_a PARTITION OF event FOR VALUES FROM (0) TO (10);
    CREATE TABLE event_b(extra text, day int NOT NULL, id int NOT NULL, PRIMARY KEY (id, day));
    ALTER TABLE event ATTACH PARTITION event_b FOR VALUES FROM (10) TO (20);";

fn captures(shop: &Shop) -> [Capture; 2] {
    let mut product = table(shop, "product", &["id", "name", "price", "tags", "at"], &["id"]);
    product.columns[3].kind = ColumnKind::Array;
    product.columns[4].kind = ColumnKind::TimestampTz;
    let event = table(shop, "event", &["id", "day", "extra"], &["id", "day"]);
    [
        capture_of(product, &["name", "price", "tags"], &["id", "tags", "at"]),
        capture_of(event, &["extra"], &["id", "day"]),
    ]
}

struct Origin {
    db: DatabaseConnection,
    name: String,
}

impl Origin {
    async fn begin(shop: &Shop) -> Self {
        let (db, name) = shop.another_database().await;
        run(&db, PRODUCT).await;
        run(
            &db,
            "CREATE TABLE event(id int, day int, PRIMARY KEY (id, day)); CREATE PUBLICATION all_of_it FOR ALL TABLES",
        )
        .await;
        run(&db, "INSERT INTO product VALUES (1, 'copied')").await;
        // On one server CREATE SUBSCRIPTION would wait for itself.
        run(
            &db,
            &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"),
        )
        .await;
        Self { db, name }
    }

    async fn subscribe(&self, shop: &Shop) {
        let port: i32 = one(&shop.db, "SELECT inet_server_port()").await;
        shop.run(&format!(
            "CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 port={port} user=postgres password=postgres \
             dbname={name}' PUBLICATION all_of_it WITH (create_slot = false, slot_name = '{name}')",
            name = self.name
        ))
        .await;
        let open = "SELECT count(*)::int FROM pg_subscription_rel WHERE srsubstate <> 'r'";
        while one(&shop.db, open).await != 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Runs a statement there, and waits until it has been applied here.
    async fn replicate(&self, shop: &Shop, statement: &str) {
        run(&self.db, statement).await;
        run(&self.db, "INSERT INTO product VALUES (999, 'arrived')").await;
        let arrived = "SELECT count(*)::int FROM product WHERE id = 999";
        while one(&shop.db, arrived).await != 1 {
            tokio::task::yield_now().await;
        }
        run(&self.db, "DELETE FROM product WHERE id = 999").await;
        while one(&shop.db, arrived).await != 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self, shop: &Shop) {
        let name = &self.name;
        if one(&shop.db, "SELECT count(*)::int FROM pg_subscription").await > 0 {
            shop.run(&format!("ALTER SUBSCRIPTION {name} DISABLE")).await;
            shop.run(&format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"))
                .await;
            shop.run(&format!("DROP SUBSCRIPTION {name}")).await;
        }
        let drop = format!("SELECT pg_drop_replication_slot('{name}')");
        while self.db.execute_unprepared(&drop).await.is_err() {
            tokio::task::yield_now().await;
        }
        self.db.close().await.unwrap();
        shop.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}

async fn one(db: &DatabaseConnection, sql: &str) -> i32 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

/// Changes of `table`, without the row that tells that all others have arrived.
async fn changes(shop: &Shop, table: &str) -> Vec<Value> {
    let rows = shop.outbox().await.into_iter();
    rows.filter(|row| row.table == table)
        .flat_map(|row| {
            assert_eq!(row.kind, "rows");
            row.changes.as_array().unwrap().clone()
        })
        .filter(|change| ["o", "n"].iter().all(|side| change[side]["id"] != "999"))
        .collect()
}

async fn on_subscriber(test: impl AsyncFnOnce(&Shop, &Origin, &[Capture])) {
    on_postgres(|shop| async move {
        let origin = Origin::begin(&shop).await;
        shop.run(PRODUCT).await;
        shop.run(EVENT).await;
        let captures = captures(&shop);
        shop.capture(&captures).await;
        let outcome = AssertUnwindSafe(async {
            origin.subscribe(&shop).await;
            test(&shop, &origin, &captures).await;
        })
        .catch_unwind()
        .await;
        origin.end(&shop).await;
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    })
    .await;
}

#[tokio::test]
async fn rows_that_replication_applies_are_captured() {
    on_subscriber(async |shop, origin, captures| {
        let copied = changes(shop, "product").await;
        assert!(
            copied.iter().all(|change| change["n"]["id"] == "1") && !copied.is_empty(),
            "the first copy fires statement triggers: {copied:?}"
        );
        origin
            .replicate(shop, "INSERT INTO product VALUES (2, 'unseen')")
            .await;
        assert_eq!(shop.outbox().await, [], "statement triggers do not see it");
        assert_eq!(shop.repair(captures).await, ["event", "product"]);
        let marks = shop.outbox().await;
        assert!(
            marks.iter().all(|row| row.kind == "truncate") && marks.len() == 2,
            "{marks:?}"
        );
        assert_eq!(shop.repair(captures).await, [""; 0]);
        assert_eq!(shop.capture(captures).await.unchanged, ["product", "event"]);

        let image = |name: &str| json!({"id": "3", "tags": "{a,\"b c\"}", "at": name});
        let at = "2026-01-02T03:04:05+00:00";
        origin
            .replicate(
                shop,
                "INSERT INTO product VALUES (3, 'a', 1.50, '{a,b c}', '2026-01-02 03:04:05Z')",
            )
            .await;
        assert_eq!(changes(shop, "product").await, [json!({"n": image(at)})]);
        origin
            .replicate(shop, "UPDATE product SET price = 1.5 WHERE id = 3")
            .await;
        let changed = json!({"o": image(at), "n": image(at), "c": ["price"]});
        assert_eq!(changes(shop, "product").await, [changed]);
        origin
            .replicate(shop, "UPDATE product SET price = 1.5 WHERE id = 3")
            .await;
        assert_eq!(changes(shop, "product").await, [""; 0], "nothing differs");
        origin.replicate(shop, "DELETE FROM product WHERE id = 3").await;
        assert_eq!(changes(shop, "product").await, [json!({"o": image(at)})]);
    })
    .await;
}

#[tokio::test]
async fn partitions_that_replication_writes_to_are_captured_and_local_statements_once() {
    on_subscriber(async |shop, origin, captures| {
        shop.repair(captures).await;
        shop.outbox().await;
        origin
            .replicate(shop, "INSERT INTO event VALUES (1, 1), (1, 11)")
            .await;
        let new = |day: &str| json!({"n": {"id": "1", "day": day}});
        assert_eq!(changes(shop, "event").await, [new("1"), new("11")]);
        origin
            .replicate(shop, "UPDATE event SET day = 12 WHERE day = 1")
            .await;
        assert_eq!(
            changes(shop, "event").await,
            [json!({"o": {"id": "1", "day": "1"}}), new("12")],
            "it moved to another partition"
        );
        shop.run("INSERT INTO event VALUES (2, 2)").await;
        shop.run("INSERT INTO event_b(id, day) VALUES (2, 12)").await;
        assert_eq!(changes(shop, "event").await.len(), 2);

        // The worker of the subscription knows the table as it was.
        shop.run("ALTER TABLE event DROP COLUMN extra").await;
        origin.replicate(shop, "INSERT INTO event VALUES (3, 3)").await;
        let broken: Vec<_> = shop
            .outbox()
            .await
            .into_iter()
            .filter(|row| row.table == "event")
            .collect();
        assert_eq!((broken.len(), broken[0].kind.as_str()), (1, "broken"));
        assert_eq!(
            broken[0].changes["error"],
            "table public.event_a has no column extra"
        );
        shop.run("ALTER TABLE event ADD COLUMN extra int; ALTER TABLE event ALTER id TYPE bigint")
            .await;
        origin.replicate(shop, "INSERT INTO event VALUES (4, 4)").await;
        assert_eq!(
            changes(shop, "event").await,
            [json!({"n": {"id": "4", "day": "4"}})]
        );
        origin.replicate(shop, "TRUNCATE event").await;
        assert!(
            shop.outbox()
                .await
                .iter()
                .any(|row| row.kind == "truncate" && row.table == "event")
        );
    })
    .await;
}
