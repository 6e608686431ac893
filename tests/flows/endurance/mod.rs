//! What it bears: outages under load, poison, backlogs and large documents. By hand, small and at full size; numbers are
//! printed (`make endurance`).

mod backlog;
mod bars;
mod large;
mod load;
mod outage;
mod poison;

use pubsync_tests::World;

const DOCUMENT: &str =
    "document: item\nroot: item\nkey: \"item:{id}\"\nbody: { id: id, stamp: stamp, text: text }\n";

/// How many items, and bytes of the text of each.
#[derive(Debug, Clone, Copy)]
struct Size {
    items: u32,
    bytes: u32,
}

impl Size {
    fn mib(self) -> f64 {
        f64::from(self.items) * f64::from(self.bytes) / f64::from(1 << 20)
    }
}

/// Items that are not built yet, and their document. `configure` sees the configuration before anything runs.
async fn world(label: &str, size: Size, configure: impl FnOnce(String) -> String) -> World {
    let world = World::postgres(label).await;
    world.configure(configure);
    let Size { items, bytes } = size;
    world
        .script(&format!(
            "CREATE TABLE item (id bigint PRIMARY KEY, stamp bigint NOT NULL, text text NOT NULL); \
             INSERT INTO item SELECT n, 0, repeat(md5(n::text), {}) FROM generate_series(1, {items}) AS n; ANALYZE item;",
            bytes / 32
        ))
        .await;
    world.document("item", DOCUMENT);
    world.pubsync(&["apply", "--yes"]).await;
    world
}

/// The only number of a query's only row.
async fn number(world: &World, query: &str) -> i64 {
    world.session().await.number(query).await
}

/// Every item is in mirror and targets as it is in its table.
async fn assert_equal(world: &World) {
    let expected =
        "SELECT 'item:' || id, json_build_object('id', id, 'stamp', stamp, 'text', text)::text FROM item";
    let expected = world.expected(&[("item", expected)]).await;
    world.snapshot(&["item"]).await.assert_equals(&expected);
}
