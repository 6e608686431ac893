//! Random documents over a schema, as YAML.

use super::{
    features::Features,
    life::Keyed,
    model::{Sort, Table},
    nodes::Spot,
};
use crate::random::Random;

/// One document's file.
#[derive(Debug, Clone)]
pub struct Document {
    pub name: String,
    pub yaml: String,
}

/// Writes one document.
pub struct Author<'a> {
    pub random: &'a mut Random,
    pub tables: &'a [Table],
    pub features: &'a Features,
    /// The root's table.
    pub root: usize,
    /// Names and tables so far.
    pub scopes: Vec<(String, usize)>,
    /// Columns in the key so far.
    pub keyed: Vec<Keyed>,
    /// For names of members.
    pub members: usize,
}

pub fn documents(random: &mut Random, tables: &[Table], features: &Features) -> Vec<Document> {
    let count = 1 + random.below(3);
    (0..count)
        .map(|number| document(random, tables, features, number))
        .collect()
}

fn document(random: &mut Random, tables: &[Table], features: &Features, number: usize) -> Document {
    let root = random.below(tables.len());
    let mut author = Author {
        random,
        tables,
        features,
        root,
        scopes: Vec::new(),
        keyed: Vec::new(),
        members: 0,
    };
    let name = format!("d{number}");
    let mut yaml = format!("document: {name}\nroot: {}\n", scalar(&[&tables[root].name]));
    yaml += &author.identity();
    let mut key = format!("{name}:{}", author.root_key());
    let mut scoped = String::new();
    let scopes = author.each(&mut scoped);
    key += &scoped;
    if !scopes.is_empty() {
        yaml += &format!("each:\n{}", scopes.concat());
    }
    yaml += &format!("key: {}\n", text(&key));
    let spot = Spot::top(root);
    if author.random.percent(20) {
        // Only the root's row is reached there.
        let scopes = std::mem::take(&mut author.scopes);
        let conditions = author.conditions(&spot, 2);
        author.scopes = scopes;
        yaml += &format!("where: {conditions}\n");
    }
    yaml += &author.visible();
    let mut keyed = std::mem::take(&mut author.keyed);
    yaml += &author.aliases(&name, &scoped, &mut keyed);
    yaml += &author.targets(&keyed);
    let (queries, mut body) = author.queries(&name);
    let mut members = Vec::new();
    for _ in 0..2 + author.random.below(4) {
        let member = author.member();
        body += &format!("  {member}: {}\n", author.value(&spot, 0));
        members.push(member);
    }
    yaml += &author.life(&members);
    yaml += &format!("{queries}body:\n{body}");
    Document { name, yaml }
}

impl Author<'_> {
    pub fn member(&mut self) -> String {
        self.members += 1;
        format!("m{}", self.members)
    }

    /// `id`, where the root has a second identity.
    fn identity(&mut self) -> String {
        match self.tables[self.root].unique {
            Some(column) if self.random.percent(40) => {
                format!(
                    "id: [{}]\n",
                    scalar(&[&self.tables[self.root].columns[column].name])
                )
            }
            _ => String::new(),
        }
    }

    /// Nearly always what tells the root's rows apart; sometimes not, or a null: then keys are missing or in conflict.
    fn root_key(&mut self) -> String {
        let table = &self.tables[self.root];
        let columns = match self.random.below(10) {
            0 => self.random.one_of(&keyable(table)).to_owned(),
            1 => table
                .unique
                .map_or_else(|| table.key.clone(), |column| vec![column]),
            _ => table.key.clone(),
        };
        self.placeholders("root", &columns, self.root)
    }

    fn placeholders(&mut self, qualifier: &str, columns: &[usize], table: usize) -> String {
        self.keyed.extend(columns.iter().map(|&column| Keyed {
            qualifier: qualifier.to_owned(),
            table,
            column,
        }));
        let names: Vec<String> = columns
            .iter()
            .map(|&column| {
                format!(
                    "{{{}}}",
                    name(&[qualifier, &self.tables[table].columns[column].name])
                )
            })
            .collect();
        // Digits stand in encoded values, too.
        names.join(self.random.pick(&[":", "-", "/", "A", "5"]))
    }

    /// Scopes, with what their rows add to the key.
    fn each(&mut self, key: &mut String) -> Vec<String> {
        let mut lines = Vec::new();
        let count = [0, 0, 1, 1, 2][self.random.below(5)];
        for number in 0..count {
            let scope = format!("s{number}");
            let Some((table, mut options, to_one)) = self.scope_link() else {
                continue;
            };
            let spot = Spot {
                via: options.via,
                is_scope: true,
                ..Spot::top(table)
            };
            // Names in `where` reach the scopes before this one.
            if self.random.percent(20) {
                options.text += &format!(", where: {}", self.conditions(&spot, 2));
            }
            if to_one && self.random.percent(50) {
                options.text += ", optional: true";
            }
            self.scopes.push((scope.clone(), table));
            if !to_one || self.random.percent(10) {
                let columns = match self.random.below(12) {
                    0 => self.random.one_of(&keyable(&self.tables[table])).clone(),
                    _ => self.tables[table].key.clone(),
                };
                *key += &format!(":{}", self.placeholders(&scope, &columns, table));
            }
            let table = scalar(&[&self.tables[table].name]);
            lines.push(format!("  {scope}: {{ table: {table}{} }}\n", options.text));
        }
        lines
    }

    /// Rows that name the root, counted and added up by the database; with a member that shows it.
    fn queries(&mut self, document: &str) -> (String, String) {
        let features = self.features;
        let [root_key] = self.tables[self.root].key[..] else {
            return Default::default();
        };
        let mut children = Vec::new();
        for table in self.tables {
            let keys = table.foreign.iter().filter(|key| key.table == self.root);
            children.extend(keys.map(|key| (table, key.columns[0])));
        }
        if children.is_empty() || !features.takes(self.random, "queries") {
            return Default::default();
        }
        let (child, column) = *self.random.one_of(&children);
        let (table, names_root) = (child.sql(), child.column(column));
        let sql = format!(
            "SELECT {names_root} AS root, CAST(count(*) AS integer) AS n FROM {table} WHERE {names_root} IS NOT NULL GROUP BY 1"
        );
        let depends = format!("SELECT {{{}}}", name(&[&child.columns[column].name]));
        let queries = format!(
            "queries:\n  q_{document}:\n    sql: {}\n    id: [root]\n    depends: {{ {}: {} }}\n",
            text(&sql),
            scalar(&[&child.name]),
            text(&depends)
        );
        let key = scalar(&[&self.tables[self.root].columns[root_key].name]);
        let member = match self.random.below(3) {
            0 => format!("{{ sum: {{ query: q_{document}.n }}, match: {{ root: {key} }} }}"),
            1 => format!("{{ count: {{ query: q_{document} }}, match: {{ root: {key} }} }}"),
            _ => format!("{{ one: {{ query: q_{document} }}, match: {{ root: {key} }}, body: n }}"),
        };
        (queries, format!("  {}: {member}\n", self.member()))
    }

    /// A second template, which begins differently. `keyed`: columns of the key; those stay that are here, too.
    fn aliases(&mut self, name: &str, scopes: &str, keyed: &mut Vec<Keyed>) -> String {
        let features = self.features;
        if !features.takes(self.random, "aliases") {
            return String::new();
        }
        let columns = match self.random.below(3) {
            0 => self.tables[self.root].key.clone(),
            _ => self.random.one_of(&keyable(&self.tables[self.root])).clone(),
        };
        let root = self.placeholders("root", &columns, self.root);
        keyed.retain(|keyed| keyed.qualifier != "root" || columns.contains(&keyed.column));
        format!("aliases: [{}]\n", text(&format!("also-{name}:{root}{scopes}")))
    }
}

/// Columns that may stand in a key.
fn keyable(table: &Table) -> Vec<Vec<usize>> {
    let fits = |&column: &usize| !matches!(table.columns[column].sort, Sort::Json | Sort::Float);
    (0..table.columns.len())
        .filter(fits)
        .map(|column| vec![column])
        .collect()
}

/// A name as documents write it.
pub fn name(parts: &[&str]) -> String {
    let part = |part: &&str| {
        if part.contains([' ', '.', '"']) {
            format!("\"{}\"", part.replace('"', "\"\""))
        } else {
            (*part).to_owned()
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(".")
}

/// A name as a scalar of YAML.
pub fn scalar(parts: &[&str]) -> String {
    format!("'{}'", name(parts).replace('\'', "''"))
}

/// Text as a scalar of YAML: JSON is YAML.
pub fn text(text: &str) -> String {
    serde_json::to_string(text).expect("JSON of a text")
}
