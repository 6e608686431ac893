//! Takes passwords out of what people and logs see. Hides too much rather than too little.

use serde_json::Value;

const HIDDEN: &str = "***";

/// All texts inside, redacted.
pub fn value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(self::text(&text)),
        Value::Array(items) => items.into_iter().map(self::value).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, self::value(member)))
            .collect(),
        other => other,
    }
}

/// `scheme://user:password@host?password=x` without both passwords; other text as it is.
pub fn text(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", parameters(&user(rest))),
        None => text.to_owned(),
    }
}

/// Up to the last `@`, because a password may hold any character unencoded.
fn user(rest: &str) -> String {
    match rest.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    }
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
