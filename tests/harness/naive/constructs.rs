//! Which constructs of the language a declaration uses, so that a test can tell what it has tried.

use std::collections::BTreeSet;

use super::{
    declaration::{Declaration, Scope},
    name::Name,
    rows::{Condition, From, Link, Operand, Rows, Test},
    value::{Function, Value},
};

/// All that [`Declaration::constructs`] can tell.
pub const CONSTRUCTS: [&str; 61] = [
    "absent: keep",
    "aliases",
    "all",
    "ancestors",
    "any",
    "avg",
    "by",
    "capture: manual",
    "column",
    "count",
    "distinct",
    "each",
    "each: all rows or foreign key",
    "each: match",
    "each: optional",
    "each: via",
    "each: via several",
    "each: where",
    "first",
    "flat",
    "id",
    "limit",
    "list",
    "lookup in a value",
    "lookup in by",
    "lookup in order",
    "lookup in visible",
    "lookup left in where",
    "many",
    "match",
    "max",
    "merge",
    "min",
    "object",
    "one",
    "only",
    "order",
    "parent. in a value",
    "query",
    "sql",
    "sum",
    "text",
    "tombstone",
    "tree",
    "tree: start",
    "tree: where",
    "unhashed",
    "value",
    "via",
    "via several",
    "via. in a value",
    "visible: from",
    "visible: until",
    "where: a column on the right",
    "where: equal",
    "where: exists",
    "where: gt, gte, lt, lte",
    "where: missing",
    "where: not",
    "where: one of",
    "where: several tests",
];

impl Declaration {
    /// Each once, of [`CONSTRUCTS`].
    #[must_use]
    pub fn constructs(&self) -> BTreeSet<&'static str> {
        let mut seen = Seen {
            scopes: self.scopes.iter().map(|scope| scope.name.as_str()).collect(),
            found: BTreeSet::new(),
        };
        let life = [
            ("id", !self.id.is_empty()),
            ("aliases", !self.aliases.is_empty()),
            ("visible: from", self.visible.from.is_some()),
            ("visible: until", self.visible.until.is_some()),
            ("unhashed", !self.unhashed.is_empty()),
            ("tombstone", !self.tombstone.is_empty()),
            ("absent: keep", self.keeps_absent),
            ("capture: manual", self.is_manual),
            ("only", !self.only.is_empty()),
        ];
        seen.found
            .extend(life.into_iter().filter(|(_, is)| *is).map(|(name, _)| name));
        for name in [&self.visible.from, &self.visible.until].into_iter().flatten() {
            seen.lookup(name, "lookup in visible");
        }
        self.scopes.iter().for_each(|scope| seen.scope(scope));
        seen.conditions(&self.conditions);
        self.body.iter().for_each(|(_, value)| seen.value(value));
        seen.found
    }
}

struct Seen<'a> {
    scopes: Vec<&'a str>,
    found: BTreeSet<&'static str>,
}

impl Seen<'_> {
    fn note(&mut self, construct: &'static str) {
        debug_assert!(CONSTRUCTS.contains(&construct), "{construct}");
        self.found.insert(construct);
    }

    /// A column of a row that a foreign key names.
    fn lookup(&mut self, name: &Name, construct: &'static str) {
        let starts = name.path().first().is_some_and(|word| {
            ["root", "via", "parent"].contains(&word.as_str()) || self.scopes.contains(&word.as_str())
        });
        if name.path().len() > usize::from(starts) {
            self.note(construct);
        }
    }

    fn scope(&mut self, scope: &Scope) {
        self.note("each");
        self.note(match &scope.rows.link {
            Link::Inferred => "each: all rows or foreign key",
            Link::Junction(_) => "each: via",
            Link::Hops(_) => "each: via several",
            Link::Match(_) => "each: match",
        });
        if scope.optional {
            self.note("each: optional");
        }
        if !scope.rows.conditions.is_empty() {
            self.note("each: where");
        }
        self.conditions(&scope.rows.conditions);
    }

    fn column(&mut self, name: &Name) {
        self.lookup(name, "lookup in a value");
        match name.path().first().map(String::as_str) {
            Some("parent") => self.note("parent. in a value"),
            Some("via") => self.note("via. in a value"),
            _ => {}
        }
    }

    fn value(&mut self, value: &Value) {
        self.note(word(value));
        match value {
            Value::Column(name) | Value::Text(name) => self.column(name),
            Value::Constant(_) | Value::Sql(_) => {}
            Value::Object(members) => members.iter().for_each(|(_, value)| self.value(value)),
            Value::First(values) | Value::List(values) | Value::Merge(values) => {
                values.iter().for_each(|value| self.value(value));
            }
            Value::One { rows, body } | Value::Ancestors { rows, body, .. } => {
                self.rows(rows);
                self.value(body);
            }
            Value::Count(rows) | Value::Aggregate { rows, .. } => self.rows(rows),
            Value::Many {
                rows,
                body,
                by,
                distinct,
                flat,
            } => {
                self.rows(rows);
                self.value(body);
                by.iter().for_each(|name| self.lookup(name, "lookup in by"));
                let options = [("by", !by.is_empty()), ("distinct", *distinct), ("flat", *flat)];
                for (name, _) in options.into_iter().filter(|(_, is)| *is) {
                    self.note(name);
                }
            }
            Value::Tree {
                rows, body, start, ..
            } => {
                self.rows(rows);
                if !rows.conditions.is_empty() {
                    self.note("tree: where");
                }
                if let Some(start) = start {
                    self.note("tree: start");
                    self.conditions(start);
                }
                body.iter().for_each(|(_, value)| self.value(value));
            }
        }
    }

    fn rows(&mut self, rows: &Rows) {
        if let From::Query(_) = rows.from {
            self.note("query");
        }
        match &rows.link {
            Link::Inferred => {}
            Link::Junction(_) => self.note("via"),
            Link::Hops(_) => self.note("via several"),
            Link::Match(_) => self.note("match"),
        }
        if !rows.order.is_empty() {
            self.note("order");
        }
        for (name, _) in &rows.order {
            self.lookup(name, "lookup in order");
        }
        if rows.limit.is_some() {
            self.note("limit");
        }
        self.conditions(&rows.conditions);
    }

    fn conditions(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            match condition {
                Condition::Column { column, test } => {
                    self.lookup(column, "lookup left in where");
                    self.test(test);
                }
                Condition::Exist(all) => {
                    self.note("where: exists");
                    all.iter().for_each(|rows| self.rows(rows));
                }
                Condition::Miss(all) => {
                    self.note("where: missing");
                    all.iter().for_each(|rows| self.rows(rows));
                }
            }
        }
    }

    fn test(&mut self, test: &Test) {
        let operands: Vec<&Operand> = match test {
            Test::Equal(operand) => vec![operand],
            Test::OneOf(operands) => operands.iter().collect(),
            Test::Not(inner) => {
                self.test(inner);
                Vec::new()
            }
            Test::Compare(tests) => {
                if tests.len() > 1 {
                    self.note("where: several tests");
                }
                tests.iter().map(|(_, operand)| operand).collect()
            }
        };
        self.note(match test {
            Test::Equal(_) => "where: equal",
            Test::OneOf(_) => "where: one of",
            Test::Not(_) => "where: not",
            Test::Compare(_) => "where: gt, gte, lt, lte",
        });
        if operands
            .iter()
            .any(|operand| matches!(operand, Operand::Column(_)))
        {
            self.note("where: a column on the right");
        }
    }
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Column(_) => "column",
        Value::Text(_) => "text",
        Value::Constant(_) => "value",
        Value::Object(_) => "object",
        Value::One { .. } => "one",
        Value::Many { .. } => "many",
        Value::Count(_) => "count",
        Value::Aggregate { function, .. } => match function {
            Function::Sum => "sum",
            Function::Avg => "avg",
            Function::Min => "min",
            Function::Max => "max",
            Function::Any => "any",
            Function::All => "all",
        },
        Value::First(_) => "first",
        Value::List(_) => "list",
        Value::Merge(_) => "merge",
        Value::Sql(_) => "sql",
        Value::Ancestors { .. } => "ancestors",
        Value::Tree { .. } => "tree",
    }
}
