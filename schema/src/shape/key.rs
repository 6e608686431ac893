//! Keys: the template that makes them, and how one is read back.

use serde::{Deserialize, Serialize};

/// A key template with its columns taken out: tells which keys of a target are this document's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPattern(pub Vec<KeyPart>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPart {
    Literal(String),
    /// The encoded value of a column, which is named as the template reaches it: `root.id`, `store.code`. Holds the
    /// character that follows it in the template at most as a digit of an escape, and none of `:{}`, white space or
    /// control characters.
    Value(String),
}

impl KeyPattern {
    /// Whether this document could have made the key.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        self.split(key).is_some()
    }

    /// The value that a column has in a key; `None` where the template does not name the column, or another document
    /// made the key.
    #[must_use]
    pub fn value(&self, key: &str, column: &str) -> Option<String> {
        let (_, encoded) = self.split(key)?.into_iter().find(|(name, _)| *name == column)?;
        Some(decode_key_value(encoded))
    }

    /// Columns whose values stand in every key, in the order of the template.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            KeyPart::Literal(_) => None,
            KeyPart::Value(column) => Some(column.as_str()),
        })
    }

    /// Columns and their encoded values; `None` where this document could not have made the key. An encoded value ends
    /// where its next literal begins, so there is one way to read a key.
    fn split<'a>(&'a self, key: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut rest = key;
        let mut values = Vec::new();
        for (i, part) in self.0.iter().enumerate() {
            match part {
                KeyPart::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                KeyPart::Value(column) => {
                    let stop = follows(&self.0, i);
                    let end = encoded_end(rest, stop);
                    values.push((column.as_str(), &rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    /// The literal text before the first value.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.0.first() {
            Some(KeyPart::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether some key could be made by both. Conservative: says yes where it cannot rule it out.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        overlap(steps(&self.0, never_inside), steps(&other.0, never_inside))
    }
}

/// Characters that stand in a key as they are; the others are percent-encoded.
#[must_use]
pub fn in_encoded_value(c: char) -> bool {
    !(matches!(c, ':' | '{' | '}') || c.is_whitespace() || c.is_control())
}

/// Where an encoded value ends that stands at the beginning. What is encoded may hold the character that ends it (`%0A`,
/// then a literal `A`). No template has a `%` after a value.
fn encoded_end(text: &str, stop: Option<char>) -> usize {
    let mut encoded = 0;
    let ends = |c: char| {
        if encoded > 0 {
            encoded -= 1;
            return false;
        }
        if c == '%' {
            encoded = 2;
        }
        Some(c) == stop || !in_encoded_value(c)
    };
    text.find(ends).unwrap_or(text.len())
}

/// Percent-encodes a value for a key, as UTF-8 bytes: `%`, `:`, `{`, `}`, white space, control characters and the
/// character that follows the value in its template. So different ids never share a key.
pub fn encode_key_value(value: &str, follows: Option<char>, into: &mut String) {
    use std::fmt::Write as _;
    for c in value.chars() {
        if c == '%' || Some(c) == follows || !in_encoded_value(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(into, "%{byte:02X}");
            }
        } else {
            into.push(c);
        }
    }
}

/// Undoes [`encode_key_value`].
fn decode_key_value(encoded: &str) -> String {
    let hex = |at: usize| {
        let digits = encoded.get(at + 1..at + 3)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(&byte) = encoded.as_bytes().get(at) {
        match hex(at).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                at += 3;
            }
            None => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The character that ends the value at this place of a template.
fn follows(parts: &[KeyPart], i: usize) -> Option<char> {
    match parts.get(i + 1) {
        Some(KeyPart::Literal(text)) => text.chars().next(),
        _ => None,
    }
}

/// As [`follows`]; `None` for what an encoded value may hold all the same, as a digit of an escape.
fn never_inside(parts: &[KeyPart], i: usize) -> Option<char> {
    follows(parts, i).filter(|c| !matches!(c, '0'..='9' | 'A'..='F'))
}

/// Whether two patterns can give one text: walks both as small automata over characters, a value standing for any
/// run of characters that an encoded value may hold.
pub(super) fn overlap(a: Vec<Step>, b: Vec<Step>) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        match (a.get(i), b.get(j)) {
            (None, None) => return true,
            (Some(Step::Char(x)), Some(Step::Char(y))) => {
                if x == y {
                    open.push((i + 1, j + 1));
                }
            }
            (Some(Step::Run(stop)), other) => {
                open.push((i + 1, j));
                match other {
                    Some(Step::Char(y)) if in_encoded_value(*y) && *stop != Some(*y) => open.push((i, j + 1)),
                    Some(Step::Run(_)) => open.push((i, j + 1)),
                    _ => {}
                }
            }
            (other, Some(Step::Run(stop))) => {
                open.push((i, j + 1));
                if let Some(Step::Char(x)) = other
                    && in_encoded_value(*x)
                    && *stop != Some(*x)
                {
                    open.push((i + 1, j));
                }
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
    false
}

/// A pattern as an automaton sees it.
pub(super) enum Step {
    Char(char),
    /// Any characters of an encoded value but this one.
    Run(Option<char>),
}

/// `stop`: the character that ends the value at this place.
pub(super) fn steps(parts: &[KeyPart], stop: fn(&[KeyPart], usize) -> Option<char>) -> Vec<Step> {
    let mut out = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        match part {
            KeyPart::Literal(text) => out.extend(text.chars().map(Step::Char)),
            KeyPart::Value(_) => out.push(Step::Run(stop(parts, i))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(template: &str) -> KeyPattern {
        let mut parts = Vec::new();
        for piece in template.split_inclusive(['<', '>']) {
            match piece.strip_suffix('>') {
                Some(column) => parts.push(KeyPart::Value(column.to_owned())),
                None => {
                    let text = piece.trim_end_matches('<');
                    if !text.is_empty() {
                        parts.push(KeyPart::Literal(text.to_owned()));
                    }
                }
            }
        }
        KeyPattern(parts)
    }

    #[test]
    fn matches_only_its_own_keys() {
        let p = pattern("product:<s>:<l>:<id>");
        assert!(p.matches("product:DE:de_DE:7"));
        assert!(p.matches("product:DE:de%3ADE:7"));
        assert!(!p.matches("product:DE:7"));
        assert!(!p.matches("product:DE:de_DE:7:more"));
        assert!(!p.matches("price:DE:de_DE:7"));
        assert!(pattern("a-<x>-b").matches("a-1-b"));
        assert!(!pattern("a-<x>-b").matches("a-1-2-b"));
    }

    #[test]
    fn collisions_are_seen() {
        assert!(pattern("p:<id>").collides(&pattern("p:<id>")));
        assert!(pattern("p:<id>").collides(&pattern("p:x<id>")));
        assert!(!pattern("p:<id>").collides(&pattern("q:<id>")));
        assert!(!pattern("p:<id>").collides(&pattern("p:<id>:x")));
        assert!(pattern("<a>").collides(&pattern("p<b>")));
        assert!(!pattern("p:<a>:<b>").collides(&pattern("p:<b>")));
        // `%0A` is a line break, and no end of a value that `A` ends: both make `p:x%0AAy`.
        assert!(pattern("p:<a>A<b>").collides(&pattern("p:x%0AAy")));
    }

    #[test]
    fn encoding_is_injective_around_separators() {
        let mut out = String::new();
        encode_key_value("a:b %{}é\n", None, &mut out);
        assert_eq!(out, "a%3Ab%20%25%7B%7Dé%0A");
        let mut out = String::new();
        encode_key_value("a-b", Some('-'), &mut out);
        assert_eq!(out, "a%2Db");
    }

    #[test]
    fn a_key_tells_the_values_of_its_columns() {
        let p = pattern("product:<store.code>:<root.id>");
        for value in ["DE", "a:b %{}é\n", "%41", "100%", ""] {
            let mut key = "product:".to_owned();
            encode_key_value(value, Some(':'), &mut key);
            key.push_str(":7");
            assert_eq!(p.value(&key, "store.code").as_deref(), Some(value), "{key}");
            assert_eq!(p.value(&key, "root.id").as_deref(), Some("7"), "{key}");
        }
        for stop in ['0', 'A', 'F', '5'] {
            let p = pattern(&format!("<x>{stop}<y>"));
            let mut key = String::new();
            encode_key_value("0A\n%F5/", Some(stop), &mut key);
            key.push(stop);
            encode_key_value("A5", None, &mut key);
            let values = ["x", "y"].map(|column| p.value(&key, column));
            assert_eq!(
                values,
                [Some("0A\n%F5/".to_owned()), Some("A5".to_owned())],
                "{key}"
            );
        }
        assert_eq!(p.value("product:DE:7", "store.name"), None);
        assert_eq!(p.value("price:DE:7", "store.code"), None);
        assert_eq!(p.columns().collect::<Vec<_>>(), ["store.code", "root.id"]);
        let mut key = String::new();
        encode_key_value("ä-b", Some('-'), &mut key);
        assert_eq!(
            pattern("<x>-<y>").value(&(key + "-2"), "x").as_deref(),
            Some("ä-b")
        );
    }
}
