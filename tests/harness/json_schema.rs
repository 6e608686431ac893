//! Checks JSON against JSON Schemas: the keywords that the product's schemas use, and a panic at any other, so that none
//! goes unchecked.

use serde_json::Value as Json;

use crate::naive::yaml::{Node, Scalar};

/// A YAML text as an editor takes it.
///
/// # Panics
/// Where the text is no YAML.
#[must_use]
pub fn yaml(text: &str) -> Json {
    json(&Node::parse(text))
}

fn json(node: &Node) -> Json {
    match node {
        Node::Scalar(scalar) => json_of_scalar(scalar),
        Node::List(items) => items.iter().map(json).collect(),
        Node::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}

fn json_of_scalar(scalar: &Scalar) -> Json {
    let text = scalar.text.as_str();
    if scalar.is_null() {
        return Json::Null;
    }
    let number = || {
        let whole = text.parse::<i64>().ok().map(Json::from);
        whole.or_else(|| text.parse::<f64>().ok().map(Json::from))
    };
    match text {
        "true" | "false" if scalar.is_bare() => Json::Bool(text == "true"),
        _ if scalar.is_bare() => number().unwrap_or_else(|| panic!("{text} is no number")),
        _ => Json::from(text),
    }
}

/// What is wrong, each with its place; empty where all is right.
///
/// # Panics
/// At a keyword that is unknown here.
#[must_use]
pub fn problems(schema: &Json, value: &Json) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn is_right(root: &Json, schema: &Json, value: &Json) -> bool {
    let mut found = Vec::new();
    check(root, schema, value, "", &mut found);
    found.is_empty()
}

fn check(root: &Json, schema: &Json, value: &Json, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let right = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "contentEncoding" => true,
            "$ref" => {
                let pointer = rule
                    .as_str()
                    .and_then(|to| to.strip_prefix('#'))
                    .expect("a place here");
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
                check(root, target, value, at, found);
                true
            }
            "anyOf" => rules(rule).iter().any(|one| is_right(root, one, value)),
            "oneOf" => {
                rules(rule)
                    .iter()
                    .filter(|one| is_right(root, one, value))
                    .count()
                    == 1
            }
            "allOf" => {
                rules(rule)
                    .iter()
                    .for_each(|one| check(root, one, value, at, found));
                true
            }
            "not" => !is_right(root, rule, value),
            "const" => rule == value,
            "enum" => rules(rule).contains(value),
            "type" => match rule {
                Json::Array(kinds) => kinds.iter().any(|kind| is_kind(kind, value)),
                kind => is_kind(kind, value),
            },
            "pattern" => value
                .as_str()
                .is_none_or(|text| matches(rule.as_str().expect("text"), text)),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() >= size(rule)),
            "minItems" => value.as_array().is_none_or(|items| items.len() >= size(rule)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() <= size(rule)),
            "minProperties" => value
                .as_object()
                .is_none_or(|members| members.len() >= size(rule)),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| rule.as_f64().is_some_and(|least| number >= least)),
            "required" => value.as_object().is_none_or(|members| {
                rules(rule)
                    .iter()
                    .all(|name| members.contains_key(name.as_str().expect("a name")))
            }),
            "items" | "properties" | "propertyNames" | "additionalProperties" => {
                check_inside(root, schema, keyword, value, at, found);
                true
            }
            other => panic!("the keyword {other} is not known here"),
        };
        if !right {
            found.push(format!("{at}: {value} is not {keyword} {rule}"));
        }
    }
}

/// Entries of arrays, members of objects, and their names.
fn check_inside(root: &Json, schema: &Json, keyword: &str, value: &Json, at: &str, found: &mut Vec<String>) {
    let rule = &schema[keyword];
    if let (Json::Array(items), "items") = (value, keyword) {
        for (i, item) in items.iter().enumerate() {
            check(root, rule, item, &format!("{at}/{i}"), found);
        }
    }
    let Json::Object(members) = value else { return };
    for (name, member) in members {
        let at = format!("{at}/{name}");
        let own = schema.get("properties").and_then(|all| all.get(name));
        match (keyword, own, rule) {
            ("properties", Some(own), _) => check(root, own, member, &at, found),
            ("propertyNames", ..) => check(root, rule, &Json::from(name.as_str()), &at, found),
            ("additionalProperties", None, Json::Bool(false)) => {
                found.push(format!("{at}: nothing of that name"))
            }
            ("additionalProperties", None, Json::Object(_)) => check(root, rule, member, &at, found),
            _ => {}
        }
    }
}

fn rules(rule: &Json) -> &[Json] {
    rule.as_array().expect("a list in a schema")
}

fn size(rule: &Json) -> usize {
    let size = rule.as_u64().expect("a whole number in a schema");
    usize::try_from(size).expect("a size")
}

fn is_kind(kind: &Json, value: &Json) -> bool {
    match kind.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type {other}"),
    }
}

/// Regular expressions of letters, escaped letters, classes, `*`, `+`, `{m,n}`, `^`, `$` and alternatives at the top.
fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    pattern.split('|').any(|pattern| {
        let (pattern, starts) = pattern
            .strip_prefix('^')
            .map_or((pattern, false), |rest| (rest, true));
        let (pattern, ends) = pattern
            .strip_suffix('$')
            .map_or((pattern, false), |rest| (rest, true));
        let atoms = atoms(pattern);
        let last = if starts { 0 } else { text.len() };
        (0..=last).any(|from| fits(&atoms, &text[from..], ends))
    })
}

/// Some characters (or all but these), so many times.
struct Atom {
    ranges: Vec<(char, char)>,
    others: bool,
    least: usize,
    most: usize,
}

fn atoms(pattern: &str) -> Vec<Atom> {
    let mut rest = pattern.chars().peekable();
    let mut atoms = Vec::new();
    while let Some(first) = rest.next() {
        let (mut ranges, mut others) = (Vec::new(), false);
        match first {
            '[' => {
                others = rest.next_if_eq(&'^').is_some();
                let class: Vec<char> = rest.by_ref().take_while(|c| *c != ']').collect();
                let mut i = 0;
                while i < class.len() {
                    let is_range = class.get(i + 1) == Some(&'-') && i + 2 < class.len();
                    let end = if is_range { i + 2 } else { i };
                    ranges.push((class[i], class[end]));
                    i = end + 1;
                }
            }
            '\\' => {
                let escaped = rest.next().expect("an escaped letter");
                ranges.push((escaped, escaped));
            }
            '.' | '(' | '?' | '{' => panic!("{pattern} is more than is known here"),
            plain => ranges.push((plain, plain)),
        }
        let (least, most) = match rest.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('{') => {
                let times: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let (least, most) = times.split_once(',').expect("{m,n}");
                (least.parse().expect("a number"), most.parse().expect("a number"))
            }
            _ => (1, 1),
        };
        rest.next_if(|c| matches!(c, '*' | '+'));
        atoms.push(Atom {
            ranges,
            others,
            least,
            most,
        });
    }
    atoms
}

fn fits(atoms: &[Atom], text: &[char], ends: bool) -> bool {
    let Some((atom, after)) = atoms.split_first() else {
        return text.is_empty() || !ends;
    };
    let is_one = |c: &char| atom.ranges.iter().any(|(from, to)| from <= c && c <= to) != atom.others;
    let run = text.iter().take_while(|c| is_one(c)).count().min(atom.most);
    (atom.least..=run)
        .rev()
        .any(|taken| fits(after, &text[taken..], ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let name = "^[a-z][a-z0-9_-]{0,3}$";
        for (pattern, text, expected) in [
            (name, "a", true),
            (name, "a-_9", true),
            (name, "a-_99", false),
            (name, "", false),
            (name, "9a", false),
            (name, "aB", false),
            ("^[^A-Z{_.-]", "x-{y}", true),
            ("^[^A-Z{_.-]", "-x", false),
            ("^[^A-Z{_.-]", "Qx", false),
            ("\\{", "a{b}", true),
            ("\\{", "ab", false),
            ("^ab$|^[0-9]+$", "ab", true),
            ("^ab$|^[0-9]+$", "12", true),
            ("^ab$|^[0-9]+$", "12b", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
