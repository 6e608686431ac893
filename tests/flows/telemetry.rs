//! What a process says of itself over HTTP: health while it waits, works and ends; counts of what it did, also of what
//! it found unchanged.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use pubsync_tests::{Worker, World, eventually};

const SOON: Duration = Duration::from_secs(60);
const ADDRESS: &str = "health and metrics address=";

/// Two products. The positions of images decide their order, so that one can change while the document does not.
fn shop(label: &str) -> World {
    let world = World::embedded(label);
    world.document(
        "product",
        "document: product\nroot: product\nkey: \"product:{id}\"\nbody:\n  id: id\n  name: name\n  \
         images: { many: image, order: [position], body: url }\n",
    );
    world
}

const TABLES: &str = "
    CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE image (id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES product (id), url TEXT NOT NULL, position INTEGER NOT NULL);
    CREATE INDEX image_by_product ON image (product_id);
    INSERT INTO product VALUES (4711, 'Lamp'), (4712, 'Chair');
    INSERT INTO image VALUES (1, 4711, 'front.jpg', 1), (2, 4711, 'back.jpg', 5);";

/// Status and body.
async fn get(at: &str, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .get(format!("http://{at}{path}"))
        .send()
        .await
        .unwrap_or_else(|error| panic!("{path}: {error:?}"));
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Where a worker with `--listen 127.0.0.1:0` answers.
async fn address(worker: &Worker) -> String {
    eventually("the address", SOON, async || {
        let log = worker.log();
        let line = log.lines().find_map(|line| line.split_once(ADDRESS));
        line.map(|(_, address)| address.trim().to_owned())
            .ok_or_else(|| log.clone())
    })
    .await
}

async fn until_status(at: &str, path: &str, status: u16) {
    eventually(path, SOON, async || match get(at, path).await {
        (found, _) if found == status => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// The samples of a scrape: by name and labels, as they are written.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            (series, value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect()
}

/// Waits until the documents are counted so: changed, unchanged, deleted, failed. Gives the scrape.
async fn until_published(world: &World, at: &str, expected: [u32; 4]) -> String {
    world.pubsync(&["wait", "--timeout", "60"]).await;
    eventually("documents_published_total", SOON, async || {
        let (_, text) = get(at, "/metrics").await;
        let samples = samples(&text);
        let found = ["changed", "unchanged", "deleted", "failed"].map(|result| {
            let series =
                format!(r#"pubsync_documents_published_total{{document="product",result="{result}"}}"#);
            samples.get(series.as_str()).copied()
        });
        if found == expected.map(|count| Some(f64::from(count))) {
            Ok(text.clone())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}

#[track_caller]
fn assert_sample(scrape: &str, series: &str, expected: f64) {
    let found = samples(scrape).get(series).copied();
    assert_eq!(found, Some(expected), "{series} in\n{scrape}");
}

/// Labels are names and words: an id among them makes a time series of every row.
fn assert_no_ids_in_labels(scrape: &str) {
    let labelled = samples(scrape)
        .into_keys()
        .filter_map(|series| series.split_once('{'));
    for (name, labels) in labelled {
        for label in labels.trim_end_matches('}').split("\",") {
            let (label, value) = label
                .split_once("=\"")
                .unwrap_or_else(|| panic!("{name} {labels}"));
            let is_number = matches!(label, "le" | "version");
            assert!(
                is_number || !value.contains(|c: char| c.is_ascii_digit() || c == ':'),
                "{name} {label}={value}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_tells_how_it_is_and_what_it_did() {
    let world = shop("telemetry");
    world.script(TABLES).await;
    let worker = world.spawn(&["run", "--listen", "127.0.0.1:0"]);
    let at = address(&worker).await;
    let ok = (200, "ok\n".to_owned());
    assert_eq!(get(&at, "/livez").await, ok);
    // There are no tables of pubsync yet.
    let (status, why) = get(&at, "/readyz").await;
    assert_eq!(status, 503, "{why}");
    assert!(why.starts_with("[-] started: "), "{why}");

    world.pubsync(&["apply", "--yes"]).await;
    until_status(&at, "/readyz", 200).await;
    let verbose = "[+] started\n[+] taking work\nok\n".to_owned();
    assert_eq!(get(&at, "/readyz?verbose").await, (200, verbose));
    assert_eq!(get(&at, "/livez").await, ok);

    let built = until_published(&world, &at, [2, 0, 0, 0]).await;
    let applied = r#"pubsync_writes_total{target="local",document="product",outcome="applied"}"#;
    let arrived = r#"pubsync_end_to_end_seconds_count{target="local",document="product"}"#;
    assert_sample(&built, applied, 2.0);
    assert_eq!(
        samples(&built).get(arrived),
        None,
        "no change is behind a rebuild"
    );

    world.script("UPDATE image SET position = 6 WHERE id = 2").await;
    let unchanged = until_published(&world, &at, [2, 1, 0, 0]).await;
    assert_sample(&unchanged, applied, 2.0);

    world
        .script("UPDATE image SET url = 'side.jpg' WHERE id = 2")
        .await;
    let changed = until_published(&world, &at, [3, 1, 0, 0]).await;
    assert_sample(&changed, applied, 3.0);
    assert_sample(&changed, arrived, 1.0);

    world.script("DELETE FROM product WHERE id = 4712").await;
    let last = until_published(&world, &at, [3, 1, 1, 0]).await;
    assert_sample(&last, applied, 4.0);
    assert_sample(&last, "pubsync_outbox_claimed_total", 3.0);
    assert_sample(
        &last,
        r#"pubsync_publish_seconds_bucket{document="product",le="+Inf"}"#,
        4.0,
    );
    assert_sample(&last, "pubsync_broker_blocked", 0.0);
    assert!(last.contains("# HELP pubsync_end_to_end_seconds "), "{last}");
    assert_no_ids_in_labels(&last);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_ends_the_process_at_once() {
    let world = shop("taken-port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    world.configure(|config| format!("{config}listen: {address}\n"));
    let output = world.pubsync_exits(4, &["run"]).await;
    let reason = "Address already in use (os error 98)";
    let message = format!("pubsync: cannot listen on {address}: {reason}; name another one with --listen\n");
    assert_eq!(output.stderr, message);
}
