//! One row that very many documents show.

use std::time::Duration;

use pubsync_tests::{Json, World, eventually};

/// Many times the 5,000 roots of the first page.
const ROOTS: u64 = 100_000;
const SOON: Duration = Duration::from_secs(400);

/// Item 0 shows another brand.
const TABLES: &str = "
    CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE item (id bigint PRIMARY KEY, title text NOT NULL, brand_id bigint NOT NULL REFERENCES brand (id));
    CREATE INDEX item_by_brand ON item (brand_id);
    INSERT INTO brand VALUES (1, 'Alder'), (2, 'Birch');
    INSERT INTO item SELECT n, 'item ' || n, CASE n WHEN 0 THEN 2 ELSE 1 END FROM generate_series(0, $ROOTS) AS n;
";
const ITEM: &str = "document: item\nroot: item\nkey: \"item:{id}\"\n\
                    body: { id: id, title: title, brand: { one: brand, body: name } }\n";
const EXPECTED: &str = "SELECT 'item:' || item.id, json_build_object('id', item.id, 'title', title, 'brand', name)::text \
                        FROM item JOIN brand ON brand.id = brand_id";

/// Keeps every ledger row that was ever there.
const RECORDER: &str = "
    CREATE TABLE recorded (LIKE pubsync.ledger);
    CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.recorded SELECT * FROM inserted; RETURN NULL; END $$;
    CREATE TRIGGER recorder AFTER INSERT ON pubsync.ledger REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION record();
";

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_that_very_many_items_show() {
    let world = World::postgres("fanout").await;
    world.without_search();
    world.script(&TABLES.replace("$ROOTS", &ROOTS.to_string())).await;
    world.document("item", ITEM);
    world.pubsync(&["apply", "--yes"]).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    assert_equal(&world).await;
    world.script(RECORDER).await;

    let worker = world.spawn(&["run"]);
    world.script("UPDATE brand SET name = 'Aspen' WHERE id = 1").await;
    eventually("the first page", SOON, async || {
        match number(
            &world,
            "SELECT count(*) FROM recorded WHERE kind = 'publish' AND lane = 'bulk'",
        )
        .await
        {
            0 => Err("nothing on the bulk lane".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    world
        .script("UPDATE item SET title = 'edited' WHERE id = 0")
        .await;
    let mut redis = world.redis().connection().await;
    let key = format!("{}item:0", world.redis().prefix());
    let connection = std::sync::Arc::new(tokio::sync::Mutex::new(&mut redis));
    eventually("the live edit in Redis", SOON, async || {
        let text = redis::AsyncTypedCommands::get(&mut **connection.lock().await, &key).await;
        let text = text.expect("GET").expect("the key is there");
        if text.contains("\"edited\"") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
    let waiting = number(&world, "SELECT count(*) FROM pubsync.ledger WHERE lane = 'bulk'").await;
    let old = number(
        &world,
        "SELECT count(*) FROM pubsync.mirror_item WHERE body LIKE '%Alder%'",
    )
    .await;
    assert!(
        waiting > 0 && old > 0,
        "the fan-out was over first: {waiting} messages, {old} documents"
    );

    world.pubsync(&["wait", "--timeout", "240"]).await;
    assert_equal(&world).await;
    assert_pages(&world).await;
    world.pubsync(&["verify"]).await;
    worker.stop().await;
}

/// The whole work went over the bulk lane, in pages, in messages of at most 100.
async fn assert_pages(world: &World) {
    let roots = "jsonb_array_length(payload::jsonb -> 'roots')";
    let items = "jsonb_array_length(payload::jsonb -> 'items' -> 'items')";
    let most = format!("SELECT max(greatest({roots}, {items}, items::integer)) FROM recorded");
    assert_eq!(number(world, &most).await, 100, "a message holds at most 100");
    for (kind, size) in [("publish", roots), ("sync", items)] {
        let sum =
            format!("SELECT coalesce(sum({size}), 0) FROM recorded WHERE kind = '{kind}' AND lane = 'bulk'");
        assert_eq!(
            number(world, &sum).await,
            ROOTS,
            "{kind}: each root once, on the bulk lane"
        );
    }
    let pages = "SELECT count(*) FROM recorded WHERE kind = 'publish' AND payload::jsonb -> 'changes' ->> 'after' IS NOT NULL";
    // 5,000 roots, then 50,000, then the rest: each page finds all roots anew.
    assert_eq!(number(world, pages).await, 2, "pages after the first");
}

async fn assert_equal(world: &World) {
    let expected = world.expected(&[("item", EXPECTED)]).await;
    let mut snapshot = world.snapshot(&["item"]).await;
    snapshot.indexes.clear();
    snapshot.assert_equals(&expected);
    assert!(matches!(expected["item"]["item:0"], Json::Object(_)));
}

async fn number(world: &World, query: &str) -> u64 {
    world.session().await.number(query).await
}
