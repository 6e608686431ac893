//! JSON that keeps the exact text of every value.

use serde_json::value::RawValue;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    Null,
    /// JSON text: a number, a string, what a JSON column holds.
    Text(String),
    Array(Vec<Out>),
    Object(Vec<(String, Out)>),
}

impl Out {
    pub fn string(text: &str) -> Self {
        Self::Text(serde_json::to_string(text).expect("JSON of a text"))
    }

    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text == "null",
            Self::Array(_) | Self::Object(_) => false,
        }
    }

    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Text(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    Self::string(name).write(out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// What a JSON column holds, taken apart one level; everything else as it is.
    pub fn opened(self) -> Self {
        let Self::Text(text) = &self else { return self };
        let raw = |value: &RawValue| Self::Text(value.get().to_owned());
        match text.trim_start().chars().next() {
            Some('[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).expect("JSON");
                Self::Array(items.into_iter().map(raw).collect())
            }
            Some('{') => {
                let mut members = Vec::new();
                for (name, value) in crate::Json::members(text).expect("JSON") {
                    set(&mut members, name, raw(value));
                }
                Self::Object(members)
            }
            _ => self,
        }
    }
}

/// A later value takes the place of an earlier one.
pub fn set(members: &mut Vec<(String, Out)>, name: String, value: Out) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some(member) => member.1 = value,
        None => members.push((name, value)),
    }
}
