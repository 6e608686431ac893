//! Stored failures: one by one, by their cause, and those that a person chose.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::LONGEST_DELAY;
use crate::store::{Store, numbers};

/// A stored failure. Times are microseconds since 1970 by the database clock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    pub id: i64,
    pub stage: String,
    pub document: String,
    pub root: Option<String>,
    pub key: Option<String>,
    pub target: Option<String>,
    pub class: String,
    pub error: String,
    pub attempts: i64,
    /// How many of them met a permanent error.
    pub permanent: i64,
    /// Since when there are only transient errors; none where the last one was permanent.
    pub transient_since: Option<i64>,
    pub first_at: i64,
    pub last_at: i64,
    /// None: no attempt will be made by itself.
    pub next_attempt: Option<i64>,
    /// Why no attempt will be made by itself.
    pub given_up: Option<String>,
    /// Oldest change that waits for this.
    pub changed_at: i64,
    pub revision: Option<i64>,
    #[serde(skip)]
    pub payload: Option<String>,
}

pub(super) const COLUMNS: &str = "id, stage, document, root, key, target, class, error, payload, attempts, permanent, \
    transient_since, first_at, last_at, next_attempt, given_up, changed_at, revision";

pub(super) fn read(row: &QueryResult) -> Result<Failure, DbErr> {
    Ok(Failure {
        id: row.try_get("", "id")?,
        stage: row.try_get("", "stage")?,
        document: row.try_get("", "document")?,
        root: row.try_get("", "root")?,
        key: row.try_get("", "key")?,
        target: row.try_get("", "target")?,
        class: row.try_get("", "class")?,
        error: row.try_get("", "error")?,
        payload: row.try_get("", "payload")?,
        attempts: row.try_get("", "attempts")?,
        permanent: row.try_get("", "permanent")?,
        transient_since: row.try_get("", "transient_since")?,
        first_at: row.try_get("", "first_at")?,
        last_at: row.try_get("", "last_at")?,
        next_attempt: row.try_get("", "next_attempt")?,
        given_up: row.try_get("", "given_up")?,
        changed_at: row.try_get("", "changed_at")?,
        revision: row.try_get("", "revision")?,
    })
}

/// Which failures; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub ids: Option<Vec<i64>>,
    pub document: Option<String>,
    pub target: Option<String>,
    pub class: Option<String>,
    /// None that came after this one.
    pub up_to: Option<i64>,
}

impl Filter {
    /// A condition on `failure`, and the values of its parameters, which begin with this number.
    fn condition(&self, store: &Store, mut parameter: usize) -> (String, Vec<Value>) {
        let (mut parts, mut values) = (vec!["1 = 1".to_owned()], Vec::new());
        if let Some(ids) = &self.ids {
            parts.push(store.dialect().is_among("id", parameter));
            values.push(numbers(store.dialect(), ids));
            parameter += 1;
        }
        let equal = [
            ("document", &self.document),
            ("target", &self.target),
            ("class", &self.class),
        ];
        for (column, value) in equal {
            if let Some(value) = value {
                parts.push(format!("{column} = ${parameter}"));
                values.push(value.clone().into());
                parameter += 1;
            }
        }
        if let Some(last) = self.up_to {
            parts.push(format!("id <= ${parameter}"));
            values.push(last.into());
        }
        (parts.join(" AND "), values)
    }
}

/// One page of failures after this id, oldest first, at most `limit`.
///
/// # Errors
/// Of the database.
pub async fn list(
    conn: &impl ConnectionTrait,
    store: &Store,
    filter: &Filter,
    after: i64,
    limit: u64,
) -> Result<Vec<Failure>, DbErr> {
    let (condition, mut values) = filter.condition(store, 2);
    values.insert(0, after.into());
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE id > $1 AND {condition} ORDER BY id LIMIT {limit}",
        store.names.table("failure")
    );
    let rows = conn.query_all_raw(store.sql(sql, values)).await?;
    rows.iter().map(read).collect()
}

/// # Errors
/// Of the database.
pub async fn get(conn: &impl ConnectionTrait, store: &Store, id: i64) -> Result<Option<Failure>, DbErr> {
    let filter = Filter {
        ids: Some(vec![id]),
        ..Filter::default()
    };
    Ok(list(conn, store, &filter, i64::MIN, 1).await?.pop())
}

/// What these came to until now no longer counts: they are tried again, now, because somebody asks for it.
///
/// # Errors
/// Of the database.
pub async fn forgive(txn: &impl ConnectionTrait, store: &Store, ids: &[i64]) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE {} SET permanent = 0, transient_since = NULL, given_up = NULL, next_attempt = {} + {LONGEST_DELAY} WHERE {}",
        store.names.table("failure"),
        store.dialect().now(),
        store.dialect().is_among("id", 1),
    );
    txn.execute_raw(store.sql(sql, [numbers(store.dialect(), ids)]))
        .await?;
    Ok(())
}

/// Takes failures away. Gives how many.
///
/// # Errors
/// Of the database.
pub async fn remove(conn: &impl ConnectionTrait, store: &Store, filter: &Filter) -> Result<u64, DbErr> {
    let (condition, values) = filter.condition(store, 1);
    let sql = format!("DELETE FROM {} WHERE {condition}", store.names.table("failure"));
    Ok(conn.execute_raw(store.sql(sql, values)).await?.rows_affected())
}

/// Failures with one cause.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Group {
    pub document: String,
    pub stage: String,
    pub target: Option<String>,
    pub class: String,
    /// What their errors have in common: keys, roots, quoted values and numbers are left out.
    pub error: String,
    pub count: i64,
    /// How many of them are not tried again by themselves.
    pub given_up: i64,
    /// When the first of them failed first.
    pub oldest: i64,
    /// When the last of them failed last.
    pub newest: i64,
    /// When the first of them is tried again.
    pub next_attempt: Option<i64>,
    /// The oldest of them, to look at with `failures show`.
    pub sample: i64,
    /// The newest of them.
    #[serde(skip)]
    pub last: i64,
}

/// Failures that one look reads.
const PAGE: u64 = 1_000;

/// By their causes, the largest group first.
///
/// # Errors
/// Of the database.
pub async fn groups(
    conn: &impl ConnectionTrait,
    store: &Store,
    filter: &Filter,
) -> Result<Vec<Group>, DbErr> {
    let mut groups: HashMap<[String; 5], Group> = HashMap::new();
    let mut after = i64::MIN;
    loop {
        let page = list(conn, store, filter, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for failure in page {
            add(&mut groups, failure);
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| (-group.count, group.sample));
    Ok(groups)
}

fn add(groups: &mut HashMap<[String; 5], Group>, failure: Failure) {
    let error = normalised(&failure);
    let cause = [
        failure.document.clone(),
        failure.stage.clone(),
        failure.target.clone().unwrap_or_default(),
        failure.class.clone(),
        error.clone(),
    ];
    let group = groups.entry(cause).or_insert_with(|| Group {
        document: failure.document,
        stage: failure.stage,
        target: failure.target,
        class: failure.class,
        error,
        count: 0,
        given_up: 0,
        oldest: failure.first_at,
        newest: failure.last_at,
        next_attempt: None,
        sample: failure.id,
        last: failure.id,
    });
    group.count += 1;
    group.last = group.last.max(failure.id);
    group.given_up += i64::from(failure.next_attempt.is_none());
    group.oldest = group.oldest.min(failure.first_at);
    group.newest = group.newest.max(failure.last_at);
    group.next_attempt = match (group.next_attempt, failure.next_attempt) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// Longest text of a cause, in characters.
const LONGEST_CAUSE: usize = 300;

/// An error without what only this item says: its key and root, quoted values, and numbers.
fn normalised(failure: &Failure) -> String {
    let mut text = failure.error.clone();
    for own in [&failure.key, &failure.root].into_iter().flatten() {
        text = without_word(&text, own);
    }
    let text = without_numbers(&without_quoted(&text));
    text.chars().take(LONGEST_CAUSE).collect()
}

/// `word` replaced where it stands by itself.
fn without_word(text: &str, word: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let begins = before.chars().next_back().or(out.chars().next_back());
        let alone = !begins.is_some_and(part) && !after.chars().next().is_some_and(part);
        out.push_str(before);
        out.push_str(if alone { "…" } else { word });
        rest = after;
    }
    out + rest
}

/// What stands between quotes of one kind; an apostrophe inside a word is none.
fn without_quoted(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        let apostrophe = quote == "'"
            && rest[..at]
                .chars()
                .next_back()
                .or(out.chars().next_back())
                .is_some_and(char::is_alphanumeric);
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        if let (false, Some(end)) = (apostrophe, rest.find(quote)) {
            out.push('…');
            out.push_str(quote);
            rest = &rest[end + 1..];
        }
    }
    out + rest
}

/// Each word that begins with a digit.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut skipping = false;
    for c in text.chars() {
        skipping = if skipping {
            c.is_alphanumeric() || (matches!(c, '-' | '.' | ':') && before.is_alphanumeric())
        } else {
            c.is_ascii_digit() && !before.is_alphanumeric() && before != '_'
        };
        if !skipping {
            // What ends a sentence is no part of a number.
            if matches!(before, '.' | ':' | '-') && out.ends_with('#') {
                out.push(before);
            }
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(key: Option<&str>, root: Option<&str>, error: &str) -> Failure {
        Failure {
            id: 1,
            stage: "sync".into(),
            document: "product".into(),
            root: root.map(str::to_owned),
            key: key.map(str::to_owned),
            target: None,
            class: "mapping".into(),
            error: error.into(),
            attempts: 1,
            permanent: 1,
            transient_since: None,
            first_at: 1,
            last_at: 1,
            next_attempt: Some(1),
            given_up: None,
            changed_at: 1,
            revision: None,
            payload: None,
        }
    }

    #[test]
    fn what_only_one_item_says_is_left_out_of_the_cause() {
        let cases = [
            (
                failure(
                    Some("brand:Alder"),
                    Some("2"),
                    "key \"brand:Alder\" of root 2 is held by root 17: two live roots make the same key",
                ),
                "key \"…\" of root … is held by root #: two live roots make the same key",
            ),
            (
                failure(
                    Some("product:a"),
                    None,
                    "failed to parse field [price] in document with id 'product:a'. Preview of field's value: 'soon'",
                ),
                "failed to parse field [price] in document with id '…'. Preview of field's value: '…'",
            ),
            (
                failure(None, None, "row 12 of 3.5 bytes, line2 at 550e8400-e29b: end"),
                "row # of # bytes, line2 at #: end",
            ),
            (failure(None, Some("a"), "a cat has a key"), "… cat has … key"),
            (failure(None, None, "it is 5. Then"), "it is #. Then"),
        ];
        for (failure, cause) in cases {
            assert_eq!(normalised(&failure), cause);
        }
    }

    #[test]
    fn a_group_knows_its_oldest_and_its_next() {
        let mut groups = HashMap::new();
        let mut one = failure(Some("a"), None, "row 1");
        (one.first_at, one.last_at, one.next_attempt) = (5, 9, Some(20));
        let mut two = failure(Some("b"), None, "row 2");
        (two.id, two.first_at, two.last_at, two.next_attempt) = (2, 3, 7, None);
        two.given_up = Some("12 permanent errors".into());
        add(&mut groups, one);
        add(&mut groups, two);
        let found: Vec<_> = groups.into_values().collect();
        assert_eq!(found.len(), 1);
        let group = &found[0];
        assert_eq!((group.count, group.given_up, group.sample), (2, 1, 1));
        assert_eq!((group.oldest, group.newest, group.next_attempt), (3, 9, Some(20)));
    }
}
