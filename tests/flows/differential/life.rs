//! Random top-level keys: when a document shows, what stays of it, who says that it changed, where it goes.

use super::{
    document::{Author, scalar, text},
    model::Sort,
};

/// The one target that a case may have.
pub const TARGET: &str = "shelf";

/// A column that stands in the key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// `root` or a scope.
    pub qualifier: String,
    pub table: usize,
    pub column: usize,
}

impl Author<'_> {
    /// Times of the root's row, or of one that it names. They are long ago or far away: only a statement opens or closes
    /// what shows.
    pub fn visible(&mut self) -> String {
        let features = self.features;
        if !features.takes(self.random, "visible") {
            return String::new();
        }
        let is_time = |sort| matches!(sort, Sort::Date | Sort::Timestamp | Sort::TimestampTz);
        let mut bounds = Vec::new();
        for bound in ["from", "until"] {
            if self.random.percent(70) {
                let column = self.column_of(None, self.root, &|table, column| {
                    is_time(table.columns[column].sort)
                });
                bounds.extend(column.map(|(name, _)| format!("{bound}: {name}")));
            }
        }
        if bounds.is_empty() {
            return String::new();
        }
        format!("visible: {{ {} }}\n", bounds.join(", "))
    }

    /// `members`: the names at the top of the body.
    pub fn life(&mut self, members: &[String]) -> String {
        let features = self.features;
        let mut yaml = String::new();
        for list in ["unhashed", "tombstone"] {
            if members.len() > 2 && features.takes(self.random, list) {
                let mut some = members.to_vec();
                self.random.shuffle(&mut some);
                some.truncate(1 + self.random.below(2));
                yaml += &format!("{list}: [{}]\n", some.join(", "));
            }
        }
        for (feature, line) in [("absent", "absent: keep\n"), ("manual", "capture: manual\n")] {
            if features.takes(self.random, feature) {
                yaml += line;
            }
        }
        yaml
    }

    /// The target, with a filter over a column or two that stand in the key, and in each alias.
    pub fn targets(&mut self, keyed: &[Keyed]) -> String {
        let features = self.features;
        let sort = |keyed: &Keyed| self.tables[keyed.table].columns[keyed.column].sort;
        let fits = |keyed: &&Keyed| {
            matches!(
                sort(keyed),
                Sort::Text
                    | Sort::Integer
                    | Sort::Bigint
                    | Sort::Boolean
                    | Sort::Mood
                    | Sort::Uuid
                    | Sort::Date
            )
        };
        let mut fitting: Vec<Keyed> = keyed.iter().filter(fits).cloned().collect();
        if fitting.is_empty() || !features.takes(self.random, "only") {
            return String::new();
        }
        self.random.shuffle(&mut fitting);
        fitting.truncate(1 + self.random.below(2));
        let filters: Vec<String> = fitting.iter().map(|keyed| self.filter(keyed)).collect();
        format!("targets:\n  {TARGET}: {{ only: {{ {} }} }}\n", filters.join(", "))
    }

    fn filter(&mut self, keyed: &Keyed) -> String {
        let column = &self.tables[keyed.table].columns[keyed.column];
        let name = scalar(&[&keyed.qualifier, &column.name]);
        let mut values: Vec<String> = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            let value = column.sort.value(self.random);
            let value = match column.sort {
                Sort::Integer | Sort::Bigint | Sort::Boolean => value,
                _ => text(&value),
            };
            if !values.contains(&value) {
                values.push(value);
            }
        }
        format!("{name}: [{}]", values.join(", "))
    }
}
