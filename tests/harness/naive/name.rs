//! Names as documents write them: parts between dots, a part with a dot or blank in double quotes.

/// Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(pub Vec<String>);

impl Name {
    /// # Panics
    /// Where the text is no name.
    pub fn parse(text: &str) -> Self {
        Self::read(text).unwrap_or_else(|| panic!("{text:?} is no name"))
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            let part = parts.last_mut()?;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' if quoted || part.is_empty() => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                c if !quoted && (c.is_whitespace() || c == '"') => return None,
                c => part.push(c),
            }
        }
        (!quoted && parts.iter().all(|part| !part.is_empty())).then_some(Self(parts))
    }

    /// Text of this form is a column wherever a constant could stand, too.
    pub fn is_qualified(text: &str) -> bool {
        let word = |part: &String| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
        };
        Self::read(text)
            .is_some_and(|name| name.0.len() > 1 && (text.contains('"') || name.0.iter().all(word)))
    }

    /// The last part.
    pub fn column(&self) -> &str {
        &self.0[self.0.len() - 1]
    }

    /// All parts but the last.
    pub fn path(&self) -> &[String] {
        &self.0[..self.0.len() - 1]
    }
}

/// A template of keys: literal text, and columns in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Column(Name),
}

/// # Panics
/// Where braces do not close.
pub fn template(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push(c);
            rest = &rest[2..];
        } else if c == '{' {
            let end = closing(rest);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Column(Name::parse(&rest[1..end])));
            rest = &rest[end + 1..];
        } else {
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

/// Where the placeholder at the start of the text ends; braces in quotes belong to a name.
fn closing(text: &str) -> usize {
    let mut quoted = false;
    text.char_indices()
        .find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '}' && !quoted
        })
        .unwrap_or_else(|| panic!("{text:?} does not close"))
        .0
}
