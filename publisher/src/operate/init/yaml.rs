//! Just enough YAML to write documents: on one line where it fits, else indented.

use super::tables::written;

/// Longest line of a flow.
const WIDTH: usize = 110;

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    pub fn column(name: &str) -> Self {
        Self::Text(written::name(name))
    }

    pub fn object(parts: Vec<(&str, Self)>) -> Self {
        let own = parts.into_iter().map(|(key, value)| (key.to_owned(), value));
        Self::Map(own.collect())
    }

    pub fn one_or_list(mut nodes: Vec<Self>) -> Self {
        match nodes.len() {
            1 => nodes.remove(0),
            _ => Self::List(nodes),
        }
    }

    /// `key: …`, with its line end.
    pub fn write_member(&self, key: &str, depth: usize, out: &mut String) {
        let start = format!("{}{}:", "  ".repeat(depth), plain(key));
        let flow = format!("{start} {}", self.flow());
        match self {
            Self::Map(members) if flow.chars().count() > WIDTH => {
                out.push_str(&start);
                out.push('\n');
                for (key, value) in members {
                    value.write_member(key, depth + 1, out);
                }
            }
            _ => {
                out.push_str(&flow);
                out.push('\n');
            }
        }
    }

    fn flow(&self) -> String {
        match self {
            Self::Text(text) => plain(text),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::flow).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(members) => {
                let member = |(key, value): &(String, Self)| format!("{}: {}", plain(key), value.flow());
                let members: Vec<_> = members.iter().map(member).collect();
                format!("{{ {} }}", members.join(", "))
            }
        }
    }
}

/// A text as a YAML scalar that is read as this text again, quoted where it must be.
pub fn plain(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let means_more = ["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(word)
        && !means_more;
    if bare {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
