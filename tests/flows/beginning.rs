//! From tables to a first configuration and documents, which run as they are.

use std::os::unix::fs::PermissionsExt as _;

use pubsync_tests::World;

const ON_SQLITE: &str = include_str!("../../examples/shop/schema.sqlite.sql");
const ON_POSTGRES: &str = include_str!("../../examples/shop/schema.postgres.sql");
const DATA: &str = include_str!("../../examples/shop/data.sql");

#[tokio::test(flavor = "multi_thread")]
async fn drafts_of_a_whole_shop_run() {
    for (world, schema) in [
        (World::embedded("beginning"), ON_SQLITE),
        (World::postgres("beginning").await, ON_POSTGRES),
    ] {
        world.script(schema).await;
        world.script(DATA).await;
        let output = world.pubsync(&["init", "--all"]).await;
        for document in ["brand", "category", "product", "store"] {
            let file = format!("documents/{document}.yaml");
            assert!(output.stdout.contains(&file), "{file} in {}", output.stdout);
        }
        assert!(!output.stdout.contains("product_category"), "{}", output.stdout);
        world.pubsync(&["check"]).await;
        world.pubsync(&["apply", "--yes"]).await;
        world.pubsync(&["run", "--until-quiet"]).await;
        world.pubsync(&["verify"]).await;
        assert!(world.mirror("product").await.contains_key("product:1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten() {
    let world = World::embedded("beginning");
    world.script(ON_SQLITE).await;
    let (config, documents) = (
        world.folder().join("pubsync.yaml"),
        world.folder().join("documents"),
    );
    std::fs::remove_file(&config).unwrap();
    std::fs::remove_dir(&documents).unwrap();

    let output = world.pubsync_exits(2, &["init", "product"]).await;
    assert_eq!(
        output.stderr,
        "pubsync: pubsync.yaml is not there: with --database postgres://… or --database sqlite:path it is written\n"
    );
    let database = ["init", "--database", "sqlite:source.db"];
    let output = world.pubsync(&[&database[..], &["product"]].concat()).await;
    assert_eq!(
        output.stdout,
        "written: pubsync.yaml, documents/product.yaml\ncut them down, then `pubsync check`\n"
    );
    // A password may stand in it.
    let mode = std::fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    world.pubsync(&["check"]).await;

    world.write("in_the_way", "");
    world.write(
        "elsewhere.yaml",
        "database: sqlite:source.db\nbroker: embedded\ndocuments: in_the_way/documents\ntargets: { local: { kind: local, path: store.db } }\n",
    );
    let output = world.with_config("elsewhere.yaml", 2, &["init", "product"]).await;
    let told = "pubsync: cannot make the folder in_the_way/documents: Not a directory (os error 20)\n";
    assert_eq!(output.stderr, told);

    world.document("product", "mine");
    let written = std::fs::read_to_string(&config).unwrap();
    for (arguments, told) in [
        (
            &["init", "brand", "product"][..],
            "no document is written, because these files are there already, or two tables want them: documents/product.yaml",
        ),
        (
            &["init", "brand", "brand"],
            "no document is written, because these files are there already, or two tables want them: documents/brand.yaml",
        ),
        (&["init", "brnd"], "no table \"brnd\"; there are: brand, category"),
        (
            &["init", "--database", "sqlite:other.db", "brand"],
            "pubsync.yaml is there already and names a database: leave --database out, or name another file with --config",
        ),
    ] {
        let output = world.pubsync_exits(2, arguments).await;
        assert!(
            output.stderr.starts_with(&format!("pubsync: {told}")),
            "{}",
            output.stderr
        );
    }
    assert!(!documents.join("brand.yaml").exists(), "all or none");
    assert_eq!(
        std::fs::read_to_string(documents.join("product.yaml")).unwrap(),
        "mine"
    );
    assert_eq!(std::fs::read_to_string(&config).unwrap(), written);
}
