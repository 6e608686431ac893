//! JSON whose numbers keep their exact value: 19.90 equals 19.9, and 0.1 differs from 0.1000000000000000055.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value. Equality ignores the order of members and the spelling of numbers, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// `digits` × 10^`exponent`, without zeros at either end of the digits, so that equal values are equal here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Json {
    /// # Errors
    /// Text that is no JSON, or an object that names a member twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| format!("{error}: {}", shortened(text)))?;
        Self::from_raw(raw.get())
    }

    /// The members of an object as they stand in the text, with their unparsed values.
    ///
    /// # Errors
    /// Where the text is no object.
    pub fn members(text: &str) -> Result<Vec<(String, &RawValue)>, String> {
        serde_json::Deserializer::from_str(text)
            .deserialize_map(Members)
            .map_err(|error| format!("{error}: {}", shortened(text)))
    }

    pub(crate) fn object<'a>(
        members: impl IntoIterator<Item = (String, &'a RawValue)>,
    ) -> Result<Self, String> {
        let mut object = BTreeMap::new();
        for (name, value) in members {
            if object
                .insert(name.clone(), Self::from_raw(value.get())?)
                .is_some()
            {
                return Err(format!("an object has the member {name:?} twice"));
            }
        }
        Ok(Self::Object(object))
    }

    fn from_raw(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.as_bytes().first() {
            Some(b'{') => Self::object(Self::members(text)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
                items
                    .iter()
                    .map(|item| Self::from_raw(item.get()))
                    .collect::<Result<_, _>>()
                    .map(Self::Array)
            }
            Some(b'"') => serde_json::from_str(text)
                .map(Self::Text)
                .map_err(|error| error.to_string()),
            Some(b'n') => Ok(Self::Null),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            _ => Decimal::parse(text).map(Self::Number),
        }
    }

    /// The member of an object.
    #[must_use]
    pub fn get(&self, member: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(member),
            _ => None,
        }
    }

    /// Where `found` first differs from this value: a path and both sides.
    #[must_use]
    pub fn difference(&self, found: &Self) -> Option<String> {
        self.difference_at("$", found)
    }

    fn difference_at(&self, path: &str, found: &Self) -> Option<String> {
        match (self, found) {
            (Self::Object(expected), Self::Object(found)) => {
                let missing = expected.keys().find(|name| !found.contains_key(*name));
                if let Some(name) = missing {
                    return Some(format!("{path}.{name} is missing"));
                }
                if let Some(name) = found.keys().find(|name| !expected.contains_key(*name)) {
                    return Some(format!("{path}.{name} should not be there"));
                }
                expected
                    .iter()
                    .find_map(|(name, value)| value.difference_at(&format!("{path}.{name}"), &found[name]))
            }
            (Self::Array(expected), Self::Array(found)) => {
                let mut pairs = expected.iter().zip(found).enumerate();
                let inner = pairs.find_map(|(at, (e, f))| e.difference_at(&format!("{path}[{at}]"), f));
                inner.or_else(|| {
                    let lengths = (expected.len(), found.len());
                    (lengths.0 != lengths.1)
                        .then(|| format!("{path} has {} entries instead of {}", lengths.1, lengths.0))
                })
            }
            (expected, found) if expected == found => None,
            (expected, found) => {
                let (expected, found) = (expected.to_string(), found.to_string());
                Some(format!(
                    "{path} is {} instead of {}",
                    shortened(&found),
                    shortened(&expected)
                ))
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Array(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
            Self::Object(members) => f
                .debug_map()
                .entries(members.iter().map(|(k, v)| (k, Shown(v))))
                .finish(),
        }
    }
}

struct Shown<'a>(&'a Json);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

impl Decimal {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no JSON number");
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().map_err(|_| wrong())?;
        let (negative, mantissa) = mantissa
            .strip_prefix('-')
            .map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if whole.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let digits = all.trim_end_matches('0');
        let fraction = i64::try_from(fraction.len()).map_err(|_| wrong())?;
        let cut = i64::try_from(all.len() - digits.len()).map_err(|_| wrong())?;
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Self {
                negative: false,
                digits: "0".to_owned(),
                exponent: 0,
            });
        }
        Ok(Self {
            negative,
            digits: digits.to_owned(),
            exponent: exponent - fraction + cut,
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        match self.exponent {
            exponent @ 0..=20 => write!(
                f,
                "{sign}{}{}",
                self.digits,
                "0".repeat(usize::try_from(exponent).unwrap())
            ),
            exponent @ -20..0 => {
                let places = usize::try_from(-exponent).unwrap();
                let digits = format!("{:0>width$}", self.digits, width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                write!(f, "{sign}{whole}.{fraction}")
            }
            exponent => write!(f, "{sign}{}e{exponent}", self.digits),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    fn equal(left: &str, right: &str) -> bool {
        let (left, right) = (Json::parse(left).unwrap(), Json::parse(right).unwrap());
        assert_eq!(left == right, left.difference(&right).is_none());
        left == right
    }

    #[test]
    fn numbers_compare_by_decimal_value() {
        for (left, right) in [
            ("19.90", "19.9"),
            ("1e2", "100"),
            ("-0.0", "0"),
            ("1200", "12E+2"),
            ("0.010", "1e-2"),
            ("1.0", "1"),
        ] {
            assert!(equal(left, right), "{left} {right}");
        }
        for (left, right) in [
            ("0.1", "0.1000000000000000055"),
            ("9007199254740993", "9007199254740992"),
            ("1", "-1"),
            ("10", "1"),
            ("0.1", "0.01"),
            ("1", "\"1\""),
            ("0", "null"),
        ] {
            assert!(!equal(left, right), "{left} {right}");
        }
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        for (text, shown) in [
            ("-0.0500", "-0.05"),
            ("1200", "1200"),
            ("19.90", "19.9"),
            ("0e5", "0"),
            ("1e30", "1e30"),
        ] {
            assert_eq!(Json::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn members_have_no_order_and_entries_have() {
        assert!(equal(
            r#"{"a":1,"b":[1,2]}"#,
            r#" { "b" : [ 1.0, 2 ], "a" : 1 } "#
        ));
        assert!(!equal(r#"[1,2]"#, r#"[2,1]"#));
        assert!(!equal(r#"[1]"#, r#"[1,1]"#));
        assert!(!equal(r#"{"a":null}"#, r#"{}"#));
        assert!(equal(r#""\u00e9\n""#, "\"é\\n\""));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "{\"a\":1,\"a\":1}",
            "[1",
            "NaN",
            "",
            "1 2",
            "{\"b\":{\"a\":1,\"a\":2}}",
        ] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_difference_names_its_path() {
        let expected = Json::parse(r#"{"a":[{"b":1.50}]}"#).unwrap();
        let found = Json::parse(r#"{"a":[{"b":2}]}"#).unwrap();
        assert_eq!(
            expected.difference(&found).as_deref(),
            Some("$.a[0].b is 2 instead of 1.5")
        );
    }
}
