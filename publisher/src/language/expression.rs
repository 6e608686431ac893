//! The text of `{ sql: … }`: an expression with columns in braces. Whatever it says, it stays inside the parentheses that
//! the planner puts around it.

use super::name::Name;
use super::template::placeholder;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    pub pieces: Vec<Piece>,
    /// A `?`, `:name` or `@name`, which SQLite takes for a parameter.
    pub parameter: Option<char>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Column(Name),
}

/// Splits an expression at its columns; `{{` and `}}` are braces.
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<Expression, String> {
    read(text, false)
}

/// The same of a SELECT, which reads tables.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_query(text: &str) -> Result<Expression, String> {
    read(text, true).map_err(|message| {
        message
            .replace("an expression", "a query")
            .replace("the expression", "the query")
    })
}

fn read(text: &str, reads_tables: bool) -> Result<Expression, String> {
    if text.trim().is_empty() {
        return Err("the expression is empty".to_owned());
    }
    let mut reader = Reader {
        rest: text,
        pieces: Vec::new(),
        brackets: Vec::new(),
        parameter: None,
        reads_tables,
    };
    while !reader.rest.is_empty() {
        reader.step()?;
    }
    match reader.brackets.last() {
        Some(open) => Err(format!("\"{open}\" is not closed in the expression")),
        None => Ok(Expression {
            pieces: reader.pieces,
            parameter: reader.parameter,
        }),
    }
}

struct Reader<'a> {
    rest: &'a str,
    pieces: Vec<Piece>,
    /// Open ones.
    brackets: Vec<char>,
    parameter: Option<char>,
    reads_tables: bool,
}

impl<'a> Reader<'a> {
    fn step(&mut self) -> Result<(), String> {
        let Some(c) = self.rest.chars().next() else {
            return Ok(());
        };
        match c {
            '\'' | '"' => return self.quoted(c, false),
            '{' | '}' => return self.brace(c),
            '(' | '[' => self.brackets.push(c),
            ')' | ']' => self.close(c)?,
            ';' => return Err("an expression holds no \";\": it is no statement".to_owned()),
            '$' => return Err("an expression holds no \"$\": text takes single quotes".to_owned()),
            '-' if self.rest.starts_with("--") => return Err(no_comment("--")),
            '/' if self.rest.starts_with("/*") => return Err(no_comment("/*")),
            ':' if self.rest.starts_with("::") => {
                self.take(2);
                return Ok(());
            }
            '?' | ':' | '@' => self.parameter = Some(c),
            c if is_letter(c) => return self.word(),
            _ => {}
        }
        self.take(c.len_utf8());
        Ok(())
    }

    fn close(&mut self, bracket: char) -> Result<(), String> {
        let open = if bracket == ')' { '(' } else { '[' };
        match self.brackets.pop() {
            Some(last) if last == open => Ok(()),
            _ => Err(format!("\"{bracket}\" closes nothing in the expression")),
        }
    }

    /// Moves this many bytes into the text.
    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.push(taken);
    }

    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn brace(&mut self, c: char) -> Result<(), String> {
        let after = &self.rest[1..];
        if after.starts_with(c) {
            self.push(&self.rest[..1]);
            self.rest = &after[1..];
            return Ok(());
        }
        if c == '}' {
            return Err("a single \"}\" in the expression: a brace is written \"}}\"".to_owned());
        }
        let (name, rest) = placeholder(after, "the expression")?;
        self.pieces.push(Piece::Column(name));
        self.rest = rest;
        Ok(())
    }

    /// Up to the quote that closes; a doubled one stands for itself, and after a backslash in `E'…'` any.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<(), String> {
        self.take(1);
        while let Some(c) = self.rest.chars().next() {
            let doubled = self.rest[c.len_utf8()..].starts_with(c);
            match c {
                '{' | '}' if doubled => {
                    self.push(&self.rest[..1]);
                    self.rest = &self.rest[2..];
                }
                '{' | '}' => {
                    return Err(format!(
                        "a single \"{c}\" inside quotes: a brace is written \"{c}{c}\", and a column stands outside of quotes"
                    ));
                }
                c if c == quote && doubled => self.take(2),
                c if c == quote => {
                    self.take(1);
                    return Ok(());
                }
                '\\' if escapes => {
                    let next = self.rest[1..].chars().next().map_or(0, char::len_utf8);
                    self.take(1 + next);
                }
                c => self.take(c.len_utf8()),
            }
        }
        Err("a quote is not closed in the expression".to_owned())
    }

    fn word(&mut self) -> Result<(), String> {
        let end = self
            .rest
            .find(|c: char| !is_letter(c) && !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let reads = word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("table");
        if reads && !self.reads_tables {
            return Err(format!(
                "an expression holds no \"{word}\": changes of what it reads would not be noticed"
            ));
        }
        let escapes = word.eq_ignore_ascii_case("e");
        self.take(end);
        if escapes && self.rest.starts_with('\'') {
            return self.quoted('\'', true);
        }
        Ok(())
    }
}

fn no_comment(mark: &str) -> String {
    format!("an expression holds no comment: \"{mark}\"")
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let shown = |piece: Piece| match piece {
            Piece::Text(text) => text,
            Piece::Column(name) => format!("<{name}>"),
        };
        parse(text).unwrap().pieces.into_iter().map(shown).collect()
    }

    #[test]
    fn columns_are_taken_out() {
        assert_eq!(pieces("lower({sku})"), ["lower(", "<sku>", ")"]);
        assert_eq!(
            pieces("{a}{store.\"a}b\"}||';)--'"),
            ["<a>", "<store.a}b>", "||';)--'"]
        );
        assert_eq!(pieces("{a} #>> '{{x,\"y\"}}'"), ["<a>", " #>> '{x,\"y\"}'"]);
        assert_eq!(
            pieces("({a})[1]::text = 'it''s'"),
            ["(", "<a>", ")[1]::text = 'it''s'"]
        );
        assert_eq!(pieces(r"E'\'' || e'\\' || 'é\'"), [r"E'\'' || e'\\' || 'é\'"]);
        assert_eq!(
            pieces("selected + \"select\" - -1 / 2"),
            ["selected + \"select\" - -1 / 2"]
        );
        assert_eq!(parse("{a}::text").unwrap().parameter, None);
        assert_eq!(parse("'?' || {a} || :b").unwrap().parameter, Some(':'));
    }

    #[test]
    fn nothing_breaks_out() {
        for (text, message) in [
            (" ", "the expression is empty"),
            ("1) FROM q; --", "\")\" closes nothing in the expression"),
            ("1; drop", "an expression holds no \";\": it is no statement"),
            ("(1", "\"(\" is not closed in the expression"),
            ("([1)]", "\")\" closes nothing in the expression"),
            ("'a", "a quote is not closed in the expression"),
            (r"E'a\'", "a quote is not closed in the expression"),
            ("'a\\')", "\")\" closes nothing in the expression"),
            ("\"a", "a quote is not closed in the expression"),
            ("1 -- x", "an expression holds no comment: \"--\""),
            ("1 /* x", "an expression holds no comment: \"/*\""),
            ("$$)$$", "an expression holds no \"$\": text takes single quotes"),
            (
                "(Select 1)",
                "an expression holds no \"Select\": changes of what it reads would not be noticed",
            ),
            (
                "(TABLE t)",
                "an expression holds no \"TABLE\": changes of what it reads would not be noticed",
            ),
            (
                "'{sku}'",
                "a single \"{\" inside quotes: a brace is written \"{{\", and a column stands outside of quotes",
            ),
            (
                "a}",
                "a single \"}\" in the expression: a brace is written \"}}\"",
            ),
            (
                "{a",
                "a placeholder in the expression is not closed: a brace is written \"{{\"",
            ),
            ("{}", "\"\" is no name"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
    }
}
