//! "Did you mean": the nearest name by edit distance.

/// `did you mean "x"?` for the candidate nearest to `wrong`, where one is near enough to be a slip.
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, candidates).map(|name| format!("did you mean \"{name}\"?"))
}

/// The candidate with the fewest slips, if they are at most a third of its letters. Case counts as nothing.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = letters(wrong);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wrong, &letters(candidate)), candidate))
        .filter(|(slips, candidate)| *slips <= (candidate.chars().count().max(wrong.len()) / 3).min(3))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

fn letters(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_named_and_strangers_are_not() {
        assert_eq!(nearest("nmae", ["sku", "name", "names"]), Some("name"));
        assert_eq!(nearest("Produkt", ["product", "price"]), Some("product"));
        assert_eq!(nearest("id", ["sku", "colour"]), None);
        assert_eq!(nearest("x", ["sku", "name"]), None);
        assert_eq!(
            did_you_mean("wher", ["where", "via"]).as_deref(),
            Some("did you mean \"where\"?")
        );
    }
}
