//! Two texts line by line: a unified diff for people.

/// Equal lines that are shown around what differs.
const AROUND: usize = 2;

/// Above this many comparisons a diff names everything: nobody reads one of that size.
const MOST_COMPARISONS: usize = 4_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// What differs, in hunks that begin with `@@ -line,lines +line,lines @@`; `None` where the texts are equal.
#[must_use]
pub fn diff(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (split(old), split(new));
    Some(hunks(&align(&old, &new)))
}

/// Lines with their ends, so that a missing last one shows.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn align<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[same..], &new[same..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (
        &old_rest[..old_rest.len() - end],
        &new_rest[..new_rest.len() - end],
    );
    let mut lines: Vec<Line<'a>> = old[..same].iter().map(|line| Line::Both(line)).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(old[old.len() - end..].iter().map(|line| Line::Both(line)));
    lines
}

/// The longest common subsequence, walked from its table.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (rows, columns) = (old.len(), new.len());
    if rows.saturating_mul(columns) > MOST_COMPARISONS {
        let gone = old.iter().map(|line| Line::Old(line));
        return gone.chain(new.iter().map(|line| Line::New(line))).collect();
    }
    let width = columns + 1;
    // How many lines are common from here to the end.
    let mut common = vec![0_u32; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < rows || j < columns {
        if i < rows && j < columns && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < rows && (j == columns || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

fn hunks(lines: &[Line<'_>]) -> String {
    let near = |at: usize| {
        let window = &lines[at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len())];
        window.iter().any(|line| !matches!(line, Line::Both(_)))
    };
    let (mut out, mut at) = (String::new(), 0);
    // Lines before the next one, of each text.
    let (mut old, mut new) = (0, 0);
    while at < lines.len() {
        let length = (at..lines.len()).take_while(|at| near(*at)).count();
        if length == 0 {
            (old, new, at) = (old + 1, new + 1, at + 1);
            continue;
        }
        let hunk = &lines[at..at + length];
        let count = |other: fn(&Line<'_>) -> bool| hunk.iter().filter(|line| !other(line)).count();
        let olds = count(|line| matches!(line, Line::New(_)));
        let news = count(|line| matches!(line, Line::Old(_)));
        // Of no lines, the one before them.
        let (first_old, first_new) = (old + usize::from(olds > 0), new + usize::from(news > 0));
        out.push_str(&format!("@@ -{first_old},{olds} +{first_new},{news} @@\n"));
        hunk.iter().for_each(|line| write(line, &mut out));
        (old, new, at) = (old + olds, new + news, at + length);
    }
    out
}

fn write(line: &Line<'_>, out: &mut String) {
    let (sign, text) = match line {
        Line::Both(text) => (' ', text),
        Line::Old(text) => ('-', text),
        Line::New(text) => ('+', text),
    };
    out.push(sign);
    out.push_str(text);
    if !text.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_differs_and_a_little_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let new = "a\nb\nc\nD\ne\nf\ng\nh\ni\nj\n";
        let expected = "@@ -2,5 +2,5 @@\n b\n c\n-d\n+D\n e\n f\n@@ -8,2 +8,3 @@\n h\n i\n+j\n";
        assert_eq!(diff(old, new).as_deref(), Some(expected));
        assert_eq!(diff(old, old), None);
    }

    #[test]
    fn lines_that_moved_and_ends_without_a_newline() {
        assert_eq!(
            diff("a\nb\nc\n", "b\nc\na").as_deref(),
            Some("@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n\\ No newline at end of file\n")
        );
        assert_eq!(diff("", "a\n").as_deref(), Some("@@ -0,0 +1,1 @@\n+a\n"));
    }

    /// Both texts can be read back out of a diff that shows everything.
    #[test]
    fn alignment_keeps_both_texts() {
        let texts = ["", "a\n", "a\nb\na\n", "b\na\nb\n", "c\na\nc\nb\n", "a\nb\na\nb"];
        for (old, new) in texts.iter().flat_map(|old| texts.map(|new| (*old, new))) {
            let lines = align(&split(old), &split(new));
            let of = |skip: fn(&Line<'_>) -> bool| {
                let kept = lines.iter().filter(|line| !skip(line));
                kept.map(|line| match line {
                    Line::Both(text) | Line::Old(text) | Line::New(text) => *text,
                })
                .collect::<String>()
            };
            assert_eq!(of(|line| matches!(line, Line::New(_))), *old);
            assert_eq!(of(|line| matches!(line, Line::Old(_))), new);
        }
    }
}
