//! What only the local target shows: full-text search, and errors of the file.

use std::sync::Arc;

use super::suite::{Case, exercise};
use super::{assert_names, cleaned, delete, live, put, unique};
use crate::target::{Target, TargetError};
use crate::targets::local::LocalTarget;

/// A file of its own in a folder of its own.
async fn with_file<F: Future<Output = ()>>(test: impl FnOnce(Arc<LocalTarget>) -> F) {
    let folder = std::env::temp_dir().join(unique());
    std::fs::create_dir(&folder).unwrap();
    let target = Arc::new(LocalTarget::new("shop", folder.join("store.db")).unwrap());
    let clean = async {
        target.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    };
    cleaned(test(Arc::clone(&target)), clean).await;
}

#[tokio::test]
async fn local_keeps_the_contract() {
    with_file(|target| async move {
        let bad = put("product:bad", 1, "{broken");
        exercise(Case {
            target: &*target,
            shows_tombstones: true,
            bad,
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn search_follows_every_write() {
    with_file(|target| async move {
        let keys = async |text: &str| {
            let found = target.search(text, 10).await.unwrap();
            found.into_iter().map(|stored| stored.key).collect::<Vec<_>>()
        };
        let chair = r#"{"name":"Élégant chair","tags":[{"t":"oak \"wood\""}],"sku":17}"#;
        live(&*target, put("product:1", 1, chair)).await;
        live(&*target, put("product:2", 1, r#"{"name":"oak table"}"#)).await;
        assert_eq!(keys("elegant cha").await, ["product:1"]);
        assert_eq!(keys("oak").await.len(), 2);
        assert_eq!(keys("\"wood AND ) *").await, Vec::<String>::new());
        assert_eq!(keys("  ").await, Vec::<String>::new());
        live(&*target, put("product:1", 2, r#"{"name":"stool"}"#)).await;
        assert_eq!(keys("oak").await, ["product:2"]);
        assert_eq!(target.get("product:1").await.unwrap().unwrap().revision, 2);
        live(&*target, delete("product:2", 2)).await;
        assert_eq!(keys("oak").await, Vec::<String>::new());
        assert_eq!(target.get("product:2").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_refused() {
    let path = "/nowhere/at/all/store.db";
    let error = LocalTarget::new("shop", path).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    assert_names(&error, "shop", path, "password");
}
