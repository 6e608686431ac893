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

    /// Cuts into works of at most `most` images and `bytes` bytes each; a larger image is a work by itself.
    #[must_use]
    pub fn cut(self, most: usize, bytes: usize) -> Vec<Vec<TableImages>> {
        let mut works: Vec<Vec<TableImages>> = Vec::new();
        let (mut images, mut held) = (0, 0);
        for ((table, columns), rows) in self.sets {
            let mut begun = false;
            for row in rows {
                let size = size(&row);
                if works.is_empty() || images == most || held + size > bytes {
                    works.push(Vec::new());
                    (images, held, begun) = (0, 0, false);
                }
                (images, held) = (images + 1, held + size);
                let Some(work) = works.last_mut() else { continue };
                if !begun {
                    work.push(TableImages {
                        table: table.clone(),
                        columns: columns.clone(),
                        rows: Vec::new(),
                    });
                    begun = true;
                }
                if let Some(images) = work.last_mut() {
                    images.rows.push(row);
                }
            }
        }
        works
    }
}

fn size(image: &Image) -> usize {
    image.iter().flatten().map(String::len).sum::<usize>() + 4 * image.len()
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
    images.cut(usize::MAX, usize::MAX).into_iter().flatten().collect()
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
        let works = images.cut(100, usize::MAX);
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
            .cut(100, usize::MAX)
            .iter()
            .map(|w| w.iter().map(|t| t.rows.len()).sum())
            .collect();
        assert_eq!(sizes, [100, 100, 51]);
    }

    #[test]
    fn works_are_bounded_by_bytes() {
        let mut images = Images::default();
        for (table, bytes) in [("a", 40), ("a", 41), ("b", 10), ("b", 900), ("b", 11)] {
            let text = "x".repeat(bytes);
            images.add(table, &["id".to_owned()], vec![Some(text)]);
        }
        let works = images.cut(100, 100);
        let tables = |work: &Vec<TableImages>| {
            work.iter()
                .map(|t| (t.table.clone(), t.rows.len()))
                .collect::<Vec<_>>()
        };
        let works: Vec<_> = works.iter().map(tables).collect();
        let (a, b) = (|rows| ("a".to_owned(), rows), |rows| ("b".to_owned(), rows));
        assert_eq!(works, [vec![a(2)], vec![b(2)], vec![b(1)]]);
    }
}
