//! A database of one test, on SQLite and on PostgreSQL.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, TransactionTrait};

use super::draft::Draft;
use crate::build::{BuiltDocument, DocumentFailure, build};
use crate::catalogue::{Catalogue, describe, introspect, texts};
use crate::declarative::Declarative;
use crate::document::Document;
use crate::language::{SourceFile, check, statements};
use crate::plan::DocumentPlan;
use crate::publisher::Publisher;

pub(crate) struct Fixture {
    pub dialect: Dialect,
    pub conn: DatabaseConnection,
}

/// Runs the test on a fresh database of each kind that holds `sql`.
pub(crate) async fn on_both(sql: &str, test: impl AsyncFn(&Fixture)) {
    on_sqlite(sql, &test).await;
    on_postgres(sql, &test).await;
}

pub(crate) async fn on_sqlite(sql: &str, test: impl AsyncFn(&Fixture)) {
    let conn = connect("sqlite::memory:").await;
    let fixture = Fixture {
        dialect: Dialect::Sqlite,
        conn,
    };
    fixture.run(sql).await;
    test(&fixture).await;
}

pub(crate) async fn on_postgres(sql: &str, test: impl AsyncFn(&Fixture)) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("PUBSYNC_TEST_POSTGRES")
        .expect("PUBSYNC_TEST_POSTGRES names no server: run `make test`, or eval \"$(docker/services up)\"");
    let name = format!(
        "test_planner_{}_{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let server = connect(&url).await;
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let own = format!("{}/{name}", url.rsplit_once('/').unwrap().0);
    let fixture = Fixture {
        dialect: Dialect::Postgres,
        conn: connect(&own).await,
    };
    let outcome = AssertUnwindSafe(async {
        fixture.run(sql).await;
        test(&fixture).await;
    });
    let outcome = outcome.catch_unwind().await;
    fixture.conn.close().await.unwrap();
    server
        .execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

impl Fixture {
    pub async fn run(&self, sql: &str) {
        self.conn
            .execute_unprepared(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn names(&self) -> Names {
        Names::new("pubsync", self.dialect)
    }

    /// An empty mirror table of the document.
    pub async fn mirror(&self) -> String {
        if self.dialect == Dialect::Postgres {
            self.run("CREATE SCHEMA pubsync").await;
        }
        let mirror = self.names().mirror("doc");
        self.run(&format!(
            "CREATE TABLE {mirror} (root text, deleted_at timestamp)"
        ))
        .await;
        mirror
    }

    /// A document over a root table, to be filled in.
    pub async fn draft(&self, root: &str) -> Draft {
        Draft::new(
            introspect(&self.conn, self.dialect, "pubsync").await.unwrap(),
            root,
        )
    }

    pub async fn plan(&self, document: Document) -> DocumentPlan {
        let catalogue = introspect(&self.conn, self.dialect, "pubsync").await.unwrap();
        DocumentPlan::new(document, &catalogue, &self.names())
    }

    /// A document as users write it.
    pub async fn checked(&self, text: &str) -> (SourceFile, Document, Catalogue) {
        let mut catalogue = introspect(&self.conn, self.dialect, "pubsync").await.unwrap();
        let file = SourceFile {
            name: "doc.yaml".to_owned(),
            text: text.to_owned(),
        };
        let statements = statements(std::slice::from_ref(&file), &catalogue);
        describe(&self.conn, self.dialect, &mut catalogue, statements)
            .await
            .unwrap();
        let documents =
            check(std::slice::from_ref(&file), &catalogue, &["storage"]).unwrap_or_else(|problems| {
                let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
                panic!("{}\n{text}", shown.join("\n"))
            });
        (file, documents.into_iter().next().unwrap(), catalogue)
    }

    /// The plan of a document as users write it.
    pub async fn written(&self, text: &str) -> DocumentPlan {
        let (_, document, catalogue) = self.checked(text).await;
        DocumentPlan::new(document, &catalogue, &self.names())
    }

    /// The plan of a document `doc` with this body over the rows of `root`, whose key is `id`.
    pub async fn body(&self, root: &str, body: &str) -> DocumentPlan {
        let lines: String = body.trim().lines().map(|line| format!("  {line}\n")).collect();
        self.written(&format!(
            "document: doc\nroot: {root}\nkey: \"doc:{{id}}\"\nbody:\n{lines}"
        ))
        .await
    }

    /// Everything that the roots give, root by root.
    pub async fn outcomes(
        &self,
        plan: &DocumentPlan,
        roots: &[&str],
    ) -> Vec<Vec<Result<BuiltDocument, DocumentFailure>>> {
        let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        let built = build(&self.conn, plan, &roots)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(
            built.iter().map(|built| &built.root).collect::<Vec<_>>(),
            roots.iter().collect::<Vec<_>>()
        );
        built.into_iter().map(|built| built.documents).collect()
    }

    /// Keys and bodies of roots that cannot fail.
    pub async fn documents(&self, plan: &DocumentPlan, roots: &[&str]) -> Vec<(String, String)> {
        let outcomes = self.outcomes(plan, roots).await;
        let documents = outcomes.into_iter().flatten().map(|outcome| outcome.unwrap());
        documents
            .map(|built| {
                serde_json::from_str::<serde_json::Value>(&built.body).unwrap();
                (built.key, built.body)
            })
            .collect()
    }

    /// Bodies of one root.
    pub async fn bodies(&self, plan: &DocumentPlan, root: &str) -> Vec<String> {
        self.documents(plan, &[root])
            .await
            .into_iter()
            .map(|(_, body)| body)
            .collect()
    }

    /// Roots that one image of a row reaches; columns left out are null.
    pub async fn reach(&self, plan: &DocumentPlan, table: &str, image: &[(&str, &str)]) -> Vec<String> {
        self.reach_after(plan, table, &[image], None, 1000).await
    }

    pub async fn reach_after(
        &self,
        plan: &DocumentPlan,
        table: &str,
        images: &[&[(&str, &str)]],
        after: Option<&str>,
        limit: i64,
    ) -> Vec<String> {
        let used = &plan.uses[table];
        let text = |image: &[(&str, &str)], column: usize| {
            let name = used.table.columns[column].name.as_str();
            image
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| (*text).to_owned())
        };
        let images: Vec<Vec<Option<String>>> = images
            .iter()
            .map(|image| used.carried.iter().map(|&column| text(image, column)).collect())
            .collect();
        let values = vec![
            serde_json::to_string(&images).unwrap().into(),
            after.into(),
            limit.into(),
        ];
        self.texts(&plan.reverse[table].sql, values).await
    }

    /// All roots, in pages of so many.
    pub async fn all_roots(&self, plan: DocumentPlan, limit: u64) -> Vec<Vec<String>> {
        let publisher = Declarative::new(Arc::new(plan), self.dialect);
        let mut pages = Vec::new();
        let mut from = None;
        loop {
            let txn = self.conn.begin().await.unwrap();
            let walked = publisher.all(&txn, from.as_deref(), limit).await.unwrap();
            txn.rollback().await.unwrap();
            pages.push(walked.roots);
            match walked.next {
                Some(next) => from = Some(next),
                None => return pages,
            }
        }
    }

    async fn texts(&self, sql: &str, values: Vec<sea_orm::Value>) -> Vec<String> {
        let rows = texts(&self.conn, sql, values, 1)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
    }
}
