//! `{ value: … }`: a tree as JSON text, numbers with their exact digits.

use crate::language::problem::Report;
use crate::language::yaml::{Content, Node, Plain, Scalar};

use super::fields::describe;

pub fn json(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let mut out = String::new();
    write(node, &mut out, report)?;
    Some(out)
}

fn write(node: &Node, out: &mut String, report: &mut Report<'_>) -> Option<()> {
    match &node.value {
        Content::Scalar(scalar) => write_scalar(node, scalar, out, report)?,
        Content::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                comma(i, out);
                write(item, out, report)?;
            }
            out.push(']');
        }
        Content::Map(entries) => {
            out.push('{');
            for (i, entry) in entries.iter().enumerate() {
                comma(i, out);
                write_text(&entry.key, out);
                out.push(':');
                write(&entry.value, out, report)?;
            }
            out.push('}');
        }
    }
    Some(())
}

fn write_scalar(node: &Node, scalar: &Scalar, out: &mut String, report: &mut Report<'_>) -> Option<()> {
    match scalar.meaning() {
        Plain::Null => out.push_str("null"),
        Plain::Boolean => out.push_str(&scalar.text),
        Plain::Text => write_text(&scalar.text, out),
        Plain::Number if serde_json::from_str::<&serde_json::value::RawValue>(&scalar.text).is_ok() => {
            out.push_str(&scalar.text);
        }
        Plain::Number => {
            let message = format!("{} is no JSON number; text takes quotes", describe(node));
            return report.fail(node.at, "constant", message);
        }
    }
    Some(())
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn comma(i: usize, out: &mut String) {
    if i > 0 {
        out.push(',');
    }
}
