//! What keys at the top of a file become.

use pubsync_schema::shape::KeyPart;

use super::render::aliases;
use super::*;
use crate::language::alias_patterns;

/// A document over `product` with these lines at its top.
fn with(lines: &str) -> Document {
    good(&format!("{}{lines}\n", product("id: id\nsku: sku")))
}

#[test]
fn aliases_are_templates_of_keys() {
    let document = with("aliases: [\"sku:{sku}\", \"token:{root.token}:x\"]");
    assert_eq!(aliases(&document), ["sku:<0.sku>", "token:<0.token>:x"]);
    let patterns = alias_patterns(&document);
    assert_eq!(
        patterns[0].0,
        [KeyPart::Literal("sku:".into()), KeyPart::Value("root.sku".into())]
    );
    assert!(patterns[1].matches("token:7:x") && !patterns[1].matches("token:7"));
}

#[test]
fn when_it_shows_and_what_stays() {
    let document = with(
        "visible: { from: created, until: root.day }\nunhashed: [sku]\ntombstone: [id, sku]\nabsent: keep\ncapture: manual",
    );
    let column = |name: &str| {
        let column = document.sources[0].table.column(name).unwrap();
        Some(crate::document::ColumnRef { source: 0, column })
    };
    let life = &document.life;
    assert_eq!((life.from, life.until), (column("created"), column("day")));
    assert_eq!((life.unhashed.len(), life.tombstone.len()), (1, 2));
    assert!(life.keeps_absent && life.manual && life.asks_for_all());

    let document = with("visible: { until: day }\nabsent: delete\ncapture: triggers");
    let life = &document.life;
    assert!(life.from.is_none() && life.until.is_some() && !life.keeps_absent && !life.manual);
    assert!(!with("unhashed: [sku]").life.asks_for_all());
}
