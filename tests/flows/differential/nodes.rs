//! Random values of the body: columns, objects and nodes.

use super::{
    document::{Author, scalar, text},
    links::Options,
    model::{Sort, Table},
};

/// Where a value stands, as far as names go: indexes of tables.
#[derive(Debug, Clone)]
pub struct Spot {
    pub table: usize,
    pub via: Option<usize>,
    pub parent: Option<usize>,
    /// There is no enclosing row.
    pub is_scope: bool,
}

/// Nodes inside of nodes.
const DEEPEST: usize = 3;

impl Spot {
    pub fn top(table: usize) -> Self {
        Self {
            table,
            via: None,
            parent: None,
            is_scope: false,
        }
    }

    pub fn inside(&self, table: usize, via: Option<usize>) -> Self {
        Self {
            table,
            via,
            parent: Some(self.table),
            is_scope: false,
        }
    }
}

impl Author<'_> {
    /// Qualifiers of columns and their tables; the empty one is the row here.
    pub fn reachable(&self, spot: &Spot) -> Vec<(String, usize)> {
        let mut found = vec![(String::new(), spot.table), ("root".to_owned(), self.root)];
        found.extend(spot.parent.map(|table| ("parent".to_owned(), table)));
        found.extend(self.scopes.clone());
        found
    }

    pub fn value(&mut self, spot: &Spot, depth: usize) -> String {
        let features = self.features;
        for feature in ["lists", "merge", "sql", "ancestors", "tree"] {
            if depth < DEEPEST
                && features.takes(self.random, feature)
                && let Some(value) = self.special(feature, spot, depth)
            {
                return value;
            }
        }
        if features.takes(self.random, "aggregates")
            && let Some(value) = self.aggregate(spot)
        {
            return value;
        }
        let node = match self.random.below(if depth < DEEPEST { 16 } else { 6 }) {
            0..4 => None,
            4 => Some(format!("{{ text: {} }}", self.any_column(spot))),
            5 => Some(format!(
                "{{ value: {} }}",
                self.random.pick(&["7", "[1, x]", "{ a: null }", "'true'"])
            )),
            6 => Some(self.object(spot, depth)),
            7..9 => self.one(spot, depth),
            9..13 => self.many(spot, depth),
            13 => self.count(spot),
            _ => {
                let (a, b) = (self.entry(spot, depth), self.entry(spot, depth));
                Some(format!("{{ first: [{a}, {b}] }}"))
            }
        };
        node.unwrap_or_else(|| self.any_column(spot))
    }

    fn special(&mut self, feature: &str, spot: &Spot, depth: usize) -> Option<String> {
        match feature {
            "lists" => {
                let entries = [self.value(spot, depth + 1), self.any_column(spot)];
                Some(format!("[{}]", entries.join(", ")))
            }
            "merge" => {
                let (a, b) = (self.object(spot, depth), self.object(spot, depth));
                // Sometimes members of one name.
                let b = b.replacen(&format!("m{}", self.members), "m1", 1);
                Some(format!("{{ merge: [{a}, {b}] }}"))
            }
            "ancestors" => self.ancestors(spot, depth),
            "tree" => self.tree(spot, depth),
            "sql" => self
                .expression(spot)
                .map(|sql| format!("{{ sql: {} }}", text(&sql))),
            _ => None,
        }
    }

    fn ancestors(&mut self, spot: &Spot, depth: usize) -> Option<String> {
        let (table, options) = self.named_row(spot.table)?;
        let parent = self.parent(table)?;
        let body = self.body(&spot.inside(table, None), depth + 1);
        let (name, options) = (self.table_name(table), options.text);
        Some(format!(
            "{{ ancestors: {name}{options}, parent: {parent}, body: {body} }}"
        ))
    }

    fn tree(&mut self, spot: &Spot, depth: usize) -> Option<String> {
        let parent = self.parent(spot.table)?;
        let inside = spot.inside(spot.table, None);
        let mut options = String::new();
        if self.random.percent(30) {
            let start = self.conditions(&inside, 1);
            options += &format!(", start: {{ where: {start} }}");
        }
        if self.random.percent(30) {
            options += &format!(", where: {}", self.conditions(&inside, 1));
        }
        if self.random.percent(50) {
            options += &self.order(&inside);
        }
        let name = self.table_name(spot.table);
        let members = [self.any_column(&inside), self.value(&inside, depth + 2)];
        let body = members
            .map(|value| format!("{}: {value}", self.member()))
            .join(", ");
        Some(format!(
            "{{ tree: {name}, parent: {parent}{options}, body: {{ {body} }} }}"
        ))
    }

    /// The columns by which rows of a table name rows above them.
    fn parent(&self, table: usize) -> Option<String> {
        let key = self.tables[table].foreign.iter().find(|key| key.table == table)?;
        let names: Vec<String> = key
            .columns
            .iter()
            .map(|&column| scalar(&[&self.tables[table].columns[column].name]))
            .collect();
        Some(format!("[{}]", names.join(", ")))
    }

    /// Over a text or an integer: databases differ in the rest.
    fn expression(&mut self, spot: &Spot) -> Option<String> {
        let is_text = self.random.percent(50);
        let fits = |table: &Table, column: usize| match table.columns[column].sort {
            Sort::Text => is_text,
            Sort::Integer => !is_text,
            _ => false,
        };
        let mut column = || {
            let name = self.own_column(spot, fits)?;
            Some(format!("{{{}}}", name.trim_matches('\'').replace("''", "'")))
        };
        let (a, b) = (column()?, column()?);
        let shapes: [String; 3] = if is_text {
            [
                format!("lower({a})"),
                format!("upper({a}) || '-' || coalesce({b}, 'none')"),
                format!("coalesce({a}, {b})"),
            ]
        } else {
            [
                format!("({a} + 1) * 2"),
                format!("coalesce({a}, 0) - {b}"),
                format!("abs({a} - 100)"),
            ]
        };
        Some(self.random.one_of(&shapes).clone())
    }

    /// An entry of `first`: no object.
    fn entry(&mut self, spot: &Spot, depth: usize) -> String {
        if self.random.percent(30)
            && let Some(node) = self.one(spot, depth)
        {
            return node;
        }
        self.any_column(spot)
    }

    pub fn object(&mut self, spot: &Spot, depth: usize) -> String {
        let count = 1 + self.random.below(3);
        let members: Vec<String> = (0..count)
            .map(|_| format!("{}: {}", self.member(), self.value(spot, depth + 1)))
            .collect();
        if self.random.percent(15) {
            return format!(
                "{{ body: {{ first: {}, {} }} }}",
                self.any_column(spot),
                members.join(", ")
            );
        }
        format!("{{ {} }}", members.join(", "))
    }

    /// The body of a node.
    fn body(&mut self, spot: &Spot, depth: usize) -> String {
        match self.random.below(3) {
            0 => self.any_column(spot),
            1 => self.value(spot, depth + 1),
            _ => self.object(spot, depth + 1),
        }
    }

    fn one(&mut self, spot: &Spot, depth: usize) -> Option<String> {
        let (table, mut options) = if self.random.percent(70) {
            self.named_row(spot.table)?
        } else {
            let (table, mut options) = self.other_rows(spot)?;
            // What is inferred would be a foreign key of this row.
            if options.text.is_empty() {
                options = self.by_hand(spot.table, table)?;
            }
            let inside = spot.inside(table, options.via);
            options.text += &self.order(&inside);
            (table, options)
        };
        let inside = spot.inside(table, options.via);
        if self.random.percent(25) {
            options.text += &format!(", where: {}", self.conditions(&inside, 2));
        }
        let body = self.body(&inside, depth);
        Some(format!(
            "{{ one: {}{}, body: {body} }}",
            self.table_name(table),
            options.text
        ))
    }

    fn many(&mut self, spot: &Spot, depth: usize) -> Option<String> {
        let (table, mut options) = self.other_rows(spot)?;
        let inside = spot.inside(table, options.via);
        if self.random.percent(40) {
            options.text += &format!(", where: {}", self.conditions(&inside, 2));
        }
        if self.random.percent(50) {
            options.text += &self.order(&inside);
        }
        if self.random.percent(25) {
            options.text += &format!(", limit: {}", self.random.up_to(3));
        }
        let features = self.features;
        let body = if features.takes(self.random, "flat") {
            options.text += ", flat: true";
            let inner = self.many(&inside, DEEPEST.max(depth + 1));
            inner
                .filter(|inner| !inner.contains(", by: "))
                .unwrap_or_else(|| format!("[{}, {}]", self.any_column(&inside), self.any_column(&inside)))
        } else {
            self.body(&inside, depth)
        };
        if features.takes(self.random, "distinct") {
            options.text += ", distinct: true";
        } else if !options.text.contains("flat") && self.random.percent(20) {
            options.text += &self.by(&inside);
        }
        Some(format!(
            "{{ many: {}{}, body: {body} }}",
            self.table_name(table),
            options.text
        ))
    }

    fn by(&mut self, inside: &Spot) -> String {
        let fits =
            |table: &Table, column: usize| !matches!(table.columns[column].sort, Sort::Json | Sort::Float);
        let names: Vec<String> = (0..1 + self.random.below(2))
            .filter_map(|_| self.own_column(inside, fits))
            .collect();
        if names.is_empty() {
            return String::new();
        }
        format!(", by: [{}]", names.join(", "))
    }

    fn count(&mut self, spot: &Spot) -> Option<String> {
        let (table, mut options) = self.other_rows(spot)?;
        let inside = spot.inside(table, options.via);
        if self.random.percent(40) {
            options.text += &format!(", where: {}", self.conditions(&inside, 2));
        }
        Some(format!("{{ count: {}{} }}", self.table_name(table), options.text))
    }

    fn aggregate(&mut self, spot: &Spot) -> Option<String> {
        let (table, mut options) = self.other_rows(spot)?;
        let column = self.random.below(self.tables[table].columns.len());
        let (name, sort) = (
            &self.tables[table].columns[column].name,
            self.tables[table].columns[column].sort,
        );
        let functions: &[&str] = match sort {
            Sort::Boolean => &["any", "all"],
            sort if sort.is_number() => &["sum", "avg", "min", "max"],
            // Databases have no least UUID.
            Sort::Uuid => return None,
            sort if sort.is_ordered() => &["min", "max"],
            _ => return None,
        };
        let function = self.random.pick(functions);
        let column = scalar(&[&self.tables[table].name, name]);
        let inside = spot.inside(table, options.via);
        if self.random.percent(40) {
            options.text += &format!(", where: {}", self.conditions(&inside, 2));
        }
        Some(format!("{{ {function}: {column}{} }}", options.text))
    }

    /// The columns written out where inference would be meant the other way round.
    fn by_hand(&mut self, from: usize, table: usize) -> Option<Options> {
        let key = self.tables[table].foreign.iter().find(|key| key.table == from)?;
        let pair = |(column, named): (&usize, &usize)| {
            let (column, named) = (
                &self.tables[table].columns[*column].name,
                &self.tables[from].columns[*named].name,
            );
            format!("{}: {}", scalar(&[column]), scalar(&[named]))
        };
        let pairs: Vec<String> = key.columns.iter().zip(&self.tables[from].key).map(pair).collect();
        Some(Options {
            text: format!(", match: {{ {} }}", pairs.join(", ")),
            via: None,
        })
    }

    fn order(&mut self, inside: &Spot) -> String {
        let fits = |table: &Table, column: usize| table.columns[column].sort.is_ordered();
        let mut terms = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let Some(name) = self.own_column(inside, fits) else {
                continue;
            };
            let name = name.trim_matches('\'').replace("''", "'");
            terms.push(text(&format!("{}{name}", self.random.pick(&["", "-"]))));
        }
        if terms.is_empty() {
            return String::new();
        }
        format!(", order: [{}]", terms.join(", "))
    }

    pub fn table_name(&self, table: usize) -> String {
        scalar(&[&self.tables[table].name])
    }

    /// A column of the node's own row, of its junction, or of a row that a foreign key of these names.
    pub fn own_column(&mut self, spot: &Spot, fits: impl Fn(&Table, usize) -> bool) -> Option<String> {
        self.own_column_with_sort(spot, fits).map(|(name, _)| name)
    }

    pub fn own_column_with_sort(
        &mut self,
        spot: &Spot,
        fits: impl Fn(&Table, usize) -> bool,
    ) -> Option<(String, Sort)> {
        let via = spot.via.filter(|_| self.random.percent(30));
        let (qualifier, table) = via.map_or((None, spot.table), |via| (Some("via"), via));
        self.column_of(qualifier, table, &fits)
    }

    /// Of the row in that table, or of one that foreign keys name from there.
    pub fn column_of(
        &mut self,
        qualifier: Option<&str>,
        mut table: usize,
        fits: &impl Fn(&Table, usize) -> bool,
    ) -> Option<(String, Sort)> {
        let mut path: Vec<String> = qualifier.map(str::to_owned).into_iter().collect();
        let features = self.features;
        while path.len() < 3 && features.takes(self.random, "lookup") {
            let Some((step, to)) = self.step(table) else { break };
            path.push(step);
            table = to;
        }
        let columns: Vec<usize> = (0..self.tables[table].columns.len())
            .filter(|&column| fits(&self.tables[table], column))
            .collect();
        if columns.is_empty() {
            return None;
        }
        let column = &self.tables[table].columns[*self.random.one_of(&columns)];
        path.push(column.name.clone());
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        Some((scalar(&parts), column.sort))
    }

    /// A foreign key as a name may follow it: by its table where it is the only one there, else by its column.
    fn step(&mut self, table: usize) -> Option<(String, usize)> {
        let table = &self.tables[table];
        if table.foreign.is_empty() {
            return None;
        }
        let key = self.random.one_of(&table.foreign);
        let name = &self.tables[key.table].name;
        let is_column = table.columns.iter().any(|column| column.name == *name);
        if super::links::ways(table, key.table) == 1 && !is_column {
            return Some((name.clone(), key.table));
        }
        match key.columns.as_slice() {
            [column] => Some((table.columns[*column].name.clone(), key.table)),
            _ => None,
        }
    }

    /// Any column that names reach.
    pub fn any_column(&mut self, spot: &Spot) -> String {
        let all = |_: &Table, _: usize| true;
        let found = if self.random.percent(70) {
            self.own_column(spot, all)
        } else {
            let reachable = self.reachable(spot);
            let (qualifier, table) = self.random.one_of(&reachable).clone();
            self.column_of(Some(qualifier.as_str()).filter(|q| !q.is_empty()), table, &all)
                .map(|(name, _)| name)
        };
        found.expect("a table has columns")
    }
}
