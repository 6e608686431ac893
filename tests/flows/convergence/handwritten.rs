//! Documents written in Rust, as programs with other versions of them meet.

use async_trait::async_trait;
use pubsync_publisher::build::{BuildError, Built, BuiltDocument};
use pubsync_publisher::handwritten::{Declaration, Publishers};
use pubsync_publisher::operate::apply::{Apply, ApplyError, Report};
use pubsync_publisher::publisher::{Publisher, RootPage, Source, Walked, select_of, walk};
use pubsync_publisher::registry::Registry;
use pubsync_schema::wire::TableImages;
use sea_orm::DbErr;

use super::scene::{PRODUCT, Scene, files};

/// The names of brands, with a text before them.
struct Brands(&'static str);

#[async_trait]
impl Publisher for Brands {
    async fn affected(
        &self,
        _: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        let ids = changes.iter().flat_map(|images| images.values("id"));
        Ok(page.of(ids.map(str::to_owned)))
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        walk(source, from, limit, "SELECT CAST(id AS text) AS root FROM brand").await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let sql = "SELECT r.root, b.name FROM {roots} r JOIN brand b ON b.id = CAST(r.root AS integer)";
        let rows: Vec<(String, String)> = select_of(source, roots, sql).await?;
        let document = |(root, name): (String, String)| {
            let body = serde_json::json!({ "name": format!("{}{name}", self.0) });
            let document = BuiltDocument::new(format!("brand:{root}"), body.to_string());
            Built::new(root, vec![Ok(document)])
        };
        Ok(rows.into_iter().map(document).collect())
    }
}

fn program(version: u32, before: &'static str) -> Publishers {
    let mut publishers = Publishers::default();
    let declaration = Declaration::new("brand", "brand:{id}", version).captures("brand", &["id"], &["name"]);
    publishers.add(declaration, Brands(before));
    publishers
}

async fn apply(scene: &Scene, publishers: &Publishers, documents: &[&str]) -> Result<Report, ApplyError> {
    let street = &scene.process.street;
    let (url, files) = (scene.shop.url(), files(documents));
    let apply = Apply {
        store: &street.store,
        url: &url,
        broker: &*street.broker,
        targets: &street.targets,
        files: &files,
        publishers,
    };
    apply.run().await
}

/// The process, as one of this program.
async fn of_program(scene: &Scene, publishers: &Publishers) -> super::process::Process {
    let street = &scene.process.street;
    street.definitions.refresh(&street.store).await.unwrap();
    let registry = Registry::load_with(street, publishers).await.unwrap();
    scene.process.with_registry(registry)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_version_is_built_anew_and_an_older_program_leaves_it_alone() {
    let data = "INSERT INTO brand VALUES (1, 'x');";
    for scene in [
        Scene::postgres("handwritten", &[PRODUCT], data).await,
        Scene::sqlite("handwritten", &[PRODUCT], data).await,
    ] {
        let (first, second) = (program(1, ""), program(2, "the "));
        assert_eq!(
            apply(&scene, &first, &[PRODUCT]).await.unwrap().rebuilt,
            ["brand"]
        );
        let old = of_program(&scene, &first).await;
        old.drain().await;
        scene
            .assert_shown("brand", &[("brand:1", "{\"name\":\"x\"}")])
            .await;

        assert_eq!(
            apply(&scene, &second, &[PRODUCT]).await.unwrap().rebuilt,
            ["brand"]
        );
        let old = of_program(&scene, &first).await;
        assert!(
            old.registry.get("brand").is_none(),
            "it would build what it knows"
        );
        let new = of_program(&scene, &second).await;
        new.drain().await;
        scene
            .assert_shown("brand", &[("brand:1", "{\"name\":\"the x\"}")])
            .await;

        // The older program relays all the same: the change is not lost.
        scene.shop.script("UPDATE brand SET name = 'y'").await;
        assert_eq!(old.relay().await, 1);
        new.drain().await;
        scene
            .assert_shown("brand", &[("brand:1", "{\"name\":\"the y\"}")])
            .await;

        // A root that is gone is found through the mirror, also where no trigger saw it go.
        scene.uncaptured("DELETE FROM brand").await;
        pubsync_publisher::operate::rebuild::publish(&new.street.store, &["brand".to_owned()], None)
            .await
            .unwrap();
        new.drain().await;
        scene.assert_shown("brand", &[]).await;

        let mut without = Publishers::default();
        assert_eq!(
            apply(&scene, &without, &[PRODUCT]).await.unwrap().removed,
            Vec::<String>::new()
        );
        without.leave_out("brand");
        assert_eq!(
            apply(&scene, &without, &[PRODUCT]).await.unwrap().removed,
            ["brand"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shares_no_name_and_no_keys_with_a_file() {
    let scene = Scene::sqlite("handwritten", &[PRODUCT], "").await;
    let named = "document: brand\nroot: brand\nkey: \"b:{id}\"\nbody: { name: name }\n";
    let keyed = "document: label\nroot: brand\nkey: \"brand:{id}\"\nbody: { name: name }\n";
    for (file, problem) in [
        (named, "a file declares a document of this name too"),
        (
            keyed,
            "its keys could be those of document \"label\": let them begin with different text",
        ),
    ] {
        let told = apply(&scene, &program(1, ""), &[PRODUCT, file])
            .await
            .unwrap_err();
        assert_eq!(
            told.to_string(),
            format!("document \"brand\", written in Rust: {problem}")
        );
    }
}
