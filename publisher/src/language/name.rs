//! Names as documents write them: `name`, `root.id`, `schema.table`, `store."opening hours"`.

use std::fmt;

/// One or more parts, split at dots outside of quotes; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    parts: Vec<String>,
}

impl Name {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_part(text, quoted)?,
                None => bare_part(text, rest)?,
            };
            parts.push(part);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(Self { parts }),
                None => {
                    return Err(format!(
                        "{text:?} is no name: after a quoted part comes a dot or nothing"
                    ));
                }
            }
        }
    }

    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// What stands before the last dot, and the part after it; `None` for a single name.
    pub fn split_last(&self) -> Option<(Self, &str)> {
        match self.parts.as_slice() {
            [before @ .., last] if !before.is_empty() => Some((
                Self {
                    parts: before.to_vec(),
                },
                last,
            )),
            _ => None,
        }
    }

    /// The name where it is a single one.
    pub fn bare(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|part| quoted_where_needed(part)).collect();
        f.write_str(&parts.join("."))
    }
}

/// Whether text is of the form `name.name`, which is always a column, also where bare text is a constant. A hyphen
/// counts as part of a name, so that `store.valid-from` cannot become a constant by oversight.
pub fn is_qualified(text: &str) -> bool {
    let quoted = text.contains('"');
    Name::parse(text)
        .is_ok_and(|name| name.parts.len() > 1 && (quoted || name.parts.iter().all(|part| is_word(part))))
}

/// A part as it must be written.
pub fn quoted_where_needed(part: &str) -> String {
    let plain = !part.is_empty() && !part.contains(|c: char| c == '.' || c == '"' || c.is_whitespace());
    if plain {
        part.to_owned()
    } else {
        format!("\"{}\"", part.replace('"', "\"\""))
    }
}

fn is_word(part: &str) -> bool {
    part.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && part
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
}

/// The part up to the closing quote (a doubled one stands for itself), and what follows.
fn quoted_part<'a>(text: &str, quoted: &'a str) -> Result<(String, &'a str), String> {
    let mut part = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            part.push('"');
        } else if part.is_empty() {
            break;
        } else {
            return Ok((part, &quoted[i + 1..]));
        }
    }
    Err(format!(
        "{text:?} is no name: a quoted part is empty or not closed"
    ))
}

fn bare_part<'a>(text: &str, rest: &'a str) -> Result<(String, &'a str), String> {
    let end = rest.find('.').unwrap_or(rest.len());
    let part = &rest[..end];
    if part.is_empty() {
        return Err(format!("{text:?} is no name"));
    }
    if part.contains(|c: char| c.is_whitespace() || c == '"') {
        return Err(format!(
            "{text:?} is no name: a dot or space inside a name takes double quotes, such as '\"first name\"'"
        ));
    }
    Ok((part.to_owned(), &rest[end..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_split_outside_of_quotes() {
        let parts = |text: &str| Name::parse(text).unwrap().parts;
        assert_eq!(parts("id"), ["id"]);
        assert_eq!(parts("root.id"), ["root", "id"]);
        assert_eq!(parts("store.\"opening. hours\""), ["store", "opening. hours"]);
        assert_eq!(parts("\"a\"\"b\".c"), ["a\"b", "c"]);
        assert_eq!(Name::parse("s.\"a b\"").unwrap().to_string(), "s.\"a b\"");
        for wrong in ["", ".", "a.", ".a", "a b", "a\"b", "\"a", "\"\"", "\"a\"b"] {
            assert!(Name::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn qualified_text_is_no_number_address_or_sentence() {
        for column in ["store.id", "a.b.c", "store.valid-from", "s.\"a b\"", "größe.x"] {
            assert!(is_qualified(column), "{column}");
        }
        for constant in [
            "1.5",
            "v1.2",
            "a@b.com",
            "Mr. Who",
            "plain",
            "..",
            "2024-01-01",
            "\"a\"",
        ] {
            assert!(!is_qualified(constant), "{constant}");
        }
    }
}
