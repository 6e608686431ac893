//! Stands between a handwritten publisher and the rest: adds the roots of the mirror, and lets nothing through that
//! targets could not bear.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use pubsync_schema::definition::Definition;
use pubsync_schema::shape::KeyPattern;
use pubsync_schema::wire::TableImages;
use pubsync_synchronizer::street::Street;
use sea_orm::DbErr;
use serde_json::value::RawValue;

use crate::build::{BuildError, Built, BuiltDocument, DocumentFailure, Kind, MAX_BODY};
use crate::publisher::{Publisher, RootPage, Source, Walked, walk};

/// The publisher as the rest of the program sees it.
pub struct Guard {
    inner: Arc<dyn Publisher>,
    key: KeyPattern,
    /// SELECT of the roots of live mirror rows.
    mirrored: String,
}

impl Guard {
    pub fn new(inner: Arc<dyn Publisher>, street: &Street, definition: &Definition) -> Self {
        let mirror = street.store.names.mirror(&definition.document);
        Self {
            inner,
            key: definition.shape.key.clone(),
            mirrored: format!("SELECT root FROM {mirror} WHERE deleted_at IS NULL"),
        }
    }

    fn checked(&self, document: BuiltDocument) -> Result<BuiltDocument, DocumentFailure> {
        let failure = |class, message: String| DocumentFailure {
            key: self.key.matches(&document.key).then(|| document.key.clone()),
            class,
            message,
        };
        // An orphan scan and a removal know a document's keys by the template alone.
        if !self.key.matches(&document.key) || document.kind != Kind::Document {
            let message = format!(
                "the key {:?} is none that the declared template makes",
                document.key
            );
            return Err(failure("key", message));
        }
        if document.body.len() > MAX_BODY {
            let message = format!("the body has {} bytes, more than {MAX_BODY}", document.body.len());
            return Err(failure("size", message));
        }
        let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(&document.body);
        match members {
            Err(error) => Err(failure("value", format!("the body is no JSON object: {error}"))),
            Ok(_) if document.body.contains('\n') => {
                Err(failure("value", "the body has more than one line".to_owned()))
            }
            Ok(members) if members.contains_key("_revision") => Err(failure(
                "value",
                "the body has a member \"_revision\", which targets add".to_owned(),
            )),
            Ok(_) => Ok(document),
        }
    }
}

#[async_trait]
impl Publisher for Guard {
    async fn affected(
        &self,
        source: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        let asked = self.inner.affected(source, changes, page);
        Ok(page.of(AssertUnwindSafe(asked).catch_unwind().await.map_err(panicked)??))
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        match Position::read(from) {
            Position::Source(after) => {
                let asked = AssertUnwindSafe(self.inner.all(source, after, limit));
                let walked = asked.catch_unwind().await.map_err(panicked)??;
                let next = walked
                    .next
                    .map_or(MIRROR.to_owned(), |next| format!("{SOURCE}{next}"));
                Ok(Walked {
                    next: Some(next),
                    ..walked
                })
            }
            Position::Mirror(after) => {
                let walked = walk(source, after, limit, &self.mirrored).await?;
                let next = walked.next.map(|next| format!("{MIRROR}{next}"));
                Ok(Walked { next, ..walked })
            }
        }
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let asked = AssertUnwindSafe(self.inner.build(source, roots));
        let built = asked.catch_unwind().await.map_err(|panic| BuildError::Select {
            select: "a publisher in Rust".to_owned(),
            source: panicked(panic),
        })??;
        let mut by_root: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for one in built {
            let documents = one.documents.into_iter();
            let checked = documents.map(|document| document.and_then(|document| self.checked(document)));
            by_root.entry(one.root).or_default().extend(checked);
        }
        // A root without an answer is not there.
        let answer = |root: &String| Built::new(root.as_str(), by_root.remove(root).unwrap_or_default());
        Ok(roots.iter().map(answer).collect())
    }
}

/// A panic of the publisher is an error of what it was asked for: its neighbours go on, and so does the worker.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> DbErr {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    DbErr::Custom(format!("the publisher panicked: {}", text.unwrap_or_default()))
}

/// Stands where another program has the publisher. Only what builds asks it, and that asks
/// [`crate::registry::Registry::get`] first, which gives none.
pub struct Elsewhere;

/// How positions of a walk begin: first the roots of the source, in the publisher's own order, then those of the mirror.
const SOURCE: &str = "source:";
const MIRROR: &str = "mirror:";

/// Where a walk stands.
#[derive(Debug, PartialEq, Eq)]
enum Position<'a> {
    Source(Option<&'a str>),
    Mirror(Option<&'a str>),
}

impl<'a> Position<'a> {
    fn read(after: Option<&'a str>) -> Self {
        let Some(text) = after else {
            return Self::Source(None);
        };
        match text.strip_prefix(MIRROR) {
            Some(root) => Self::Mirror(Some(root).filter(|root| !root.is_empty())),
            None => Self::Source(text.strip_prefix(SOURCE)),
        }
    }
}

fn elsewhere() -> DbErr {
    DbErr::Custom("this program has no such publisher".to_owned())
}

#[async_trait]
impl Publisher for Elsewhere {
    async fn affected(
        &self,
        _: Source<'_>,
        _: &[TableImages],
        _: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        Err(elsewhere())
    }

    async fn all(&self, _: Source<'_>, _: Option<&str>, _: u64) -> Result<Walked, DbErr> {
        Err(elsewhere())
    }

    async fn build(&self, _: Source<'_>, _: &[String]) -> Result<Vec<Built>, BuildError> {
        Err(BuildError::Select {
            select: "a publisher that runs elsewhere".to_owned(),
            source: elsewhere(),
        })
    }
}

#[cfg(test)]
mod tests {
    use pubsync_schema::shape::KeyPart;

    use super::*;

    /// What nobody asks for is refused all the same.
    #[tokio::test]
    async fn a_publisher_elsewhere_builds_nothing() {
        let conn = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        let txn = sea_orm::TransactionTrait::begin(&conn).await.unwrap();
        let refused = Elsewhere.build(&txn, &["1".to_owned()]).await.unwrap_err();
        assert_eq!(
            pubsync_schema::fault::chain(&refused),
            "SELECT of a publisher that runs elsewhere: Custom Error: this program has no such publisher"
        );
    }

    /// What the guard says against a document: class and message.
    fn refused(key: &str, body: &str) -> Option<(&'static str, String)> {
        let guard = Guard {
            inner: Arc::new(Elsewhere),
            key: KeyPattern(vec![
                KeyPart::Literal("d:".to_owned()),
                KeyPart::Value("id".to_owned()),
            ]),
            mirrored: String::new(),
        };
        let document = BuiltDocument::new(key.to_owned(), body.to_owned());
        let failure = guard.checked(document).err()?;
        Some((failure.class, failure.message))
    }

    #[test]
    fn a_walk_goes_on_where_it_stood() {
        for (after, position) in [
            (None, Position::Source(None)),
            (Some("source:mirror:1"), Position::Source(Some("mirror:1"))),
            (Some("mirror:"), Position::Mirror(None)),
            (Some("mirror:source:1"), Position::Mirror(Some("source:1"))),
        ] {
            assert_eq!(Position::read(after), position);
        }
    }

    #[test]
    fn only_what_targets_can_bear_gets_through() {
        assert_eq!(refused("d:1", "{\"a\":{\"_revision\":1}}"), None);
        let no_key = |key: &str| format!("the key {key:?} is none that the declared template makes");
        for key in ["e:1", "d:1:2"] {
            assert_eq!(refused(key, "{}"), Some(("key", no_key(key))));
        }
        for body in ["", "[]", "1", "{", "{\"a\":}", "{} {}"] {
            let (class, message) = refused("d:1", body).unwrap_or_default();
            assert!(
                class == "value" && message.starts_with("the body is no JSON object: "),
                "{body}: {message}"
            );
        }
        let value = |message: &str| Some(("value", message.to_owned()));
        assert_eq!(refused("d:1", "{\n}"), value("the body has more than one line"));
        assert_eq!(
            refused("d:1", "{\"_revision\":1}"),
            value("the body has a member \"_revision\", which targets add")
        );
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY));
        let told = "the body has 4194312 bytes, more than 4194304".to_owned();
        assert_eq!(refused("d:1", &large), Some(("size", told)));
    }
}
