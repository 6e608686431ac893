//! Random conditions of `where`.

use super::{
    document::{Author, scalar, text},
    model::Sort,
    nodes::Spot,
};

impl Author<'_> {
    /// At most so many, as a map.
    pub fn conditions(&mut self, spot: &Spot, most: usize) -> String {
        let mut entries: Vec<(String, String)> = Vec::new();
        for _ in 0..1 + self.random.below(most) {
            let (name, sort) = self
                .own_column_with_sort(spot, |_, _| true)
                .expect("a table has columns");
            if entries.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let test = self.test(spot, sort);
            entries.push((name, test));
        }
        let features = self.features;
        if features.takes(self.random, "exists")
            && let Some(rows) = self.beside(spot)
        {
            let word = self.random.pick(&["exists", "missing"]);
            entries.push((word.to_owned(), rows));
        }
        let entries: Vec<String> = entries
            .iter()
            .map(|(name, test)| format!("{name}: {test}"))
            .collect();
        format!("{{ {} }}", entries.join(", "))
    }

    /// Rows of another table that meet this row.
    fn beside(&mut self, spot: &Spot) -> Option<String> {
        let (table, mut options) = if self.random.percent(30) {
            self.named_row(spot.table)?
        } else {
            self.other_rows(spot)?
        };
        // In either direction: so it must be said which where there are several.
        if options.text.is_empty() && self.ways_between(spot.table, table) != 1 {
            return None;
        }
        if self.random.percent(50) {
            let inside = spot.inside(table, options.via);
            options.text += &format!(", where: {}", self.conditions(&inside, 1));
        }
        Some(format!("{{ table: {}{} }}", self.table_name(table), options.text))
    }

    fn test(&mut self, spot: &Spot, sort: Sort) -> String {
        let features = self.features;
        if !sort.is_ordered() {
            return if features.takes(self.random, "tests") {
                "{ not: null }".to_owned()
            } else {
                "null".to_owned()
            };
        }
        if features.takes(self.random, "tests") {
            let one = self.operand(spot, sort);
            return match self.random.below(6) {
                0 => format!("[{}, {}]", self.constant(sort), self.constant(sort)),
                1 => format!("{{ not: {one} }}"),
                2 => format!("{{ not: [{}, {}] }}", self.constant(sort), self.constant(sort)),
                3 => "{ not: null }".to_owned(),
                4 => self.several_tests(spot, sort),
                _ => {
                    let word = self.random.pick(&["gt", "gte", "lt", "lte"]);
                    format!("{{ {word}: {one} }}")
                }
            };
        }
        match self.random.below(5) {
            0 => "null".to_owned(),
            _ => self.operand(spot, sort),
        }
    }

    /// Two or three that must all hold.
    fn several_tests(&mut self, spot: &Spot, sort: Sort) -> String {
        let (least, most) = (self.random.pick(&["gt", "gte"]), self.random.pick(&["lt", "lte"]));
        let mut words = vec![least, most, "not"];
        if self.random.percent(60) {
            words.remove(self.random.below(3));
        }
        let tests: Vec<String> = words
            .into_iter()
            .map(|word| format!("{word}: {}", self.operand(spot, sort)))
            .collect();
        format!("{{ {} }}", tests.join(", "))
    }

    /// A constant, or a column that is reached by a qualified name.
    fn operand(&mut self, spot: &Spot, sort: Sort) -> String {
        let mut columns = Vec::new();
        for (qualifier, table) in self
            .reachable(spot)
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
        {
            for column in self.tables[table]
                .columns
                .iter()
                .filter(|column| column.sort == sort)
            {
                columns.push(scalar(&[&qualifier, &column.name]));
            }
        }
        if !columns.is_empty() && self.random.percent(40) {
            return self.random.one_of(&columns).clone();
        }
        self.constant(sort)
    }

    fn constant(&mut self, sort: Sort) -> String {
        let value = sort.value(self.random);
        match sort {
            Sort::Integer | Sort::Bigint | Sort::Numeric(_) | Sort::Float | Sort::Boolean => value,
            _ => text(&value),
        }
    }
}
