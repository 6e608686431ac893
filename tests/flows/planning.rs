//! `plan` says what `apply` then does, and why; and nothing else.

use pubsync_tests::{Json, Session, World};
use serde_json::{Value, json};

const TABLES: &str = "
    CREATE TABLE brand (id integer PRIMARY KEY, name text);
    CREATE TABLE product (id integer PRIMARY KEY, brand_id integer REFERENCES brand (id), name text, price integer);
    INSERT INTO brand VALUES (1, 'b');
    INSERT INTO product VALUES (1, 1, 'one', 10), (2, 1, 'two', 20);";

const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { name: name }\n";

const PRODUCT: &str = "\
document: product
root: product
key: \"product:{id}\"
body:
  name: name
  price: price
  brand: { one: brand, body: name }
";

async fn world(world: World) -> World {
    world.script(TABLES).await;
    world.document("brand", BRAND);
    world.document("product", PRODUCT);
    world
}

async fn both() -> [World; 2] {
    [
        world(World::postgres("planning").await).await,
        world(World::embedded("planning")).await,
    ]
}

async fn plan(world: &World, arguments: &[&str]) -> Value {
    let output = world.pubsync(&[&["plan", "--json"], arguments].concat()).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

async fn apply(world: &World) -> Value {
    let output = world.pubsync(&["apply", "--yes", "--json"]).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

fn of<'a>(plan: &'a Value, document: &str) -> &'a Value {
    let documents = plan["documents"].as_array().expect("documents");
    let found = documents.iter().find(|d| d["document"] == document);
    found.unwrap_or_else(|| panic!("no {document} in {plan}"))
}

/// All rows of `run`: kind and document, oldest first.
async fn runs(world: &World) -> Vec<String> {
    let table = world.database().own_table("run");
    let sql = format!("SELECT kind || ' ' || document FROM {table} ORDER BY id");
    let rows = world.session().await.rows(&sql).await;
    rows.into_iter()
        .map(|row| row[0].clone().unwrap_or_default())
        .collect()
}

/// Names of all own tables and triggers.
async fn objects(session: &mut Session, world: &World) -> Vec<Vec<Option<String>>> {
    let sql = match world.database() {
        pubsync_tests::Database::Postgres { .. } => {
            "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'pubsync' \
             UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        }
        pubsync_tests::Database::Sqlite { .. } => {
            "SELECT name FROM sqlite_master WHERE name LIKE 'pubsync%' ORDER BY name"
        }
    };
    session.rows(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_plan_names_everything_and_makes_nothing() {
    for world in both().await {
        let mut session = world.session().await;
        let first = plan(&world, &[]).await;
        assert_eq!(first["migrations"][0], "m0001_initial");
        assert_eq!(
            first["tables"],
            json!(["mirror_brand", "root_brand", "mirror_product", "root_product"])
        );
        let queues = first["queues"].as_array().unwrap();
        assert!(queues.contains(&json!("publish.product")) && queues.contains(&json!("publish.brand.bulk")));
        assert_eq!(
            first["triggers"],
            json!([{ "table": "brand", "kind": "install" }, { "table": "product", "kind": "install" }])
        );
        for name in ["brand", "product"] {
            let document = of(&first, name);
            assert_eq!(
                (&document["change"], &document["rebuild"]),
                (&json!("new"), &json!(true))
            );
            assert_eq!(document["why"], json!([{ "reason": "new" }]));
            assert!(
                document["file"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("{name}.yaml"))
            );
        }
        let output = world.pubsync_exits(1, &["plan", "--exit-code"]).await;
        assert_eq!(output.stderr, "pubsync: `pubsync apply` would change this\n");
        assert_eq!(
            objects(&mut session, &world).await,
            Vec::<Vec<_>>::new(),
            "plan makes nothing"
        );

        let done = apply(&world).await;
        assert_eq!(done["rebuilt"], json!(["brand", "product"]));
        assert_eq!(done["triggers"]["installed"], json!(["brand", "product"]));
        let made = objects(&mut session, &world).await;
        assert!(!made.is_empty());

        let output = world.pubsync(&["plan", "--exit-code"]).await;
        assert_eq!(output.stdout, "nothing to do: brand, product stand as declared\n");
        let second = plan(&world, &[]).await;
        for list in ["migrations", "tables", "queues", "triggers"] {
            assert_eq!(second[list], json!([]), "{list}");
        }
        assert_eq!(of(&second, "product")["change"], "unchanged");
        let done = apply(&world).await;
        assert_eq!(
            (&done["rebuilt"], &done["unchanged"]),
            (&json!([]), &json!(["brand", "product"]))
        );
        assert_eq!(runs(&world).await, ["publish brand", "publish product"]);
        assert_eq!(objects(&mut session, &world).await, made);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_member_is_one_rebuild_of_its_document() {
    for world in both().await {
        apply(&world).await;
        world.pubsync(&["run", "--until-quiet"]).await;
        let before = world.snapshot(&["brand", "product"]).await;
        world.document("product", &PRODUCT.replace("  name: name", "  title: name"));

        let planned = plan(&world, &[]).await;
        let product = of(&planned, "product");
        assert_eq!(product["why"], json!([{ "reason": "declaration" }]));
        assert_eq!(
            product["diff"],
            "@@ -3,5 +3,5 @@\n key: \"product:{id}\"\n body:\n-  name: name\n+  title: name\n   price: price\n   brand: { one: brand, body: name }\n"
        );
        assert_eq!(
            (&product["rebuild"], &product["resync"]),
            (&json!(true), &json!([]))
        );
        assert_eq!(of(&planned, "brand")["change"], "unchanged");
        assert_eq!(planned["triggers"], json!([]), "the same columns");
        let output = world.pubsync(&["plan"]).await;
        let lines = [
            "~ product (",
            "to rebuild\n    because its declaration changed\n",
            "    -  name: name\n    +  title: name\n",
        ];
        for line in lines {
            assert!(output.stdout.contains(line), "{line:?} in {}", output.stdout);
        }
        assert!(
            output.stdout.ends_with(
                "0 tables with other triggers, 1 documents to build, 0 resyncs, 0 new indexes, 0 documents removed\n"
            ),
            "{}",
            output.stdout
        );

        assert_eq!(apply(&world).await["rebuilt"], json!(["product"]));
        assert_eq!(apply(&world).await["rebuilt"], json!([]));
        world.pubsync(&["run", "--until-quiet"]).await;
        assert_eq!(
            runs(&world).await,
            ["publish brand", "publish product", "publish product"]
        );
        let after = world.snapshot(&["brand", "product"]).await;
        assert_eq!(after.mirror["brand"], before.mirror["brand"]);
        let expected = Json::parse(r#"{ "title": "one", "price": 10, "brand": "b" }"#).unwrap();
        assert_eq!(after.mirror["product"]["product:1"].body, expected);
        world.pubsync(&["verify"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_is_named() {
    let world = world(World::postgres("planning").await).await;
    apply(&world).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world.script("ALTER TABLE product ALTER price TYPE text").await;
    let planned = plan(&world, &[]).await;
    let product = of(&planned, "product");
    assert_eq!(
        product["why"],
        json!([{ "reason": "column_type", "column": "product.price", "was": "integer", "is": "text" }])
    );
    assert_eq!(
        (&product["rebuild"], &product["diff"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        product["mapping"],
        json!([{ "field": "price", "was": "long", "is": "text" }])
    );
    assert_eq!(of(&planned, "brand")["change"], "unchanged");
}

/// A number becomes a string in JSON, though no statement reads otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_is_built_anew() {
    let world = world(World::postgres("planning").await).await;
    world.configure(|config| {
        let (before, _) = config.split_once("  search:").expect("a target");
        format!("{before}relay: {{ resend_after: 3 }}\n")
    });
    apply(&world).await;
    world.pubsync(&["run", "--until-quiet"]).await;
    world.script("ALTER TABLE product ALTER price TYPE text").await;
    assert_eq!(apply(&world).await["rebuilt"], json!(["product"]));
    world.pubsync(&["run", "--until-quiet"]).await;
    let mirror = world.mirror("product").await;
    let expected = Json::parse(r#"{ "name": "one", "price": "10", "brand": "b" }"#).unwrap();
    assert_eq!(mirror["product:1"].body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_join_and_leave_and_documents_that_go() {
    let world = world(World::postgres("planning").await).await;
    world.document("product", &format!("{PRODUCT}targets: {{ storage: {{}} }}\n"));
    apply(&world).await;
    world.document("product", &format!("{PRODUCT}targets: {{ search: {{}} }}\n"));
    let planned = plan(&world, &[]).await;
    let product = of(&planned, "product");
    assert_eq!(
        (&product["resync"], &product["left"]),
        (&json!(["search"]), &json!(["storage"]))
    );
    assert_eq!(
        planned["queues"],
        json!(["sync.search.product", "sync.search.product.bulk"])
    );
    assert_eq!(apply(&world).await["resynchronized"], json!(["product → search"]));

    // The configuration takes a target away: no file changed.
    world.configure(|config| config.replace("  search:", "  found:"));
    world.document("product", &format!("{PRODUCT}targets: {{ found: {{}} }}\n"));
    let planned = plan(&world, &[]).await;
    let brand = of(&planned, "brand");
    assert_eq!(brand["why"], json!([{ "reason": "targets" }]));
    assert_eq!(
        (&brand["rebuild"], &brand["resync"], &brand["left"]),
        (&json!(false), &json!(["found"]), &json!(["search"]))
    );

    std::fs::remove_file(world.folder().join("documents/product.yaml")).unwrap();
    let planned = plan(&world, &[]).await;
    assert_eq!(of(&planned, "product")["change"], "removed");
    assert_eq!(
        planned["triggers"],
        json!([{ "table": "public.product", "kind": "remove" }])
    );
    let output = world.pubsync(&["plan"]).await;
    assert!(
        output.stdout.contains("\n- product: declared no more"),
        "{}",
        output.stdout
    );
    let report = apply(&world).await;
    assert_eq!(report["removed"], json!(["product"]));
    assert_eq!(report["kept"], json!(["brand@search", "product"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_document_is_rebuilt_for_that() {
    for world in both().await {
        apply(&world).await;
        let pause = world.database().own_table("pause");
        world
            .script(&format!("INSERT INTO {pause} (subject, reason, since) VALUES ('document:brand', 'a column is gone', 1)"))
            .await;
        let planned = plan(&world, &[]).await;
        let brand = of(&planned, "brand");
        assert_eq!(
            brand["why"],
            json!([{ "reason": "paused", "because": "a column is gone" }])
        );
        assert_eq!(
            (&brand["change"], &brand["rebuild"]),
            (&json!("changed"), &json!(true))
        );
        assert_eq!(apply(&world).await["rebuilt"], json!(["brand"]));
        assert_eq!(of(&plan(&world, &[]).await, "brand")["change"], "unchanged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_shown_where_they_are_asked_for() {
    for world in both().await {
        let planned = plan(&world, &["--sql"]).await;
        let statements = of(&planned, "product")["statements"].as_array().unwrap();
        let named = |name: &str| {
            statements.iter().any(|one| {
                one["name"] == name && one["sql"].as_str().is_some_and(|sql| sql.contains("SELECT"))
            })
        };
        for name in [
            "root product",
            "node brand",
            "roots of changed rows of brand",
            "all roots",
        ] {
            assert!(named(name), "{name} in {statements:?}");
        }
        let trigger = planned["triggers"][0]["sql"].to_string();
        assert!(trigger.contains(" TRIGGER "), "{trigger}");
        let text = world.pubsync(&["plan", "--sql"]).await.stdout;
        assert!(
            text.contains(" TRIGGER ") && text.contains("    -- roots of changed rows of brand\n"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_shows_the_plan_and_asks() {
    let world = world(World::embedded("planning")).await;
    let plan = "new tables: mirror_brand, root_brand, mirror_product, root_product\n";
    for (answer, code, told) in [
        ("n\n", 2, "nothing was changed\n"),
        ("\n", 2, "nothing was changed\n"),
        ("y\n", 0, "rebuilding: brand, product\n"),
    ] {
        let output = world.pubsync_on_a_terminal(answer, &["apply"]);
        let shown = &output.stdout;
        assert_eq!(output.code, code, "{shown}");
        let asked = shown
            .split_once("Do this in sqlite://source.db")
            .expect("a question");
        assert!(asked.0.contains(plan) && asked.1.contains(told), "{shown}");
    }
    // Nothing to do is nothing to ask.
    let output = world.pubsync_on_a_terminal("", &["apply"]);
    assert_eq!(output.code, 0, "{}", output.stdout);
    assert!(!output.stdout.contains("Do this"), "{}", output.stdout);
    assert!(output.stdout.contains("nothing to do"), "{}", output.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn graph_draws_tables_documents_and_targets() {
    for world in both().await {
        let text = world.pubsync(&["graph"]).await.stdout;
        assert!(
            text.starts_with(
                "brand\n  → brand as root (id, name)\n  → product as brand (id, name)\nproduct\n"
            ),
            "{text}"
        );
        let drawn = world.pubsync(&["graph", "--format", "dot"]).await.stdout;
        assert!(drawn.contains("  t1 -> d2 [label=\"brand\"];\n"), "{drawn}");
        let drawn = world.pubsync(&["graph", "--format", "mermaid"]).await.stdout;
        assert!(drawn.contains("  t1 -->|\"brand\"| d2\n"), "{drawn}");
        let output = world.pubsync(&["graph", "--json"]).await;
        let graph: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(graph["edges"][1]["roles"], json!(["brand"]), "{graph}");
    }
}
