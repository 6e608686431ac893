//! Row images as sets: coalescing keeps every old and new value of every key and joining column, each once
//! (docs/adr/0003-images-as-sets.md). Pure.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_schema::wire::TableImages;

/// Values of the carried columns, as text.
type Image = Vec<Option<String>>;

/// Images by table and columns.
#[derive(Debug, Default)]
pub struct Images {
    sets: BTreeMap<(String, Vec<String>), BTreeSet<Image>>,
}

impl Images {
    /// Adds one image; what stands already is not added again.
    pub fn add(&mut self, table: &str, columns: &[String], row: Image) {
        match self.sets.get_mut(&(table.to_owned(), columns.to_vec())) {
            Some(set) => {
                set.insert(row);
            }
            None => {
                self.sets
                    .insert((table.to_owned(), columns.to_vec()), BTreeSet::from([row]));
            }
        }
    }

    /// How many images stand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.values().map(BTreeSet::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Cuts into works of at most `most` images each.
    #[must_use]
    pub fn cut(self, most: usize) -> Vec<Vec<TableImages>> {
        let mut works: Vec<Vec<TableImages>> = Vec::new();
        let mut room = 0;
        for ((table, columns), rows) in self.sets {
            let mut rows: Vec<_> = rows.into_iter().collect();
            while !rows.is_empty() {
                if room == 0 {
                    works.push(Vec::new());
                    room = most;
                }
                let rest = rows.split_off(room.min(rows.len()));
                room -= rows.len();
                if let Some(work) = works.last_mut() {
                    work.push(TableImages {
                        table: table.clone(),
                        columns: columns.clone(),
                        rows,
                    });
                }
                rows = rest;
            }
        }
        works
    }
}

/// Images of several messages as one set.
#[must_use]
pub fn merge(tables: Vec<TableImages>) -> Vec<TableImages> {
    let mut images = Images::default();
    for table in tables {
        for row in table.rows {
            images.add(&table.table, &table.columns, row);
        }
    }
    images.cut(usize::MAX).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_kept_each_once() {
        let columns = ["id".to_owned(), "parent".to_owned()];
        let image = |parent: &str| vec![Some("7".to_owned()), Some(parent.to_owned())];
        let mut images = Images::default();
        // A child moves 1 → 2, then 2 → 3: root 2 must not be forgotten.
        for parent in ["1", "2", "2", "3"] {
            images.add("child", &columns, image(parent));
        }
        let works = images.cut(100);
        assert_eq!(works[0][0].rows, [image("1"), image("2"), image("3")]);
    }

    #[test]
    fn works_are_bounded() {
        let mut images = Images::default();
        for i in 0..250 {
            images.add("a", &["id".to_owned()], vec![Some(i.to_string())]);
        }
        images.add("b", &["id".to_owned()], vec![None]);
        let sizes: Vec<usize> = images
            .cut(100)
            .iter()
            .map(|w| w.iter().map(|t| t.rows.len()).sum())
            .collect();
        assert_eq!(sizes, [100, 100, 51]);
    }
}
