//! Names of indexes. Readers use an alias, `product`, or one for each value of the columns in it, `product-de_de`. Behind
//! it stands a hidden index with a number, `product~1`, with a hidden alias for writers, `product~1~write`: bulk requests
//! ask for an alias, so that none makes an index by itself. Hidden, because a search in `product-*` must not meet an index
//! that is being filled.

use pubsync_schema::shape::{Collection, KeyPart};
use std::fmt::Write as _;

/// Longest name of an index in bytes.
const MAX_NAME: usize = 255;

/// Where documents stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// For readers.
    pub alias: String,
    pub index: String,
    /// For writers.
    pub write: String,
}

impl Place {
    pub fn new(alias: String, number: i64) -> Self {
        let index = format!("{alias}~{number}");
        Self {
            write: format!("{index}~write"),
            alias,
            index,
        }
    }

    /// The only place of a collection whose alias names no column.
    pub fn fixed(prefix: &str, of: &Collection) -> Option<Self> {
        let alias = of.index.fixed()?;
        Some(Self::new(format!("{prefix}{alias}"), of.number))
    }

    /// The place of a key; `None` where the key does not tell it, or the name would be too long.
    pub fn of(prefix: &str, of: &Collection, key: &str) -> Option<Self> {
        let alias = of
            .index
            .fill(|column| of.value(key, column).map(|value| encode(&value)))?;
        let place = Self::new(format!("{prefix}{alias}"), of.number);
        (place.write.len() <= MAX_NAME).then_some(place)
    }

    /// The place whose index this is.
    pub fn of_index(index: &str) -> Option<Self> {
        let (alias, number) = index.rsplit_once('~')?;
        Some(Self::new(alias.to_owned(), number.parse().ok()?))
    }
}

/// The number in the name of an index that stands behind this alias.
pub fn number(index: &str, alias: &str) -> Option<i64> {
    let place = Place::of_index(index)?;
    let number = index.rsplit_once('~')?.1.parse().ok()?;
    (place.alias == alias).then_some(number)
}

/// A pattern for all indexes of a collection; others may match it too.
pub fn pattern(prefix: &str, of: &Collection) -> String {
    let mut pattern = prefix.to_owned();
    for part in &of.index.0 {
        match part {
            KeyPart::Literal(text) => pattern.push_str(text),
            KeyPart::Value(_) => pattern.push('*'),
        }
    }
    format!("{pattern}~{}", of.number)
}

/// A value in the name of an index: in lower case, and what is no letter or digit of ASCII, `_`, `-` or `.` as `=` and
/// two hexadecimal digits a byte.
fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.to_lowercase().bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.') {
            out.push(byte.into());
        } else {
            let _ = write!(out, "={byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pubsync_schema::shape::{KeyPattern, Template};

    use super::*;

    fn collection() -> Collection {
        let literal = |text: &str| KeyPart::Literal(text.to_owned());
        let value = |column: &str| KeyPart::Value(column.to_owned());
        Collection {
            index: Template(vec![literal("product-"), value("locale.code")]),
            number: 2,
            ..Collection::new(
                "product",
                KeyPattern(vec![value("locale.code"), literal(":"), value("root.id")]),
            )
        }
    }

    #[test]
    fn a_key_tells_its_index() {
        let place = |key| Place::of("live-", &collection(), key);
        assert_eq!(
            place("de_DE:7"),
            Some(Place {
                alias: "live-product-de_de".to_owned(),
                index: "live-product-de_de~2".to_owned(),
                write: "live-product-de_de~2~write".to_owned(),
            })
        );
        assert_eq!(place("Ä%20~=:7").unwrap().alias, "live-product-=c3=a4=20=7e=3d");
        assert_eq!(place("other"), None);
        assert_eq!(place(&format!("{}:7", "x".repeat(240))), None);
        assert_eq!(pattern("live-", &collection()), "live-product-*~2");
    }

    #[test]
    fn an_index_tells_its_number() {
        assert_eq!(number("product~12", "product"), Some(12));
        for other in ["product", "product~x", "products~1", "product-1"] {
            assert_eq!(number(other, "product"), None, "{other}");
        }
    }
}
