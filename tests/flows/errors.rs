//! What people are told when something is wrong: what, where, why and what to do, with an exit code that says whose
//! turn it is, and never a password.

use pubsync_tests::{Output, World, free_port};

const SHOP: &str = include_str!("../../examples/shop/schema.sqlite.sql");
const BRAND: &str = "document: brand\nroot: brand\nkey: \"brand:{id}\"\nbody: { id: id, name: name }\n";

/// Each document, and all that `check` then writes.
const DOCUMENTS: [(&str, &str); 7] = [
    (
        "document: d\nroot: prodct\nkey: \"d:{id}\"\nbody: { id: id }\n",
        r#"documents/d.yaml:2:7: no table "prodct"
  |
2 | root: prodct
  |       ^
  = did you mean "product"?"#,
    ),
    (
        "document: d\nroot: product\nkey: \"d:{id}\"\nbody:\n  title: nmae\n",
        r#"documents/d.yaml:5:10: no column "nmae" in table "product"
  |
5 |   title: nmae
  |          ^
  = did you mean "name"?"#,
    ),
    (
        "document: d\nroot: product\nkey: \"d:{id}\"\nbody:\n  related: { many: product, via: related, body: sku }\n",
        r#"documents/d.yaml:5:34: "related" leads to "product" in 2 ways
  |
5 |   related: { many: product, via: related, body: sku }
  |                                  ^
  = write one of: via: { table: related, from: product_id, to: other_id } or via: { table: related, from: other_id, to: product_id }"#,
    ),
    (
        "document: d\nroot: product\nkey: \"d:{id}\"\nbody:\n  id: id\n  value: { sum: price }\n",
        r#"documents/d.yaml:6:17: "sum" takes a column with its table
  |
6 |   value: { sum: price }
  |                 ^
  = write sum: table.price"#,
    ),
    (
        "document: d\nroot: product\nkey: \"d:{id}\"\nbody: { id: id\n",
        r#"documents/d.yaml:4:7: this is no YAML: unclosed bracket '{'
  |
4 | body: { id: id
  |       ^"#,
    ),
    (
        "document: d\nroot: product\nkey: \"d:all\"\nbody: { id: id }\n",
        r#"documents/d.yaml:3:6: the key holds no column of the root, so its documents would share one key
  |
3 | key: "d:all"
  |      ^"#,
    ),
    (
        "document: d\nroot: product\nkey: \"brand:{sku}\"\nbody: { id: id }\n",
        r#"documents/d.yaml:3:6: "d" and "brand" (documents/brand.yaml) could make the same key
  |
3 | key: "brand:{sku}"
  |      ^
  = let their keys begin with different text, such as the names of the documents"#,
    ),
];

#[tokio::test]
async fn documents_that_are_wrong() {
    let world = World::embedded("errors");
    world.script(SHOP).await;
    world
        .script(
            "CREATE TABLE related (product_id INTEGER NOT NULL REFERENCES product (id), other_id INTEGER NOT NULL \
             REFERENCES product (id), PRIMARY KEY (product_id, other_id))",
        )
        .await;
    world.document("brand", BRAND);
    for (document, told) in DOCUMENTS {
        world.document("d", document);
        // `apply` refuses what `check` refuses, and changes nothing.
        for command in [&["check"][..], &["apply", "--yes"]] {
            let output = world.pubsync_exits(3, command).await;
            let expected = format!("pubsync: {told}\n\n1 problem in the documents\n");
            assert_eq!((output.stdout.as_str(), output.stderr), ("", expected));
        }
    }
    let mut session = world.session().await;
    let objects = session
        .rows("SELECT name FROM sqlite_master WHERE name LIKE 'pubsync%'")
        .await;
    assert_eq!(objects, Vec::<Vec<_>>::new(), "a refused document leaves nothing");
}

#[tokio::test]
async fn documents_with_several_mistakes() {
    let world = World::embedded("errors");
    world.script(SHOP).await;
    world.document(
        "brand",
        "document: brand\nroot: brnd\nkey: \"brand:{id}\"\nbody: { id: id }\n",
    );
    world.document("broken", "document: [\n");
    // Of a file that is right by itself, the database is asked all the same; another shares its keys.
    world.document(
        "expression",
        "document: expression\nroot: brand\nkey: \"b:{id}\"\nbody: { a: { sql: \"lowr({name})\" } }\n",
    );
    world.document(
        "other",
        "document: other\nroot: brand\nkey: \"b:{name}\"\nbody: { id: id }\n",
    );
    world.document(
        "product",
        "document: product\nroot: product\nkye: x\nbody: { id: idd }\n",
    );
    let output = world.pubsync_exits(3, &["check", "--json"]).await;
    let error: serde_json::Value = serde_json::from_str(&output.stderr).expect("one JSON object");
    assert_eq!(error["code"], 3);
    let text = error["error"].as_str().expect("a text");
    assert_in_order(
        text,
        &[
            "documents/brand.yaml:2:7: no table \"brnd\"",
            "documents/broken.yaml:1:11: this is no YAML: unclosed bracket",
            "documents/expression.yaml:4:19: the database refuses the expression: ",
            "no such function: lowr",
            "documents/other.yaml:3:6: \"other\" and \"expression\" (documents/expression.yaml) could make the same key",
            "documents/product.yaml:3:1: unknown key \"kye\" in a document",
            "did you mean \"key\"?",
            "documents/product.yaml:4:13: no column \"idd\" in table \"product\"",
            "\n\n6 problems in the documents",
        ],
    );
}

/// Several broken files are told at once, also where the database is away; what needs it is said to be unchecked.
#[tokio::test]
async fn documents_without_a_database() {
    let unchecked = "names of tables and columns were not checked, which takes the database";
    let world = World::embedded("errors");
    world.document("brand", &BRAND.replace("root: brand", "root: nowhere"));
    let output = world.pubsync(&["check", "--offline"]).await;
    let right = format!("1 files are right as far as they alone can tell; {unchecked}\n");
    assert_eq!((output.stdout, output.stderr.as_str()), (right, ""));
    let output = world.pubsync(&["check", "--offline", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("one JSON object");
    assert_eq!(told["names_checked"], false);

    let nowhere = format!("127.0.0.1:{}", free_port());
    world.configure(|config| {
        config.replace(
            "sqlite:source.db",
            &format!("postgres://app:hunter2@{nowhere}/shop"),
        )
    });
    let output = world.pubsync_exits(4, &["check"]).await;
    assert_in_order(
        &output.stderr,
        &[
            "pubsync: database postgres://",
            &nowhere,
            &format!("\n1 files are right as far as they alone can tell; {unchecked}\n"),
        ],
    );

    world.document("broken", "document: [\n");
    world.document(
        "product",
        "document: product\nroot: product\nkye: x\nbody: { id: idd }\n",
    );
    let list = [
        "documents/broken.yaml:1:11: this is no YAML: unclosed bracket",
        "documents/product.yaml:3:1: unknown key \"kye\" in a document",
        "\n\n2 problems in the documents; ",
        unchecked,
    ];
    let output = world.pubsync_exits(3, &["check", "--offline"]).await;
    assert_in_order(&output.stderr, &list);
    let output = world.pubsync_exits(3, &["check"]).await;
    assert_in_order(
        &output.stderr,
        &[
            &list[..2],
            &[
                &format!("\n\n2 problems in the documents; {unchecked}, and that cannot be reached: database postgres://"),
                &nowhere,
            ],
        ]
        .concat(),
    );
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    world.pubsync_exits(4, &["apply", "--yes"]).await;
}

#[tokio::test]
async fn configurations_that_are_wrong() {
    let world = World::embedded("errors");
    let told = |output: Output| output.stderr;
    for (from, to, expected) in [
        (
            "resend_after",
            "resend_aftr",
            "pubsync: pubsync.yaml:7:10: unknown setting `relay.resend_aftr`; did you mean `resend_after`?\n",
        ),
        (
            "broker:",
            "brokr:",
            "pubsync: pubsync.yaml:3:1: unknown setting `brokr`; did you mean `broker`?\n",
        ),
        (
            "kind: local",
            "kind: lokal",
            "pubsync: pubsync.yaml:6:12: `targets.local.kind` cannot be `lokal`; did you mean `local`?\n",
        ),
        (
            "sqlite:source.db",
            "mysql://root:hunter2@localhost/shop",
            "pubsync: pubsync.yaml:2:1: `database` must be postgres://… or sqlite:path\n",
        ),
        (
            "sqlite:source.db",
            "${NO_SUCH_VARIABLE}",
            "pubsync: pubsync.yaml:2:1: `database`: environment variable NO_SUCH_VARIABLE is not set\n",
        ),
    ] {
        let config = std::fs::read_to_string(world.folder().join("pubsync.yaml")).expect("pubsync.yaml");
        world.write("wrong.yaml", &config.replace(from, to));
        let output = world.with_config("wrong.yaml", 3, &["status"]).await;
        assert_eq!(told(output).replace("wrong.yaml", "pubsync.yaml"), expected);
    }
    let output = world.with_config("none.yaml", 3, &["status"]).await;
    assert_eq!(
        told(output),
        "pubsync: none.yaml: no such file; name another with --config, or write a first one with `pubsync init --database URL TABLE`\n"
    );
    let output = world.with_config("documents", 3, &["status"]).await;
    assert_eq!(
        told(output),
        "pubsync: documents: cannot be read: Is a directory (os error 21)\n"
    );
    world.configure(|config| config.replace("documents: documents", "documents: nowhere"));
    let output = world.pubsync_exits(3, &["check"]).await;
    assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
}

#[tokio::test]
async fn commands_that_cannot_be_meant() {
    let world = World::embedded("errors");
    world.script(SHOP).await;
    world.document("brand", BRAND);
    for early in [
        &["status"][..],
        &["wait"],
        &["verify"],
        &["failures"],
        &["publish", "brand"],
        &["resync", "--all"],
    ] {
        let output = world.pubsync_exits(3, early).await;
        assert_in_order(
            &output.stderr,
            &[
                "pubsync: database: ",
                "no such table",
                "; a table is missing, or is not as pubsync knows it: run `pubsync apply` first\n",
            ],
        );
    }
    world.pubsync(&["apply", "--yes"]).await;
    // Nobody works on it.
    for (command, label) in [
        (&["publish", "brand", "--wait", "--timeout", "0"][..], "publish"),
        (&["resync", "--all", "--wait", "--timeout", "0"], "resync"),
    ] {
        let output = world.pubsync_exits(5, command).await;
        let told = format!("pubsync: {label} goes on after 0 s; `pubsync status` shows how far it is\n");
        assert!(output.stderr.ends_with(&told), "{}", output.stderr);
    }
    for (command, told) in [
        (
            &["publish", "nosuch"][..],
            "pubsync: document \"nosuch\" is not defined; there are: brand\n",
        ),
        (
            &["resync", "nosuch"],
            "pubsync: document \"nosuch\" is not defined; there are: brand\n",
        ),
        (
            &["verify", "nosuch"],
            "pubsync: document \"nosuch\" is not defined; there are: brand\n",
        ),
        (
            &["resync", "--all", "--target", "nosuch"],
            "pubsync: no target \"nosuch\" in the configuration; there are: local\n",
        ),
        (
            &["resync", "--all", "--since", "2w"],
            "pubsync: --since 2w: write a number with s, m, h or d, such as 2h\n",
        ),
        (
            &["run", "publisher"],
            "pubsync: an embedded broker lives in one process: run all roles together, or set `broker: amqp://…`\n",
        ),
        (
            &["apply"],
            "pubsync: apply asks before it changes anything: give --yes where nobody can answer\n",
        ),
        (
            &["failures", "retry"],
            "pubsync: which failures? Give their numbers (`pubsync failures ls --all` shows them), --document, --target, --class, or --all\n",
        ),
        (
            &["failures", "show", "999"],
            "pubsync: no failure 999: it has succeeded since or was dropped; `pubsync failures ls --all` shows those that are open\n",
        ),
        (
            &["failures", "drop", "--all"],
            "pubsync: drop asks before it forgets anything: give --yes where nobody can answer\n",
        ),
        (
            &["pause", "--document", "brand", "--reason", " "],
            "pubsync: --reason: say why, for those who look at `pubsync status`\n",
        ),
    ] {
        let output = world.pubsync_exits(2, command).await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", told));
    }
    for command in [
        &["run", "janitor"][..],
        &["publish"],
        &["publish", "brand", "--all"],
        &["nonsense"],
    ] {
        world.pubsync_exits(2, command).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_do_not_answer_or_refuse() {
    let world = World::postgres("errors").await;
    world
        .script("CREATE TABLE brand (id bigint PRIMARY KEY, name text)")
        .await;
    world.document("brand", BRAND);
    let services = world.services().clone();
    let config = std::fs::read_to_string(world.folder().join("pubsync.yaml")).expect("pubsync.yaml");
    for (service, url, setting) in [
        ("database postgres://", services.postgres_database(""), "database"),
        ("broker amqp://", services.virtual_host(""), "broker"),
        (
            "target storage at redis://",
            services.redis.clone(),
            "targets.storage",
        ),
        (
            "target search at http://",
            services.opensearch.clone(),
            "targets.search",
        ),
    ] {
        let address = address(&url);
        let elsewhere = format!("127.0.0.1:{}", free_port());
        world.write("other.yaml", &config.replace(&address, &elsewhere));
        let output = world.with_config("other.yaml", 4, &["apply", "--yes"]).await;
        let hint = format!("check that it runs, and `{setting}` in the configuration");
        assert_in_order(
            &output.stderr,
            &["pubsync: ", service, &elsewhere, "Connection refused", &hint],
        );
        assert_no_password(&output, &config);
    }
    for (service, url, setting) in [
        (
            "database postgres://",
            services.postgres_database(""),
            "`database`",
        ),
        ("broker amqp://", services.virtual_host(""), "`broker`"),
        (
            "target storage at redis://",
            services.redis.clone(),
            "`targets.storage`",
        ),
    ] {
        let (login, address) = (login(&url), address(&url));
        let wrong = match login.split_once(':') {
            Some((user, _)) => format!("{user}:hunter2"),
            None => panic!("{url} has no password"),
        };
        world.write(
            "other.yaml",
            &config.replace(&format!("{login}@{address}"), &format!("{wrong}@{address}")),
        );
        let output = world.with_config("other.yaml", 4, &["apply", "--yes"]).await;
        assert_in_order(
            &output.stderr,
            &["pubsync: ", service, &address, "assword", setting],
        );
        assert_no_password(&output, &config);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}

/// `host:port` of a URL.
fn address(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let rest = rest.split(['/', '?']).next().expect("an authority");
    rest.rsplit('@').next().expect("a host").to_owned()
}

/// `user:password` of a URL.
fn login(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    rest.rsplit_once('@').expect("a login").0.to_owned()
}

/// Also not as part of a URL: the services' passwords are words that stand in ordinary text too.
fn assert_no_password(output: &Output, config: &str) {
    let logins = config.split("://").skip(1).filter_map(|rest| {
        let authority = rest.split(['/', '"', '\n']).next()?;
        Some(authority.rsplit_once('@')?.0.to_owned())
    });
    for login in logins {
        let (_, password) = login.split_once(':').expect("user and password");
        for text in [&output.stdout, &output.stderr] {
            assert!(!text.contains(&format!(":{password}@")), "{text}");
        }
    }
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?} (in this order) in:\n{text}")
        };
        rest = after;
    }
}
