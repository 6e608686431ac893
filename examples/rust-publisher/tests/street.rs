//! The program on both databases: its document is applied, built, kept up with changes, verified; and plain pubsync
//! works beside it.

// A test fails by panicking, also in its own functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use pubsync_tests::{Json, World};

const PROGRAM: &str = env!("CARGO_BIN_EXE_price-ladder");

const SCHEMA: &str = "
    CREATE TABLE product (id integer PRIMARY KEY, sku text NOT NULL);
    CREATE TABLE price_break (product_id integer NOT NULL REFERENCES product (id), from_quantity bigint NOT NULL,
        cents bigint NOT NULL, PRIMARY KEY (product_id, from_quantity));
    INSERT INTO product VALUES (1, 'a:1'), (2, 'b');
    INSERT INTO price_break VALUES (1, 1, 1000), (1, 10, 900), (1, 20, 950);";

const PRODUCT: &str = "document: product\nroot: product\nkey: \"product:{id}\"\nbody: { sku: sku }\n";

async fn prepared(world: World) -> World {
    world.script(SCHEMA).await;
    world.document("product", PRODUCT);
    world.with_program(Path::new(PROGRAM))
}

/// The ladders in the mirror, by key.
async fn ladders(world: &World) -> Vec<(String, Json)> {
    let mirror = world.mirror("price_ladder").await;
    mirror
        .into_iter()
        .map(|(key, stored)| (key, stored.body))
        .collect()
}

fn ladder(key: &str, body: &str) -> (String, Json) {
    (key.to_owned(), Json::parse(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_written_in_rust_is_as_any_other() {
    for world in [World::embedded("ladder"), World::postgres("ladder").await] {
        let world = prepared(world).await;
        world.pubsync(&["check"]).await;
        let plan = world.pubsync(&["plan"]).await.stdout;
        assert!(
            plan.contains("+ price_ladder (written in Rust): new, to build\n"),
            "{plan}"
        );
        world.pubsync(&["apply", "--yes"]).await;
        world.pubsync(&["run", "--until-quiet"]).await;
        let two = [
            ladder(
                "price_ladder:a%3A1",
                r#"{"sku":"a:1","steps":[{"cents":1000,"from":1,"to":9},{"cents":900,"from":10,"to":null}]}"#,
            ),
            ladder("price_ladder:b", r#"{"sku":"b","steps":[]}"#),
        ];
        assert_eq!(ladders(&world).await, two);
        world.pubsync(&["verify"]).await;

        world
            .script("INSERT INTO price_break VALUES (2, 1, 5); DELETE FROM price_break WHERE product_id = 1; DELETE FROM product WHERE id = 1;")
            .await;
        world.pubsync(&["run", "--until-quiet"]).await;
        let one = [ladder(
            "price_ladder:b",
            r#"{"sku":"b","steps":[{"cents":5,"from":1,"to":null}]}"#,
        )];
        assert_eq!(ladders(&world).await, one);
        world.pubsync(&["verify"]).await;
        let graph = world.pubsync(&["graph"]).await.stdout;
        assert!(
            graph.contains(
                "price_break\n  → price_ladder as written in Rust (product_id, from_quantity, cents)\n"
            ),
            "{graph}"
        );
        let plan = world.pubsync(&["plan"]).await.stdout;
        assert_eq!(plan, "nothing to do: product, price_ladder stand as declared\n");
    }
}

/// Plain pubsync applies beside it without taking it away, and relays for it; only the program builds it.
#[tokio::test(flavor = "multi_thread")]
async fn plain_pubsync_relays_for_it() {
    let world = prepared(World::postgres("ladder").await).await;
    world.pubsync(&["apply", "--yes"]).await;
    let builder = world.spawn(&["run", "publisher", "synchronizer"]);
    let plain = world.with_program(&pubsync_tests::binary());
    let plan = plain.pubsync(&["plan"]).await.stdout;
    assert_eq!(plan, "nothing to do: product, price_ladder stand as declared\n");
    plain.pubsync(&["apply", "--yes"]).await;
    let relay = plain.spawn(&["run", "relay"]);
    plain.script("INSERT INTO price_break VALUES (2, 1, 5)").await;
    plain.pubsync(&["wait", "--timeout", "60"]).await;
    let found = ladders(&plain).await;
    assert_eq!(
        found[1],
        ladder(
            "price_ladder:b",
            r#"{"sku":"b","steps":[{"cents":5,"from":1,"to":null}]}"#
        )
    );
    builder.stop().await;
    relay.stop().await;
}
