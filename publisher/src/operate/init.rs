//! `init`: writes a first document about a table, from what the catalogue says: its columns, the rows that it names, the
//! rows that name it. A beginning to cut down, which passes `check` as it is.

mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod yaml;

use crate::catalogue::{Catalogue, Column, ColumnKind, ForeignKey, Table};
use crate::language::{KEYWORDS, LONGEST_NAME};
use tables::{Reference, identity, is_junction, references, written};
use yaml::{Node, plain};

/// Nested rows of one document; the rest is named in a comment.
const MOST_NODES: usize = 12;

/// Columns by which people order rows, where there is one.
const ORDERS: [&str; 6] = ["position", "sort", "sort_order", "ordinal", "rank", "seq"];

/// A document that was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Draft {
    /// The document's name; its file is `<name>.yaml`.
    pub document: String,
    pub yaml: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    #[error("no table {0:?}; there are: {1}")]
    Unknown(String, String),
    #[error(
        "table {0:?} has neither a primary key nor a unique index without nulls, so its rows have no identity"
    )]
    NoIdentity(String),
}

/// Tables that a document could be about: with an identity, no junctions, and not only details of one other table's rows.
#[must_use]
pub fn root_tables(catalogue: &Catalogue) -> Vec<String> {
    let is_root = |name: &String, table: &Table| {
        let stands_alone = table.foreign_keys.iter().all(|key| key.table == *name);
        let mut others = catalogue.tables.iter().filter(|(other, _)| *other != name);
        let is_named = others.any(|(_, other)| other.foreign_keys.iter().any(|key| key.table == *name));
        identity(table).is_some() && !is_junction(table) && (stands_alone || is_named)
    };
    let all = catalogue.tables.iter();
    all.filter(|(name, table)| is_root(name, table))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A document about this table, by the name that documents use.
///
/// # Errors
/// Where there is no such table, or its rows cannot be told apart.
pub fn draft(catalogue: &Catalogue, name: &str) -> Result<Draft, DraftError> {
    let Some(table) = catalogue.tables.get(name) else {
        let names: Vec<&str> = catalogue.tables.keys().map(String::as_str).collect();
        return Err(DraftError::Unknown(name.to_owned(), names.join(", ")));
    };
    let (id, is_primary) = identity(table).ok_or_else(|| DraftError::NoIdentity(name.to_owned()))?;
    let document = document_name(name);
    let names = |columns: &[usize]| -> Vec<String> {
        let written = |column: &usize| written::name(&table.columns[*column].name);
        columns.iter().map(written).collect()
    };
    let mut out =
        String::from("# Written from the tables by `pubsync init`: take out what no reader needs.\n");
    out.push_str(&format!(
        "document: {}\nroot: {}\n",
        plain(&document),
        plain(&written::table(catalogue, name))
    ));
    if !is_primary {
        let columns: Vec<_> = names(&id).iter().map(|column| plain(column)).collect();
        out.push_str(&format!("id: [{}]\n", columns.join(", ")));
    }
    let places: Vec<_> = names(&id).iter().map(|column| format!("{{{column}}}")).collect();
    let key = format!("{document}:{}", places.join(":"));
    out.push_str(&format!("key: {}\nbody:\n", serde_json::Value::from(key)));
    let mut body = Body {
        catalogue,
        members: Vec::new(),
        left_out: Vec::new(),
    };
    body.columns(table);
    body.nodes(name, table);
    for (member, node) in &body.members {
        node.write_member(member, 1, &mut out);
    }
    for note in &body.left_out {
        out.push_str(&format!("  # {note}\n"));
    }
    Ok(Draft { document, yaml: out })
}

/// `sales.Big Invoice` → `sales_big_invoice`.
fn document_name(table: &str) -> String {
    let fit = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' => c,
        _ => '_',
    };
    let name: String = table.chars().map(fit).collect();
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let name = if starts_well { name } else { format!("d{name}") };
    name.chars().take(LONGEST_NAME).collect()
}

struct Body<'a> {
    catalogue: &'a Catalogue,
    members: Vec<(String, Node)>,
    /// What stands only in comments.
    left_out: Vec<String>,
}

impl Body<'_> {
    /// The row's own columns; where a foreign key holds one, the row that it names follows later.
    fn columns(&mut self, table: &Table) {
        for column in &table.columns {
            if column.name == "_revision" {
                self.left_out
                    .push("_revision: targets have a member of this name".to_owned());
            } else if column.kind == ColumnKind::Bytes {
                self.left_out
                    .push(format!("{}: bytes, in JSON as base64", column.name));
            } else {
                self.members
                    .push((column.name.clone(), Node::column(&column.name)));
            }
        }
        if self.members.is_empty() {
            // A body is not empty.
            let columns = table.columns.iter().take(1);
            self.members
                .extend(columns.map(|c| ("value".to_owned(), Node::column(&c.name))));
        }
    }

    fn nodes(&mut self, name: &str, table: &Table) {
        let mut nodes = Vec::new();
        for key in &table.foreign_keys {
            nodes.extend(self.named_row(table, key));
        }
        for reference in references(self.catalogue, name) {
            nodes.extend(self.naming_rows(name, table, &reference));
        }
        let rest = nodes.split_off(nodes.len().min(MOST_NODES));
        for (member, node) in nodes {
            let member = self.free(&member);
            self.members.push((member, node));
        }
        for (member, _) in rest {
            self.left_out.push(format!("{member}: names these rows too"));
        }
    }

    /// `{ one: t, body }` of a foreign key.
    fn named_row(&self, table: &Table, key: &ForeignKey) -> Option<(String, Node)> {
        let other = self.catalogue.tables.get(&key.table)?;
        let several = table.foreign_keys.iter().filter(|k| k.table == key.table).count() > 1;
        let mut parts = vec![("one", Node::Text(written::table(self.catalogue, &key.table)))];
        if several {
            let pairs = key.references.iter().zip(&key.columns);
            let pair =
                |(to, from): (&String, &usize)| (written::name(to), Node::column(&table.columns[*from].name));
            parts.push(("match", Node::Map(pairs.map(pair).collect())));
        }
        parts.push(("body", columns_of(other, &[], &[])?));
        let member = match (key.columns.as_slice(), several) {
            ([column], _) => without_id(&table.columns[*column].name, &other.name),
            (_, true) => format!("{}_{}", other.name, table.columns[key.columns[0]].name),
            _ => other.name.clone(),
        };
        Some((member, Node::object(parts)))
    }

    /// `{ many: t, body }` of a table that names this one, through it where it is a junction.
    fn naming_rows(&self, name: &str, table: &Table, reference: &Reference<'_>) -> Option<(String, Node)> {
        let Reference {
            table: other, key, ..
        } = reference;
        if is_junction(other) {
            return self.through(name, reference);
        }
        let several = other.foreign_keys.iter().filter(|k| k.table == name).count() > 1;
        let one = tables::holds_key(other, &key.columns);
        let mut parts = vec![(
            if one { "one" } else { "many" },
            Node::Text(written::table(self.catalogue, reference.name)),
        )];
        if several || one {
            let pairs = key.columns.iter().zip(&key.references);
            let pair =
                |(from, to): (&usize, &String)| (written::name(&other.columns[*from].name), Node::column(to));
            parts.push(("match", Node::Map(pairs.map(pair).collect())));
        }
        if !one {
            parts.extend(order_of(&other.columns, "").map(|order| ("order", order)));
        }
        parts.push(("body", columns_of(other, &key.columns, &[])?));
        let of = |column: usize| without_id(&other.columns[column].name, &table.name);
        let member = match key.columns.as_slice() {
            [column] if several => format!("{}_by_{}", other.name, of(*column)),
            _ => other.name.clone(),
        };
        Some((member, Node::object(parts)))
    }

    fn through(&self, name: &str, reference: &Reference<'_>) -> Option<(String, Node)> {
        let Reference {
            table: junction, key, ..
        } = reference;
        let far = junction.foreign_keys.iter().find(|other| *other != *key)?;
        let other = self.catalogue.tables.get(&far.table)?;
        let table = Node::Text(written::table(self.catalogue, reference.name));
        let columns = |key: &ForeignKey| {
            let names = key
                .columns
                .iter()
                .map(|column| Node::column(&junction.columns[*column].name));
            Node::one_or_list(names.collect())
        };
        let both_ways = far.table == name;
        let via = if both_ways {
            let parts = [("table", table), ("from", columns(key)), ("to", columns(far))];
            Node::object(parts.into())
        } else {
            table
        };
        let own: Vec<&Column> = tables::own_columns(junction).collect();
        let mut parts = vec![
            ("many", Node::Text(written::table(self.catalogue, &far.table))),
            ("via", via),
        ];
        parts.extend(order_of(own.iter().copied(), "via.").map(|order| ("order", order)));
        parts.push(("body", columns_of(other, &[], &own)?));
        let member = match (both_ways, far.columns.as_slice()) {
            (true, [column]) => format!(
                "{}_{}",
                junction.name,
                without_id(&junction.columns[*column].name, "")
            ),
            _ => other.name.clone(),
        };
        Some((member, Node::object(parts)))
    }

    /// A member name that no other has.
    fn free(&self, wanted: &str) -> String {
        let taken = |name: &str| self.members.iter().any(|(member, _)| member == name);
        let numbered = (2..).map(|n| format!("{wanted}_{n}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !taken(name) && name != "_revision")
            .unwrap_or_default()
    }
}

/// An object of a row's columns but for `left_out` and bytes, and of these of its junction; `None` without any.
fn columns_of(table: &Table, left_out: &[usize], junction: &[&Column]) -> Option<Node> {
    let kept = table.columns.iter().enumerate();
    let kept = kept.filter(|(i, column)| !left_out.contains(i) && column.kind != ColumnKind::Bytes);
    let mut members: Vec<_> = kept
        .map(|(_, column)| (column.name.clone(), Node::column(&column.name)))
        .collect();
    for column in junction {
        let member = match members.iter().any(|(name, _)| *name == column.name) {
            true => format!("via_{}", column.name),
            false => column.name.clone(),
        };
        members.push((member, Node::Text(format!("via.{}", written::name(&column.name)))));
    }
    if members.is_empty() {
        return None;
    }
    let needs_body = members
        .iter()
        .any(|(name, _)| KEYWORDS.contains(&name.as_str()) || name == "body");
    let object = Node::Map(members);
    Some(if needs_body {
        Node::object(vec![("body", object)])
    } else {
        object
    })
}

/// `[position]`, where rows have such a column.
fn order_of<'a>(columns: impl IntoIterator<Item = &'a Column>, qualifier: &str) -> Option<Node> {
    let mut columns = columns.into_iter();
    let column = columns
        .find(|column| column.kind == ColumnKind::Integer && ORDERS.contains(&column.name.as_str()))?;
    Some(Node::List(vec![Node::Text(format!(
        "{qualifier}{}",
        column.name
    ))]))
}

/// `brand_id` → `brand`; where nothing is left, or there is no such ending, what `instead` says.
fn without_id(column: &str, instead: &str) -> String {
    let lower = column.to_ascii_lowercase();
    let stem = ["_id", "id"].iter().find_map(|ending| lower.strip_suffix(ending));
    match stem {
        Some(stem) if !stem.is_empty() => column[..stem.len()].to_owned(),
        _ if instead.is_empty() => column.to_owned(),
        _ => instead.to_owned(),
    }
}
