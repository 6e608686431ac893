//! What the keys at the top of a file become.

use pubsync_schema::shape::KeyPart;

use super::render::aliases;
use super::*;
use crate::language::alias_patterns;

/// A document over `product` with these lines at its top.
fn with(lines: &str) -> Document {
    good(&format!("{}{lines}\n", product("id: id")))
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
