//! Ways from a row to rows of other tables.

use super::{
    document::{Author, scalar},
    model::{Foreign, Table},
    nodes::Spot,
};

/// Options of a node that say which rows, and the junction by which they are reached.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// With a comma before each.
    pub text: String,
    pub via: Option<usize>,
}

impl Author<'_> {
    /// The row that a foreign key of this row names.
    pub fn named_row(&mut self, from: usize) -> Option<(usize, Options)> {
        let table = &self.tables[from];
        if table.foreign.is_empty() {
            return None;
        }
        let key = self.random.one_of(&table.foreign).clone();
        let text = if ways(table, key.table) == 1 {
            String::new()
        } else {
            let named = &self.tables[key.table];
            pairs(named, &named.key, table, &key.columns, "")
        };
        Some((key.table, Options { text, via: None }))
    }

    /// Rows that name this row, or are joined to it by a junction or by equal columns.
    pub fn other_rows(&mut self, spot: &Spot) -> Option<(usize, Options)> {
        let features = self.features;
        if features.takes(self.random, "hops")
            && let Some(way) = self.through_hops(spot.table)
        {
            return Some(way);
        }
        match self.random.below(10) {
            0..5 => self.children(spot.table, ""),
            5..8 => self.through_junction(spot.table, true),
            _ => self.by_match(spot),
        }
        .or_else(|| self.by_match(spot))
    }

    fn children(&mut self, from: usize, prefix: &str) -> Option<(usize, Options)> {
        let mut found: Vec<(usize, Foreign)> = Vec::new();
        for (number, table) in self.tables.iter().enumerate() {
            let keys = table.foreign.iter().filter(|key| key.table == from);
            found.extend(keys.map(|key| (number, key.clone())));
        }
        if found.is_empty() {
            return None;
        }
        let (to, key) = self.random.one_of(&found).clone();
        let (table, here) = (&self.tables[to], &self.tables[from]);
        let text = if ways(table, from) == 1 && prefix.is_empty() {
            String::new()
        } else {
            pairs(table, &key.columns, here, &here.key, prefix)
        };
        Some((to, Options { text, via: None }))
    }

    /// `named`: always with the columns, because a scope can start from several rows.
    fn through_junction(&mut self, from: usize, may_infer: bool) -> Option<(usize, Options)> {
        let mut found = Vec::new();
        for (junction, table) in self.tables.iter().enumerate() {
            for near in table.foreign.iter().filter(|key| key.table == from) {
                let others = table.foreign.iter().filter(|far| far.columns != near.columns);
                found.extend(others.map(|far| (junction, near.clone(), far.clone())));
            }
        }
        if found.is_empty() {
            return None;
        }
        let (junction, near, far) = self.random.one_of(&found).clone();
        let table = &self.tables[junction];
        let alike = |way: &&(usize, Foreign, Foreign)| way.0 == junction && way.2.table == far.table;
        let name = scalar(&[&table.name]);
        let text = if may_infer && found.iter().filter(alike).count() == 1 {
            format!(", via: {name}")
        } else {
            format!(
                ", via: {{ table: {name}, from: {}, to: {} }}",
                list(table, &near.columns),
                list(table, &far.columns)
            )
        };
        let via = Some(junction);
        Some((far.table, Options { text, via }))
    }

    /// One to three steps along foreign keys in either direction, each the only one between its tables.
    fn through_hops(&mut self, from: usize) -> Option<(usize, Options)> {
        let path = self.path(from);
        self.over(&path)
    }

    /// From the first of these tables over all between to the last.
    fn over(&self, path: &[usize]) -> Option<(usize, Options)> {
        let [_, hops @ .., to] = path else { return None };
        let last = *hops.last()?;
        let names: Vec<String> = hops.iter().map(|&table| self.table_name(table)).collect();
        let text = format!(", via: [{}]", names.join(", "));
        let via = Some(last);
        Some((*to, Options { text, via }))
    }

    /// Tables, the first one included.
    fn path(&mut self, from: usize) -> Vec<usize> {
        let mut path = vec![from];
        for _ in 0..2 + self.random.below(2) {
            let at = path[path.len() - 1];
            let next: Vec<usize> = (0..self.tables.len())
                .filter(|&table| self.ways_between(at, table) == 1)
                .collect();
            if next.is_empty() {
                break;
            }
            path.push(*self.random.one_of(&next));
        }
        path
    }

    /// Rows with an equal column; sometimes one of the root or a scope.
    pub fn by_match(&mut self, spot: &Spot) -> Option<(usize, Options)> {
        let to = self.random.below(self.tables.len());
        let mut choices = Vec::new();
        let mut starts = self.reachable(spot);
        // Here the enclosing row is the one that the node stands in.
        starts.retain(|(name, _)| name != "parent");
        if !spot.is_scope {
            starts.push(("parent".to_owned(), spot.table));
        }
        for (left, column) in self.tables[to].columns.iter().enumerate() {
            for (qualifier, start) in &starts {
                for right in &self.tables[*start].columns {
                    if right.sort == column.sort && column.sort.is_ordered() {
                        choices.push((left, qualifier.clone(), right.name.clone()));
                    }
                }
            }
        }
        if choices.is_empty() {
            return None;
        }
        let (left, qualifier, right) = self.random.one_of(&choices).clone();
        let left = scalar(&[&self.tables[to].columns[left].name]);
        let right = match qualifier.as_str() {
            "" => scalar(&[&right]),
            qualifier => scalar(&[qualifier, &right]),
        };
        let text = format!(", match: {{ {left}: {right} }}");
        Some((to, Options { text, via: None }))
    }

    /// How a scope meets the root or a scope before it; with whether it gives at most one row.
    pub fn scope_link(&mut self) -> Option<(usize, Options, bool)> {
        let starts: Vec<(String, usize)> = std::iter::once(("root".to_owned(), self.root))
            .chain(self.scopes.clone())
            .collect();
        let (name, from) = self.random.one_of(&starts).clone();
        let to_many = |(table, options)| (table, options, false);
        match self.random.below(12) {
            0..3 => {
                let table = &self.tables[from];
                if table.foreign.is_empty() {
                    return None;
                }
                let key = self.random.one_of(&table.foreign).clone();
                let named = &self.tables[key.table];
                let text = self
                    .inferred(key.table)
                    .unwrap_or_else(|| pairs(named, &named.key, table, &key.columns, &format!("{name}.")));
                Some((key.table, Options { text, via: None }, true))
            }
            3..6 => self.children(from, &format!("{name}.")).map(to_many),
            6..8 => {
                // From one row only, else the junction could be meant from several.
                let others = starts.iter().filter(|(_, table)| *table == from).count();
                let way = self.through_junction(from, false).filter(|_| others == 1);
                way.map(to_many)
            }
            8 => {
                let to = self.random.below(self.tables.len());
                let connected = starts.iter().any(|(_, start)| self.ways_between(*start, to) > 0);
                (!connected).then(|| (to, Options::default(), false))
            }
            9..11 => {
                // From one row only: no other may meet the first of them.
                let path = self.path(from);
                let first = *path.get(1)?;
                let meets = starts
                    .iter()
                    .filter(|(_, table)| self.ways_between(*table, first) > 0);
                let is_one = meets.count() == 1;
                self.over(&path).filter(|_| is_one).map(to_many)
            }
            _ => {
                // On the right bare names are the root's.
                let spot = Spot {
                    is_scope: true,
                    ..Spot::top(self.root)
                };
                self.by_match(&spot).map(to_many)
            }
        }
    }

    /// Nothing to write, where exactly one foreign key leads from the rows so far to a table.
    fn inferred(&self, to: usize) -> Option<String> {
        let starts = std::iter::once(self.root).chain(self.scopes.iter().map(|(_, table)| *table));
        let all: usize = starts.map(|start| self.ways_between(start, to)).sum();
        (all == 1).then(String::new)
    }

    pub fn ways_between(&self, a: usize, b: usize) -> usize {
        ways(&self.tables[a], b) + ways(&self.tables[b], a)
    }
}

/// Foreign keys of a table that name another.
pub fn ways(table: &Table, to: usize) -> usize {
    table.foreign.iter().filter(|key| key.table == to).count()
}

fn pairs(left: &Table, columns: &[usize], right: &Table, others: &[usize], prefix: &str) -> String {
    let pair = |(column, other): (&usize, &usize)| {
        let (column, other) = (&left.columns[*column].name, &right.columns[*other].name);
        let other = match prefix.strip_suffix('.') {
            Some(prefix) => scalar(&[prefix, other]),
            None => scalar(&[other]),
        };
        format!("{}: {other}", scalar(&[column]))
    };
    let all: Vec<String> = columns.iter().zip(others).map(pair).collect();
    format!(", match: {{ {} }}", all.join(", "))
}

fn list(table: &Table, columns: &[usize]) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|&column| scalar(&[&table.columns[column].name]))
        .collect();
    format!("[{}]", names.join(", "))
}
