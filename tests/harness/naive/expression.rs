//! `sql`: the few expressions that are known here. Columns in braces, texts, whole numbers, `||`, `+`, `-`, `*`, and the
//! functions `lower`, `upper`, `coalesce`, `abs`, `length`.

use std::{iter::Peekable, vec::IntoIter};

use super::{
    evaluate::{Naive, Place},
    name::Name,
    schema::ColumnKind,
    write::Out,
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Null,
    Text(String),
    Integer(i128),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Column(String),
    Text(String),
    Integer(i128),
    Word(String),
    Sign(String),
}

type Tokens = Peekable<IntoIter<Token>>;

impl<'a> Naive<'a> {
    /// # Panics
    /// Where the expression is none of those that are known here.
    pub(super) fn expression(&self, text: &str, place: &Place<'a>) -> Result<Out, String> {
        let mut tokens = tokens(text).into_iter().peekable();
        let value = self.sum(&mut tokens, place);
        assert!(
            tokens.peek().is_none(),
            "not understood in {text:?}: {:?}",
            tokens.peek()
        );
        Ok(match value {
            Value::Null => Out::Null,
            Value::Text(text) => Out::string(&text),
            Value::Integer(number) => Out::Text(number.to_string()),
        })
    }

    fn sum(&self, tokens: &mut Tokens, place: &Place<'a>) -> Value {
        let mut left = self.product(tokens, place);
        while let Some(sign) = sign(tokens, &["+", "-", "||"]) {
            let right = self.product(tokens, place);
            left = match (left, right, sign.as_str()) {
                (Value::Null, _, _) | (_, Value::Null, _) => Value::Null,
                (Value::Integer(a), Value::Integer(b), "+") => Value::Integer(a + b),
                (Value::Integer(a), Value::Integer(b), "-") => Value::Integer(a - b),
                (a, b, "||") => Value::Text(format!("{}{}", shown(&a), shown(&b))),
                (a, b, sign) => panic!("{a:?} {sign} {b:?}"),
            };
        }
        left
    }

    fn product(&self, tokens: &mut Tokens, place: &Place<'a>) -> Value {
        let mut left = self.atom(tokens, place);
        while sign(tokens, &["*"]).is_some() {
            left = match (left, self.atom(tokens, place)) {
                (Value::Integer(a), Value::Integer(b)) => Value::Integer(a * b),
                (Value::Null, _) | (_, Value::Null) => Value::Null,
                (a, b) => panic!("{a:?} * {b:?}"),
            };
        }
        left
    }

    fn atom(&self, tokens: &mut Tokens, place: &Place<'a>) -> Value {
        match tokens.next().expect("an expression") {
            Token::Text(text) => Value::Text(text),
            Token::Integer(number) => Value::Integer(number),
            Token::Column(name) => {
                let cell = self.cell(&Name::parse(&name), place);
                match (cell.text, cell.kind) {
                    (None, _) => Value::Null,
                    (Some(text), ColumnKind::Integer) => Value::Integer(text.parse().expect("an integer")),
                    (Some(text), _) => Value::Text(text.to_owned()),
                }
            }
            Token::Sign(open) if open == "(" => {
                let value = self.sum(tokens, place);
                sign(tokens, &[")"]).expect("a closing parenthesis");
                value
            }
            Token::Word(function) => {
                let mut values = Vec::new();
                sign(tokens, &["("]).expect("arguments");
                loop {
                    values.push(self.sum(tokens, place));
                    match sign(tokens, &[",", ")"]).expect("the end of arguments").as_str() {
                        "," => {}
                        _ => break,
                    }
                }
                call(&function, values)
            }
            token => panic!("not understood: {token:?}"),
        }
    }
}

fn call(function: &str, mut values: Vec<Value>) -> Value {
    if function == "coalesce" {
        return values
            .into_iter()
            .find(|value| *value != Value::Null)
            .unwrap_or(Value::Null);
    }
    match (function, values.remove(0)) {
        (_, Value::Null) => Value::Null,
        // Databases under a bytewise collation know the letters of ASCII only.
        ("lower", Value::Text(text)) => Value::Text(text.to_ascii_lowercase()),
        ("upper", Value::Text(text)) => Value::Text(text.to_ascii_uppercase()),
        ("length", Value::Text(text)) => {
            Value::Integer(i128::try_from(text.chars().count()).expect("a length"))
        }
        ("abs", Value::Integer(number)) => Value::Integer(number.abs()),
        (function, value) => panic!("{function}({value:?})"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
    }
}

/// The next token where it is one of these.
fn sign(tokens: &mut Tokens, wanted: &[&str]) -> Option<String> {
    match tokens.peek() {
        Some(Token::Sign(sign)) if wanted.contains(&sign.as_str()) => {
            let sign = sign.clone();
            tokens.next();
            Some(sign)
        }
        _ => None,
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = |stop: char| {
            1 + rest[1..]
                .find(stop)
                .unwrap_or_else(|| panic!("{text:?} does not close"))
        };
        let run = |wanted: fn(char) -> bool| rest.find(|c: char| !wanted(c)).unwrap_or(rest.len());
        let (token, length) = match c {
            c if c.is_whitespace() => (None, 1),
            '{' => (Some(Token::Column(rest[1..end('}')].to_owned())), end('}') + 1),
            '\'' => (Some(Token::Text(rest[1..end('\'')].to_owned())), end('\'') + 1),
            c if c.is_ascii_digit() => {
                let length = run(|c| c.is_ascii_digit());
                (
                    Some(Token::Integer(rest[..length].parse().expect("digits"))),
                    length,
                )
            }
            c if c.is_ascii_alphabetic() => {
                let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
                (Some(Token::Word(rest[..length].to_ascii_lowercase())), length)
            }
            '|' => (Some(Token::Sign("||".to_owned())), 2),
            c => (Some(Token::Sign(c.to_string())), c.len_utf8()),
        };
        found.extend(token);
        rest = &rest[length..];
    }
    found
}
