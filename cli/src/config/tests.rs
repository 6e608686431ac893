//! What the configuration accepts, refuses, and says about it.

use super::*;

const GOOD: &str = "\
database: postgres://shop@localhost/shop
broker: amqp://localhost
targets:
  storage: { kind: redis, url: \"redis://localhost:6379/0\" }
";

/// Loads `text` as `pubsync.yaml`; errors name the file without its folder.
fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("pubsync-config-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pubsync.yaml");
    std::fs::write(&file, text).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let loaded = Config::load_with(Some(&file), &environment);
    std::fs::remove_dir_all(&folder).unwrap();
    let inside = format!("{}/", folder.display());
    loaded
        .map_err(|error| error.to_string().replace(&inside, ""))
        .map(|mut config| {
            let strip = |path: &mut PathBuf| *path = path.strip_prefix(&folder).unwrap_or(path).to_owned();
            strip(&mut config.documents);
            if let Database::Sqlite { path } = &mut config.database {
                strip(path);
            }
            config
        })
}

fn error(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment)
        .map(|config| format!("no error: {config:?}"))
        .unwrap_or_else(|error| error)
}

fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

#[test]
fn defaults_are_as_documented() {
    let config = load(GOOD, &[]).unwrap();
    assert_eq!(config.name, "pubsync");
    assert_eq!(
        config.database,
        Database::Postgres {
            url: "postgres://shop@localhost/shop".into()
        }
    );
    assert_eq!(
        config.broker,
        Broker::RabbitMq {
            url: "amqp://localhost".into()
        }
    );
    assert_eq!(config.documents, PathBuf::from("documents"));
    assert_eq!(
        config.targets,
        BTreeMap::from([(
            "storage".to_owned(),
            TargetConfig::Redis {
                url: "redis://localhost:6379/0".into(),
                prefix: String::new()
            }
        )])
    );
    assert_eq!((config.sync, config.inline_limit), (SyncMode::Queue, 262_144));
    assert_eq!(
        config.relay,
        RelayConfig {
            batch: 500,
            resend_after: 60
        }
    );
    assert_eq!(
        config.publisher,
        PublisherConfig {
            concurrency: 4,
            batch: 100
        }
    );
    assert_eq!(config.synchronizer, SynchronizerConfig { concurrency: 4 });
}

#[test]
fn environment_goes_over_the_file() {
    let config = load(
        &with("relay: { resend_after: 30 }"),
        &[
            ("PUBSYNC_DATABASE", "sqlite:other.db"),
            ("PUBSYNC_BROKER", "embedded"),
            ("PUBSYNC_RELAY__RESEND_AFTER", "7"),
            ("PUBSYNC_INLINE_LIMIT", "0"),
            ("PUBSYNC_SYNC", "direct"),
            ("PUBSYNC_TARGETS__STORAGE__PREFIX", "123456"),
            ("PUBSYNC_TARGETS__SEARCH__KIND", "opensearch"),
            ("PUBSYNC_TARGETS__SEARCH__URL", "http://localhost:9200"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.database,
        Database::Sqlite {
            path: "other.db".into()
        }
    );
    assert_eq!(config.broker, Broker::Embedded);
    assert_eq!((config.relay.resend_after, config.relay.batch), (7, 500));
    assert_eq!((config.inline_limit, config.sync), (0, SyncMode::Direct));
    let (url, prefix) = ("redis://localhost:6379/0".to_owned(), "123456".to_owned());
    assert_eq!(config.targets["storage"], TargetConfig::Redis { url, prefix });
    let (url, prefix) = ("http://localhost:9200".to_owned(), String::new());
    assert_eq!(config.targets["search"], TargetConfig::Opensearch { url, prefix });
}

#[test]
fn environment_reaches_targets_with_dashes_and_capitals() {
    let text = GOOD.replace("storage:", "Redis-DE:");
    let config = load(&text, &[("PUBSYNC_TARGETS__REDIS_DE__URL", "redis://de")]).unwrap();
    assert_eq!(config.targets.len(), 1);
    assert_eq!(
        config.targets["Redis-DE"],
        TargetConfig::Redis {
            url: "redis://de".into(),
            prefix: String::new()
        }
    );
}

#[test]
fn variables_of_others_are_no_settings() {
    let others = [
        ("PUBSYNC_TEST_POSTGRES", "x"),
        ("PUBSYNC_SERVICES_DIR", "x"),
        ("PUBSYNC_SERVICES_SET", "1"),
        ("PUBSYNC_CONFIG", "x"),
        ("PUBSYNC_DATASETS", "x"),
        ("PUBSYNC_LOG", "debug"),
        ("PUBSYNC_SERVICE_HOST", "10.0.0.1"),
        ("PUBSYNC_SERVICE_PORT_METRICS", "9090"),
        ("PUBSYNC_PORT", "tcp://10.0.0.1:9090"),
        ("PUBSYNC_CONSOLE_PORT_9090_TCP_ADDR", "10.0.0.1"),
        ("NAME", "x"),
    ];
    assert_eq!(load(GOOD, &others), load(GOOD, &[]));
}

#[test]
fn variables_in_values_are_replaced_as_text() {
    let text = GOOD
        .replace("shop@", "shop:${DB_PASSWORD}@")
        .replace("redis://", "redis://:${R}$${R}@");
    let config = load(&text, &[("DB_PASSWORD", "a'b\": 1"), ("R", "123")]).unwrap();
    assert_eq!(
        config.database,
        Database::Postgres {
            url: "postgres://shop:a'b\": 1@localhost/shop".into()
        }
    );
    let url = "redis://:123${R}@localhost:6379/0".into();
    assert_eq!(
        config.targets["storage"],
        TargetConfig::Redis {
            url,
            prefix: String::new()
        }
    );

    let limit = with("inline_limit: ${LIMIT}");
    assert_eq!(load(&limit, &[("LIMIT", "1000")]).unwrap().inline_limit, 1000);
    // Not needed where the environment says it anyway.
    assert!(load(&limit, &[("PUBSYNC_INLINE_LIMIT", "5")]).is_ok());
    assert_eq!(
        error(&limit, &[]),
        "pubsync.yaml:5:1: `inline_limit`: environment variable LIMIT is not set"
    );
    assert_eq!(
        error(&with("name: ${A:-b}"), &[]),
        "pubsync.yaml:5:1: `name`: only `${NAME}` and `${file:PATH}` are understood; write `$${` for the characters themselves"
    );
    assert_eq!(
        error(&with("name: a${B"), &[]),
        "pubsync.yaml:5:1: `name`: `${` without `}`; write `$${` for the characters themselves"
    );
}

#[test]
fn unknown_settings_are_refused_with_a_suggestion() {
    assert_eq!(
        error(&with("document: here"), &[]),
        "pubsync.yaml:5:1: unknown setting `document`; did you mean `documents`?"
    );
    assert_eq!(
        error(&with("relay:\n  resend_afer: 9"), &[]),
        "pubsync.yaml:6:3: unknown setting `relay.resend_afer`; did you mean `resend_after`?"
    );
    assert_eq!(
        error(&with("relay: { zzz: 9 }"), &[]),
        "pubsync.yaml:5:10: unknown setting `relay.zzz`; known are batch, resend_after"
    );
    assert_eq!(
        error(GOOD, &[("PUBSYNC_RELAY__BACH", "1")]),
        "environment variable PUBSYNC_RELAY__BACH: unknown setting `relay.bach`; did you mean `batch`?"
    );
    assert_eq!(
        error(&GOOD.replace(", url", ", prefx: x, url"), &[]),
        "pubsync.yaml:4:27: unknown setting `targets.storage.prefx`; did you mean `prefix`?"
    );
}

#[test]
fn wrong_values_are_refused_where_they_stand_and_not_repeated() {
    let database = |url: &str| GOOD.replace("postgres://shop@localhost/shop", url);
    for (text, expected) in [
        (
            database("mysql://root:secret@x/y"),
            "pubsync.yaml:1:1: `database` must be postgres://… or sqlite:path",
        ),
        (
            database("123456"),
            "pubsync.yaml:1:1: `database` must be a string; write it in quotes",
        ),
        (
            database("'sqlite::memory:'"),
            "pubsync.yaml:1:1: `database` must name a file after sqlite:, because other processes open it too",
        ),
        (
            database("sqlite://shop.db?mode=ro"),
            "pubsync.yaml:1:1: `database` must be a plain path after sqlite:, without parameters",
        ),
        (
            GOOD.replace("amqp:", "ampq:"),
            "pubsync.yaml:2:1: `broker` must be amqp://… or embedded",
        ),
        (
            GOOD.replace("amqp:", "amqps:"),
            "pubsync.yaml:2:1: `broker` must be amqp://… : this build speaks no TLS to brokers; put a tunnel before it",
        ),
        (
            GOOD.replace("kind: redis", "kind: rediss"),
            "pubsync.yaml:4:14: `targets.storage.kind` cannot be `rediss`; did you mean `redis`?",
        ),
        (
            GOOD.replace("kind: redis, ", ""),
            "pubsync.yaml:4:3: `targets.storage.kind` is missing",
        ),
        (
            GOOD.replace("database", "# database"),
            "pubsync.yaml: `database` is missing",
        ),
        (
            with("sync: later"),
            "pubsync.yaml:5:1: `sync` cannot be `later`; known are queue, direct",
        ),
        (
            with("publisher: { batch: 0 }"),
            "pubsync.yaml:5:14: `publisher.batch` must be a whole number from 1",
        ),
        (
            with("inline_limit: -1"),
            "pubsync.yaml:5:1: `inline_limit` must be a whole number from 0",
        ),
        (
            with("inline_limit: 1.5"),
            "pubsync.yaml:5:1: `inline_limit` must be a whole number from 0",
        ),
        (
            with("name: My Shop"),
            "pubsync.yaml:5:1: `name` must be lower-case letters, digits and _, start with a letter, and have at most \
             30 of them",
        ),
        (
            with("name: public"),
            "pubsync.yaml:5:1: `name` must be a schema of pubsync's own",
        ),
        (
            GOOD.replace("storage", "my.storage"),
            "pubsync.yaml:4:3: `targets.my.storage` must be a name of letters, digits, _ and -",
        ),
        ("- a\n".to_owned(), "pubsync.yaml: must be a map of settings"),
        (String::new(), "pubsync.yaml: must be a map of settings"),
    ] {
        assert_eq!(error(&text, &[]), expected);
    }
    assert_eq!(
        error(GOOD, &[("PUBSYNC_INLINE_LIMIT", "hunter2")]),
        "environment variable PUBSYNC_INLINE_LIMIT: `inline_limit` must be a whole number from 0"
    );
}

#[test]
fn broken_yaml_names_line_and_column() {
    assert_eq!(
        error(&with("name: a\nname: b"), &[]),
        "pubsync.yaml:6:1: `name` stands here twice"
    );
    assert_eq!(
        error("database: a: b\n", &[]),
        "pubsync.yaml:1:12: mapping values are not allowed in this context"
    );
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error =
        Config::load_with(Some(Path::new("/nowhere/pubsync.yaml")), &Environment::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nowhere/pubsync.yaml: no such file; name another with --config, or write a first one with `pubsync init --database URL TABLE`"
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
    let embedded = example.join("pubsync.embedded.yaml");
    let config = Config::load_with(Some(&embedded), &Environment::default()).unwrap();
    assert_eq!(
        config.database,
        Database::Sqlite {
            path: example.join("shop.db")
        }
    );
    assert_eq!(config.documents, example.join("documents"));
    assert_eq!(
        config.targets["storage"],
        TargetConfig::Local {
            path: example.join("store.db")
        }
    );
    assert_eq!(
        config.database.url(),
        format!("sqlite://{}?mode=rwc", example.join("shop.db").display())
    );
    let variable = [(
        "PUBSYNC_CONFIG".to_owned(),
        embedded.to_string_lossy().into_owned(),
    )];
    assert_eq!(
        Config::load_with(None, &variable.into_iter().collect()).unwrap(),
        config
    );
}

#[test]
fn the_examples_load() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/pubsync.yaml");
    let config = Config::load_with(Some(&file), &Environment::default()).unwrap();
    assert_eq!(config.targets.keys().collect::<Vec<_>>(), ["search", "storage"]);
}

#[test]
fn no_password_is_shown() {
    let config = load(
        "name: shop
database: postgres://shop:p@ss?w:0rd@localhost/shop?sslmode=require&sslpassword=s3cret
broker: amqp://u:s3cret@localhost/%2f
targets:
  storage: { kind: redis, url: 'redis://:s3cret@localhost/0' }
  search: { kind: opensearch, url: 'http://localhost:9200' }
",
        &[],
    )
    .unwrap();
    assert_eq!(
        config.redacted(),
        serde_json::json!({
            "name": "shop",
            "database": "postgres://shop:***@localhost/shop?sslmode=require&sslpassword=***",
            "broker": "amqp://u:***@localhost/%2f",
            "documents": "documents",
            "targets": {
                "search": { "kind": "opensearch", "url": "http://localhost:9200", "prefix": "" },
                "storage": { "kind": "redis", "url": "redis://:***@localhost/0", "prefix": "" },
            },
            "sync": "queue",
            "inline_limit": 262_144,
            "max_message": 16_777_216,
            "relay": { "batch": 500, "resend_after": 60 },
            "publisher": { "concurrency": 4, "batch": 100 },
            "synchronizer": { "concurrency": 4 },
            "keep": { "tombstones": 7, "runs": 30, "definitions": 365 },
        })
    );
    let shown = format!(
        "{config:?} {:?} {:?} {:?}",
        config.database, config.broker, config.targets
    );
    assert!(!shown.contains("s3cret") && !shown.contains("0rd"), "{shown}");
}

#[test]
fn listen_is_an_address_and_nowhere_by_default() {
    assert_eq!(load(GOOD, &[]).unwrap().listen, None);
    let config = load(&with("listen: 0.0.0.0:9464"), &[]).unwrap();
    assert_eq!(config.listen, "0.0.0.0:9464".parse().ok());
    let config = load(GOOD, &[("PUBSYNC_LISTEN", "127.0.0.1:9464")]).unwrap();
    assert_eq!(config.listen, "127.0.0.1:9464".parse().ok());
    let wrong = error(&with("listen: localhost"), &[]);
    assert_eq!(
        wrong,
        "pubsync.yaml:5:1: `listen` must be an IP address with a port, as in 127.0.0.1:9464"
    );
}

/// What the configuration itself says that it knows.
fn known(text: &str) -> Vec<String> {
    let problem = error(text, &[]);
    let (_, known) = problem.split_once("; known are ").unwrap();
    let mut known: Vec<String> = known.split(", ").map(str::to_owned).collect();
    known.sort();
    known
}

#[test]
fn the_json_schema_holds_every_setting_and_no_other() {
    let schema = json_schema();
    let settings = |pointer: &str| {
        let properties = schema.pointer(&format!("{pointer}/properties")).unwrap();
        let mut names: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(known(&with("zzzzzzzz: 1")), settings(""));
    for section in ["relay", "publisher", "synchronizer"] {
        let text = with(&format!("{section}: {{ zzzzzzzz: 1 }}"));
        assert_eq!(known(&text), settings(&format!("/properties/{section}")));
    }
    let kinds = known(&GOOD.replace("kind: redis", "kind: zzzzzzzz"));
    assert_eq!(kinds, ["local", "opensearch", "redis"]);
    for kind in kinds {
        let text = GOOD.replace("kind: redis", &format!("kind: {kind}, zzzzzzzz: 1"));
        let mut known = known(&text);
        known.push("kind".to_owned());
        known.sort();
        assert_eq!(known, settings(&format!("/$defs/{kind}")));
    }
}
