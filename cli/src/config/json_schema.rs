//! The JSON Schema of `pubsync.yaml`, for editors. A setting that the environment gives may be left out of the file, so
//! nothing is required at the top.

use serde_json::{Value as Json, json};

/// Draft 2020-12.
#[must_use]
pub fn json_schema() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of pubsync",
        "description": "Every setting may come from a PUBSYNC_… environment variable instead, and ${NAME} in a value from any.",
        "type": "object",
        "minProperties": 1,
        "properties": {
            "name": {
                "description": "Schema of pubsync's own tables, and prefix of its queues unless it is pubsync. Default pubsync.",
                "type": ["string", "null"],
                "pattern": r"^[a-z][a-z0-9_]{0,29}$|\$\{",
                "not": { "enum": ["public", "information_schema"] },
            },
            "database": {
                "description": "postgres://user:password@host:port/database, or sqlite:path. Sources and pubsync's tables share it.",
                "type": ["string", "null"],
                "pattern": r"^postgres://|^postgresql://|^sqlite:|\$\{",
            },
            "broker": {
                "description": "amqp://user:password@host:port/vhost, or embedded.",
                "type": ["string", "null"],
                "pattern": r"^amqp://|^embedded$|\$\{",
            },
            "documents": {
                "description": "Folder of document files, relative to this file. Default documents.",
                "type": ["string", "null"],
            },
            "targets": {
                "description": "Where documents go, by the name that they use.",
                "type": ["object", "null"],
                "propertyNames": { "pattern": "^[A-Za-z0-9_-]+$" },
                "additionalProperties": { "oneOf": [
                    { "$ref": "#/$defs/redis" },
                    { "$ref": "#/$defs/opensearch" },
                    { "$ref": "#/$defs/local" },
                ] },
            },
            "sync": {
                "description": "How writes reach targets where a document does not say: by queue (default), or directly from the publisher.",
                "anyOf": [{ "enum": ["queue", "direct", null] }, { "type": "string", "pattern": r"\$\{" }],
            },
            "inline_limit": number("Bytes. A larger body travels as a reference; 0: every body. Default 262144.", 0),
            "listen": {
                "description": "Where `run` serves health and metrics, without login: 127.0.0.1:9464. Nowhere where left out.",
                "type": ["string", "null"],
            },
            "relay": section("From the outbox to the queues.", json!({
                "batch": number("Outbox rows that one transaction takes. Default 500.", 1),
                "resend_after": number(
                    "Seconds after which a message that was sent and not settled is sent again. Default 60.",
                    1,
                ),
            })),
            "publisher": section("From changes to the mirror.", json!({
                "concurrency": number(
                    "Batches that one process works on at a time; each holds two database connections. Default 4.",
                    1,
                ),
                "batch": number("Roots that one transaction rebuilds. Default 100.", 1),
            })),
            "synchronizer": section("From the mirror to the targets.", json!({
                "concurrency": number("Batches that one process works on at a time. Default 4.", 1),
            })),
            "keep": section("How long pubsync's own tables hold what is done with, in days.", json!({
                "tombstones": number("Tombstones of the mirror. Default 7.", 1),
                "runs": number("Runs that have ended. Default 30.", 1),
                "definitions": number("Definitions that others have replaced. Default 365.", 1),
            })),
        },
        "additionalProperties": false,
        "$defs": {
            "redis": target("redis", "A Redis, or a cluster of them.", json!({
                "url": text("redis://[user][:password@]host:port/db, or redis-cluster://…host:port,host:port."),
                "prefix": text("Goes before every key."),
            })),
            "opensearch": target("opensearch", "An OpenSearch.", json!({
                "url": text("http://[user:password@]host:port."),
                "prefix": text("Goes before every index and alias."),
            })),
            "local": target("local", "One SQLite file.", json!({
                "path": text("The file, relative to this one; made where there is none."),
            })),
        },
    })
}

fn text(description: &str) -> Json {
    json!({ "description": description, "type": ["string", "null"] })
}

/// Digits in quotes are read too, and what a variable will hold.
fn number(description: &str, least: u64) -> Json {
    json!({
        "description": description,
        "anyOf": [
            { "type": "integer", "minimum": least },
            { "type": "string", "pattern": r"^[0-9]+$|\$\{" },
            { "type": "null" },
        ],
    })
}

fn section(description: &str, settings: Json) -> Json {
    json!({
        "description": description,
        "type": ["object", "null"],
        "properties": settings,
        "additionalProperties": false,
    })
}

fn target(kind: &str, description: &str, settings: Json) -> Json {
    let mut properties = json!({ "kind": { "description": description, "enum": [kind] } });
    if let (Json::Object(all), Json::Object(settings)) = (&mut properties, settings) {
        all.extend(settings);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": ["kind"],
        "additionalProperties": false,
    })
}
