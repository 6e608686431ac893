//! What one test's product wrote to OpenSearch: the indexes under its prefix.

use reqwest::Method;
use serde_json::{Value, value::RawValue};

use crate::{
    http::Http,
    snapshot::{Documents, Stored},
};

/// Documents of one answer. They may have 4 MiB each, and the service builds the whole answer in its memory of 1 GiB.
const PAGE: usize = 25;

#[derive(Debug, Clone)]
pub struct SearchIndexes {
    http: Http,
    prefix: String,
}

impl SearchIndexes {
    #[must_use]
    pub fn new(url: &str, prefix: &str) -> Self {
        Self {
            http: Http::new(url),
            prefix: prefix.to_owned(),
        }
    }

    /// Goes before every index and alias.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// All documents behind the alias of `index`, by `_id`, after a refresh; none where there is no such alias.
    ///
    /// # Panics
    /// Where `_version` and `_revision` of a document differ.
    pub async fn documents(&self, index: &str) -> Documents {
        let alias = format!("{}{index}", self.prefix);
        let mut documents = Documents::new();
        if self
            .http
            .send(Method::POST, &format!("/{alias}/_refresh"), None)
            .await
            .is_none()
        {
            return documents;
        }
        let query =
            format!(r#"{{"size":{PAGE},"version":true,"sort":["_doc"],"query":{{"match_all":{{}}}}}}"#);
        let mut page = self
            .http
            .send(Method::POST, &format!("/{alias}/_search?scroll=2m"), Some(query))
            .await;
        while let Some(text) = page.take() {
            let found = Page::read(&text);
            if found.hits.is_empty() {
                self.send(Method::DELETE, format!("/_search/scroll/{}", found.scroll))
                    .await;
                break;
            }
            documents.extend(found.hits);
            let more = format!(r#"{{"scroll":"2m","scroll_id":{:?}}}"#, found.scroll);
            page = self.http.send(Method::POST, "/_search/scroll", Some(more)).await;
        }
        documents
    }

    /// All indexes under the prefix, hidden ones too.
    pub async fn all(&self) -> Vec<String> {
        let path = format!("/{}*/_settings?expand_wildcards=all", self.prefix);
        names(self.send(Method::GET, path).await.as_deref())
    }

    /// The concrete indexes behind an alias.
    pub async fn indexes_of(&self, index: &str) -> Vec<String> {
        let answer = self
            .send(Method::GET, format!("/_alias/{}{index}", self.prefix))
            .await;
        names(answer.as_deref())
    }

    /// Changes the mapping of the indexes behind an alias, as an administrator would.
    pub async fn put_mapping(&self, index: &str, mapping: &str) {
        let path = format!("/{}{index}/_mapping", self.prefix);
        let done = self.http.send(Method::PUT, &path, Some(mapping.to_owned())).await;
        assert!(done.is_some(), "there is no {index}");
    }

    /// Puts a document behind pubsync's back, visible at once.
    ///
    /// # Panics
    /// Where the index holds a higher version.
    pub async fn tamper(&self, index: &str, id: &str, version: i64, source: &str) {
        let (prefix, version) = (&self.prefix, forced(version));
        let path = format!("/{prefix}{index}/_doc/{id}?refresh=true{version}");
        self.http.send(Method::PUT, &path, Some(source.to_owned())).await;
    }

    /// What the engine has under an id at this moment, with all that it says of it; `None`: no such document.
    pub async fn get(&self, index: &str, id: &str) -> Option<String> {
        self.send(Method::GET, format!("/{}{index}/_doc/{id}", self.prefix))
            .await
    }

    /// Takes a document away behind pubsync's back.
    pub async fn take_away(&self, index: &str, id: &str, version: i64) {
        let (prefix, version) = (&self.prefix, forced(version));
        let path = format!("/{prefix}{index}/_doc/{id}?refresh=true{version}");
        let gone = self.send(Method::DELETE, path).await;
        assert!(gone.is_some(), "there was no {id}");
    }

    /// The engine of the only index behind the alias starts again: closed and opened.
    ///
    /// # Panics
    /// Where there is no such alias.
    pub async fn restart(&self, index: &str) {
        let name = self.indexes_of(index).await.remove(0);
        for step in ["_close", "_open"] {
            let path = format!("/{name}/{step}");
            assert!(self.send(Method::POST, path).await.is_some(), "{step} of {name}");
        }
        let path = format!("/_cluster/health/{name}?wait_for_status=yellow&timeout=30s");
        assert!(
            self.send(Method::GET, path).await.is_some(),
            "{name} is not there again"
        );
    }

    /// The type of a field.
    pub async fn mapping(&self, index: &str, field: &str) -> String {
        let answer = self.about(index, "_mapping").await;
        text(&answer["mappings"]["properties"][field]["type"])
    }

    /// A setting of the index.
    pub async fn setting(&self, index: &str, name: &str) -> String {
        let answer = self.about(index, "_settings").await;
        text(&answer["settings"]["index"][name])
    }

    /// Changes a setting of the index.
    pub async fn set(&self, index: &str, name: &str, value: &str) {
        let path = format!("/{}{index}/_settings", self.prefix);
        let body = serde_json::json!({ format!("index.{name}"): value }).to_string();
        let done = self.http.send(Method::PUT, &path, Some(body)).await;
        assert!(done.is_some(), "{index} has no {name}");
    }

    /// What the only index behind the alias says.
    async fn about(&self, index: &str, what: &str) -> Value {
        let answer = self
            .send(Method::GET, format!("/{}{index}/{what}", self.prefix))
            .await;
        let answer: Value = serde_json::from_str(&answer.expect("an index")).expect("an answer in JSON");
        let mut indexes = answer.as_object().into_iter().flatten();
        indexes.next().expect("an index").1.clone()
    }

    /// All indexes under the prefix are gone, tombstones and aliases too. Returns how many there were.
    pub async fn lose_everything(&self) -> usize {
        let indexes = self.all().await;
        for index in &indexes {
            self.send(Method::DELETE, format!("/{index}")).await;
        }
        indexes.len()
    }

    /// An index is gone, with all that it held.
    pub async fn lose(&self, index: &str) {
        self.send(Method::DELETE, format!("/{index}")).await;
    }

    async fn send(&self, method: Method, path: String) -> Option<String> {
        self.http.send(method, &path, None).await
    }
}

fn forced(version: i64) -> String {
    format!("&version={version}&version_type=external_gte")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names of the members of an answer.
fn names(answer: Option<&str>) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer.unwrap_or("{}")).expect("an answer in JSON");
    answer
        .as_object()
        .map(|members| members.keys().cloned().collect())
        .unwrap_or_default()
}

struct Page {
    scroll: String,
    hits: Vec<(String, Stored)>,
}

impl Page {
    /// Goes down by raw text, because `_source` must keep its numbers and the order of its members.
    fn read(text: &str) -> Self {
        let scroll = parsed(member(text, "_scroll_id"));
        let hits: Vec<&RawValue> = parsed(member(member(text, "hits"), "hits"));
        Self {
            scroll,
            hits: hits.iter().map(|hit| stored(hit.get())).collect(),
        }
    }
}

fn stored(hit: &str) -> (String, Stored) {
    let id: String = parsed(member(hit, "_id"));
    let version: i64 = parsed(member(hit, "_version"));
    let stored = Stored::with_revision_first(&id, member(hit, "_source"));
    assert_eq!(stored.revision, version, "{id}: _revision and _version differ");
    (id, stored)
}

fn parsed<'a, T: serde::Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn member<'a>(text: &'a str, name: &str) -> &'a str {
    let members = crate::Json::members(text).unwrap_or_else(|error| panic!("{error}"));
    let found = members.into_iter().find(|(member, _)| member == name);
    found.unwrap_or_else(|| panic!("no {name} in {text}")).1.get()
}
