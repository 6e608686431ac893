//! Templates of keys and index names: `product:{store.code}:{root.id}`.

use super::name::Name;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Column(Name),
}

/// Splits a template; neighbouring literals are one piece, `{{` and `}}` are braces.
///
/// # Errors
/// What is wrong with the template.
pub fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '{' | '}' if after.starts_with(c) => {
                push_literal(&mut pieces, c);
                rest = &after[1..];
            }
            '}' => return Err("a single \"}\": a brace is written \"}}\"".to_owned()),
            '{' => {
                let (name, after) = placeholder(after, "a template")?;
                if let Some(Piece::Column(before)) = pieces.last() {
                    return Err(format!(
                        "{{{before}}} and {{{name}}} stand side by side: put a separator between them"
                    ));
                }
                pieces.push(Piece::Column(name));
                rest = after;
            }
            c => {
                if let (Some(Piece::Column(before)), '%') = (pieces.last(), c) {
                    return Err(format!(
                        "\"%\" stands after {{{before}}}: encoded values hold it too, so different ids could share a \
                         text; use another separator"
                    ));
                }
                push_literal(&mut pieces, c);
                rest = after;
            }
        }
    }
    Ok(pieces)
}

fn push_literal(pieces: &mut Vec<Piece>, c: char) {
    match pieces.last_mut() {
        Some(Piece::Literal(text)) => text.push(c),
        _ => pieces.push(Piece::Literal(c.to_string())),
    }
}

/// The name up to the closing brace, and what follows it. A brace inside quotes belongs to the name.
pub(super) fn placeholder<'a>(text: &'a str, of: &str) -> Result<(Name, &'a str), String> {
    let mut quoted = false;
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => return Ok((Name::parse(&text[..i])?, &text[i + 1..])),
            '{' if !quoted => break,
            _ => {}
        }
    }
    Err(format!(
        "a placeholder in {of} is not closed: a brace is written \"{{{{\""
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    fn column(text: &str) -> Piece {
        Piece::Column(Name::parse(text).unwrap())
    }

    #[test]
    fn templates_split() {
        assert_eq!(
            parse("p:{store.code}:{id}"),
            Ok(vec![
                literal("p:"),
                column("store.code"),
                literal(":"),
                column("id")
            ])
        );
        assert_eq!(
            parse("{{{id}}}x"),
            Ok(vec![literal("{"), column("id"), literal("}x")])
        );
        assert_eq!(parse("{s.\"a}b\"}"), Ok(vec![column("s.\"a}b\"")]));
    }

    #[test]
    fn broken_templates_say_why() {
        for (text, message) in [
            ("a}", "a single \"}\": a brace is written \"}}\""),
            (
                "a{id",
                "a placeholder in a template is not closed: a brace is written \"{{\"",
            ),
            (
                "{a{b}",
                "a placeholder in a template is not closed: a brace is written \"{{\"",
            ),
            (
                "{a}{b.c}",
                "{a} and {b.c} stand side by side: put a separator between them",
            ),
            (
                "{a}%{b}",
                "\"%\" stands after {a}: encoded values hold it too, so different ids could share a text; use another \
                 separator",
            ),
            ("{}", "\"\" is no name"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }
}
