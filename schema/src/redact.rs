//! Takes passwords out of what people and logs see. Hides too much rather than too little.

use serde_json::Value;

const HIDDEN: &str = "***";

/// `scheme://user:password@host?password=x` without both passwords; other text as it is.
#[must_use]
pub fn url(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None if text.starts_with("sqlite:") => return text.to_owned(),
        None => ("", text),
    };
    format!("{scheme}{}", parameters(&login(rest)))
}

/// All texts inside, redacted.
#[must_use]
pub fn json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(url(&text)),
        Value::Array(items) => items.into_iter().map(json).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, json(member)))
            .collect(),
        other => other,
    }
}

/// Up to the last `@`, wherever it stands: a password with a bare `/` or `@` in it is no valid URL, and must not show
/// all the same.
fn login(rest: &str) -> String {
    let hidden = rest.rsplit_once('@').and_then(|(login, host)| {
        let (user, _) = login.split_once(':')?;
        Some(format!("{user}:{HIDDEN}@{host}"))
    });
    hidden.unwrap_or_else(|| rest.to_owned())
}

fn parameters(rest: &str) -> String {
    let Some((address, query)) = rest.split_once('?') else {
        return rest.to_owned();
    };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    format!("{address}?{}", shown.collect::<Vec<_>>().join("&"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token", "key"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            (
                "postgres://shop:s3cret@db:5432/shop",
                "postgres://shop:***@db:5432/shop",
            ),
            ("postgres://u:s3/cr?et@db/x", "postgres://u:***@db/x"),
            (
                "postgres://u:p@h/x?sslmode=require&sslpassword=s3cret",
                "postgres://u:***@h/x?sslmode=require&sslpassword=***",
            ),
            (
                "postgres://h/x?user=u&PASSWORD=s3cret",
                "postgres://h/x?user=u&PASSWORD=***",
            ),
            ("redis://:s3@cret@host/0", "redis://:***@host/0"),
            ("redis://:s3/cr@et@h", "redis://:***@h"),
            ("redis-cluster://:s3cret@a:1,b:2", "redis-cluster://:***@a:1,b:2"),
            ("anna:s3cret@h:1", "anna:***@h:1"),
            ("amqp://localhost/%2f", "amqp://localhost/%2f"),
            ("http://anna@h:1", "http://anna@h:1"),
            ("sqlite:shop@home:1.db", "sqlite:shop@home:1.db"),
            ("documents", "documents"),
        ] {
            assert_eq!(url(text), shown);
        }
        let config = serde_json::json!({ "a": ["x://u:p@h", 1], "b": { "c": "y" } });
        let shown = serde_json::json!({ "a": ["x://u:***@h", 1], "b": { "c": "y" } });
        assert_eq!(json(config), shown);
    }
}
