//! Tables of several relations on PostgreSQL: partitions on every level, and tables that inherit.

use sea_orm::TransactionTrait;
use serde_json::json;

use super::shop::{Shop, capture_of, on_postgres, run, table};
use crate::capture::{Capture, Error, LockRetry, reconcile};

/// `event_b` has its columns in another order, and one that was dropped; `event_c` is partitioned itself.
const EVENT: &str = "
    CREATE TABLE event(id int, day int, name text, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE event_a PARTITION OF event FOR VALUES FROM (0) TO (10);
    CREATE TABLE event_b(note text, gone int, name text, day int NOT NULL, id int NOT NULL, PRIMARY KEY (id, day));
    ALTER TABLE event_b DROP COLUMN gone;
    ALTER TABLE event ATTACH PARTITION event_b FOR VALUES FROM (10) TO (20);
    CREATE TABLE event_c PARTITION OF event FOR VALUES FROM (20) TO (40) PARTITION BY RANGE (day);
    CREATE TABLE event_c1 PARTITION OF event_c FOR VALUES FROM (20) TO (30);";

fn event(shop: &Shop) -> [Capture; 1] {
    let event = table(shop, "event", &["id", "day", "name", "note"], &["id", "day"]);
    [capture_of(event, &["name"], &["id", "day"])]
}

async fn with_event(shop: &Shop) -> [Capture; 1] {
    shop.run(EVENT).await;
    let capture = event(shop);
    shop.capture(&capture).await;
    capture
}

#[tokio::test]
async fn a_statement_is_captured_once_whatever_level_it_names() {
    on_postgres(|shop| async move {
        let capture = with_event(&shop).await;
        assert_eq!(shop.capture(&capture).await.unchanged, ["event"]);
        for (named, day) in [
            ("event", 1),
            ("event", 11),
            ("event", 21),
            ("event_a", 2),
            ("event_b", 12),
            ("event_c", 22),
            ("event_c1", 23),
        ] {
            let key = json!({"id": "1", "day": day.to_string()});
            shop.run(&format!(
                "INSERT INTO {named}(id, day, name) VALUES (1, {day}, 'x')"
            ))
            .await;
            assert_eq!(shop.changes("event").await, [json!({"n": key})], "{named}");
            shop.run(&format!("UPDATE {named} SET note = 'y' WHERE day = {day}"))
                .await;
            assert_eq!(shop.outbox().await, [], "{named}: nobody uses the note");
            shop.run(&format!("UPDATE {named} SET name = 'y' WHERE day = {day}"))
                .await;
            let changed = json!({"o": key, "n": key, "c": ["name"]});
            assert_eq!(shop.changes("event").await, [changed], "{named}");
            shop.run(&format!("DELETE FROM {named} WHERE day = {day}")).await;
            assert_eq!(shop.changes("event").await, [json!({"o": key})], "{named}");
        }
    })
    .await;
}

#[tokio::test]
async fn rows_that_move_between_partitions_and_truncated_partitions_are_captured() {
    on_postgres(|shop| async move {
        let capture = with_event(&shop).await;
        shop.run("INSERT INTO event VALUES (1, 1, 'a')").await;
        shop.outbox().await;
        shop.run("UPDATE event SET day = 25").await;
        let (old, new) = (
            json!({"o": {"id": "1", "day": "1"}}),
            json!({"n": {"id": "1", "day": "25"}}),
        );
        let moved = shop.changes("event").await;
        assert!(
            moved.len() == 2 && moved.contains(&old) && moved.contains(&new),
            "{moved:?}"
        );
        shop.run("TRUNCATE event_c1").await;
        shop.assert_rebuild_of("event").await;
        shop.run("COPY event_b(id, day, name) FROM PROGRAM 'echo 7,12,copied' WITH (FORMAT csv)")
            .await;
        assert_eq!(
            shop.changes("event").await,
            [json!({"n": {"id": "7", "day": "12"}})]
        );
        assert_eq!(shop.repair(&capture).await, [""; 0]);
        assert_eq!(shop.capture(&[]).await.removed, ["public.event"]);
        shop.run("INSERT INTO event_b(id, day) VALUES (2, 12)").await;
        assert_eq!(shop.outbox().await, []);
    })
    .await;
}

/// Rule 18: what nobody announced is noticed. A partition that was never written to needs no rebuild.
#[tokio::test]
async fn a_new_partition_is_noticed_and_rebuilds_where_it_was_written_to() {
    on_postgres(|shop| async move {
        let capture = with_event(&shop).await;
        shop.run("CREATE TABLE event_c2 PARTITION OF event_c FOR VALUES FROM (30) TO (35)")
            .await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        assert_eq!(shop.outbox().await, [], "it is empty and always was");
        shop.run("INSERT INTO event_c2 VALUES (1, 30, 'a')").await;
        assert_eq!(shop.changes("event").await.len(), 1);

        shop.run("CREATE TABLE event_c3 PARTITION OF event_c FOR VALUES FROM (35) TO (40)")
            .await;
        shop.run("INSERT INTO event_c3 VALUES (1, 36, 'a')").await;
        assert_eq!(shop.outbox().await, [], "it has no triggers yet");
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
        shop.run("DELETE FROM event_c3").await;
        assert_eq!(shop.changes("event").await.len(), 1);

        // Written to, and empty again: a document may have been built in between.
        shop.run("CREATE TABLE event_d PARTITION OF event FOR VALUES FROM (40) TO (50)")
            .await;
        shop.run("INSERT INTO event_d VALUES (1, 40, 'a'); DELETE FROM event_d")
            .await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
        shop.run("CREATE TABLE event_e PARTITION OF event FOR VALUES FROM (50) TO (60)")
            .await;
        shop.run("INSERT INTO event_e VALUES (1, 50, 'a')").await;
        shop.run("TRUNCATE event_e").await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
        assert_eq!(shop.repair(&capture).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn partitions_that_are_attached_detached_or_dropped_rebuild() {
    on_postgres(|shop| async move {
        let capture = with_event(&shop).await;
        shop.run("INSERT INTO event VALUES (1, 1, 'a'), (1, 11, 'b')")
            .await;
        shop.run("CREATE TABLE event_d(LIKE event INCLUDING ALL)").await;
        shop.run("INSERT INTO event_d VALUES (1, 45, 'd')").await;
        shop.outbox().await;
        shop.run("ALTER TABLE event ATTACH PARTITION event_d FOR VALUES FROM (40) TO (50)")
            .await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;

        shop.run("ALTER TABLE event DETACH PARTITION event_d").await;
        assert_eq!(
            shop.repair(&capture).await,
            ["event", "public.event_d (no longer part of a captured table)"]
        );
        shop.assert_rebuild_of("event").await;
        shop.run("INSERT INTO event_d VALUES (2, 45, 'd')").await;
        assert_eq!(shop.outbox().await, [], "its triggers are gone");

        shop.run("DROP TABLE event_b").await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
        shop.run("DROP TABLE event_c").await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
        assert_eq!(shop.repair(&capture).await, [""; 0]);
    })
    .await;
}

/// While a partition waits for its triggers, a transaction that wrote to it is still open: the rebuild begins after it.
#[tokio::test]
async fn an_attached_partition_waits_for_its_open_writers() {
    on_postgres(|shop| async move {
        let capture = with_event(&shop).await;
        shop.run("CREATE TABLE event_d PARTITION OF event FOR VALUES FROM (40) TO (50)")
            .await;
        let writer = shop.db.begin().await.unwrap();
        run(&writer, "INSERT INTO event_d VALUES (1, 40, 'a')").await;
        let impatient = LockRetry {
            attempts: 1,
            ..LockRetry::default()
        };
        let locked = crate::capture::repair(&shop.db, &shop.names, &capture, &impatient).await;
        assert!(matches!(locked, Err(Error::Locked { .. })), "{locked:?}");
        assert_eq!(shop.outbox().await, []);
        writer.commit().await.unwrap();
        assert_eq!(shop.repair(&capture).await, ["event"]);
        shop.assert_rebuild_of("event").await;
    })
    .await;
}

/// Nobody looked after the triggers: `apply` comes first.
#[tokio::test]
async fn reconcile_rebuilds_what_partitions_brought_but_not_for_other_columns() {
    on_postgres(|shop| async move {
        let [mut capture] = with_event(&shop).await;
        shop.run("CREATE TABLE event_d PARTITION OF event FOR VALUES FROM (40) TO (50)")
            .await;
        shop.run("INSERT INTO event_d VALUES (1, 40, 'a')").await;
        assert_eq!(
            shop.capture(std::slice::from_ref(&capture)).await.replaced,
            ["event"]
        );
        shop.assert_rebuild_of("event").await;
        capture.watched.insert(3);
        assert_eq!(
            shop.capture(std::slice::from_ref(&capture)).await.replaced,
            ["event"]
        );
        assert_eq!(
            shop.outbox().await,
            [],
            "the definition that wants it is rebuilt anyway"
        );
        shop.run("UPDATE event_d SET note = 'seen'").await;
        assert_eq!(shop.changes("event").await[0]["c"], json!(["note"]));
    })
    .await;
}

#[tokio::test]
async fn tables_that_inherit_are_captured_with_their_parent_and_for_themselves() {
    on_postgres(|shop| async move {
        shop.run("CREATE TABLE place(id int primary key, name text)")
            .await;
        shop.run("CREATE TABLE city(population int, primary key (id)) INHERITS (place)")
            .await;
        shop.run("CREATE TABLE capital(country text) INHERITS (city)")
            .await;
        let place = capture_of(
            table(&shop, "place", &["id", "name"], &["id"]),
            &["name"],
            &["id"],
        );
        let city = capture_of(
            table(&shop, "city", &["id", "name", "population"], &["id"]),
            &["population"],
            &["id"],
        );
        let both = [place, city];
        shop.capture(&both).await;
        assert_eq!(shop.capture(&both).await.unchanged, ["place", "city"]);
        let of = async |sql: &str| {
            shop.run(sql).await;
            let mut tables: Vec<String> = shop.outbox().await.into_iter().map(|row| row.table).collect();
            tables.sort();
            tables
        };
        assert_eq!(of("INSERT INTO place VALUES (1, 'a')").await, ["place"]);
        assert_eq!(
            of("INSERT INTO capital VALUES (2, 'b', 3, 'c')").await,
            ["city", "place"]
        );
        assert_eq!(of("UPDATE place SET name = 'x' WHERE id = 2").await, ["place"]);
        assert_eq!(of("UPDATE city SET name = 'y' WHERE id = 2").await, ["place"]);
        assert_eq!(of("UPDATE capital SET population = 4").await, ["city"]);
        assert_eq!(of("UPDATE capital SET country = 'z'").await, [""; 0]);
        assert_eq!(of("DELETE FROM ONLY place").await, ["place"]);
        assert_eq!(shop.capture(&both[..1]).await.removed, ["public.city"]);
        assert_eq!(
            of("UPDATE capital SET name = 'q', population = 5").await,
            ["place"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_partition_that_is_a_foreign_table_is_refused() {
    on_postgres(|shop| async move {
        // A foreign table cannot keep a key, so the table has none.
        shop.run("CREATE TABLE event(id int, day int, name text, note text) PARTITION BY RANGE (day)")
            .await;
        let capture = event(&shop);
        shop.capture(&capture).await;
        shop.run("CREATE FOREIGN DATA WRAPPER elsewhere; CREATE SERVER far FOREIGN DATA WRAPPER elsewhere")
            .await;
        shop.run(
            "CREATE FOREIGN TABLE event_f PARTITION OF event FOR VALUES FROM (90) TO (99) SERVER far",
        )
        .await;
        assert_eq!(shop.repair(&capture).await, ["event"]);
        let marks = shop.outbox().await;
        assert_eq!(marks.len(), 1);
        assert_eq!(
            (marks[0].kind.as_str(), &marks[0].changes["error"]),
            (
                "broken",
                &json!("partition public.event_f is a foreign table, where nobody sees what is written")
            )
        );
        assert_eq!(shop.repair(&capture).await, [""; 0]);
        let refused = reconcile(&shop.db, &shop.names, &capture, &LockRetry::default()).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "table public.event has the partition public.event_f, which is a foreign table: what is written there \
             fires no trigger here, so documents over public.event would grow stale; detach the partition, or leave \
             the table out of the documents"
        );
    })
    .await;
}
