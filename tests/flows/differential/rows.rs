//! What a mirror holds, as it is compared.

use std::collections::{BTreeMap, BTreeSet};

use pubsync_tests::{Database, Json, Session, naive::Declaration};

/// A live row of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub root: String,
    pub body: String,
    pub revision: i64,
}

/// Live rows by key.
pub type Live = BTreeMap<String, Held>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirror {
    pub live: Live,
    /// What stays of deleted documents.
    pub graves: BTreeMap<String, String>,
}

/// Root and key of what failed.
pub type Failures = BTreeSet<(String, Option<String>)>;

pub async fn mirror(session: &mut Session, database: &Database, document: &str) -> Mirror {
    let table = database.own_table(&format!("mirror_{document}"));
    let sql = format!(
        "SELECT key, root, body, CAST(revision AS text), CASE WHEN deleted_at IS NULL THEN '' ELSE 'x' END FROM {table}"
    );
    let mut mirror = Mirror::default();
    for mut row in session.rows(&sql).await {
        let mut text = |at: usize| row[at].take().unwrap_or_default();
        let (key, root, body) = (text(0), text(1), text(2));
        if text(4).is_empty() {
            let revision = text(3).parse().expect("a revision");
            let held = Held { root, body, revision };
            mirror.live.insert(key, held);
        } else {
            mirror.graves.insert(key, body);
        }
    }
    mirror
}

/// # Errors
/// A failure that no document explains.
pub async fn failures(
    session: &mut Session,
    database: &Database,
    document: &str,
) -> Result<Failures, String> {
    let table = database.own_table("failure");
    let sql = format!("SELECT root, key, stage, class, error FROM {table} WHERE document = '{document}'");
    let mut found = Failures::new();
    for row in session.rows(&sql).await {
        match &row[..] {
            [Some(root), key, Some(stage), ..] if stage == "publish" => {
                found.insert((root.clone(), key.clone()));
            }
            other => {
                return Err(format!(
                    "{document}: a failure that no document explains: {other:?}"
                ));
            }
        }
    }
    Ok(found)
}

/// The members that count when two bodies are compared.
pub fn hashed(declaration: &Declaration, body: &str) -> String {
    let members = Json::members(body).unwrap_or_else(|error| panic!("{error}"));
    let counts = members
        .into_iter()
        .filter(|(name, _)| !declaration.unhashed.contains(name));
    counts.map(|(name, value)| format!("{name}:{value}\n")).collect()
}

/// What must stay of a deleted document.
pub fn remains(declaration: &Declaration, body: &str) -> String {
    let members = Json::members(body).unwrap_or_else(|error| panic!("{error}"));
    let kept = declaration.tombstone.iter().filter_map(|name| {
        let (name, value) = members.iter().find(|(known, _)| known == name)?;
        Some(format!("{}:{value}", serde_json::Value::from(name.as_str())))
    });
    let kept: Vec<String> = kept.collect();
    if kept.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", kept.join(","))
    }
}
