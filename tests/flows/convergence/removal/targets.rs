//! Targets that a document has left, and documents that meet at one.

use std::{collections::BTreeMap, sync::Arc};

use pubsync_publisher::operate::remains::{AtTarget, Fate};
use pubsync_schema::writeset::Step;
use pubsync_tests::Scratch;

use super::super::scene::{LISTING, PRODUCT, Scene, local};
use super::{DATA, LISTINGS, assert_gone, finish, keys, step};

fn to(targets: &str) -> String {
    format!("{PRODUCT}targets: {targets}\n")
}

async fn two_targets(shop: Scratch) -> Scene {
    let targets = BTreeMap::from([local(&shop, "local"), local(&shop, "other")]);
    Scene::with_targets(shop, &[&to("{ local: {}, other: {} }")], DATA, targets).await
}

/// A document leaves one of its targets, while it changes.
async fn a_left_target(shop: Scratch) {
    let scene = two_targets(shop).await;
    let process = &scene.process;
    let (left, both) = (to("{ local: {} }"), to("{ local: {}, other: {} }"));
    let (plan, report) = scene.apply_removing(process, &[&left], &[]).await.unwrap();
    assert_eq!(
        (plan.remains[0].name.as_str(), plan.remains[0].fate),
        ("product@other", Fate::Stays)
    );
    assert_eq!(report.kept, ["product@other"]);
    finish(process).await;
    assert_eq!(keys(&scene, "other").await, ["product:a", "product:b"]);
    let (_, report) = scene
        .apply_removing(process, &[&left], &["product@other"])
        .await
        .unwrap();
    assert_eq!(report.leaving, ["product@other"]);
    scene
        .shop
        .script("UPDATE product SET name = 'new', sku = 'c' WHERE id = 2")
        .await;
    finish(process).await;
    assert_eq!(keys(&scene, "other").await, Vec::<String>::new());
    assert_eq!(step(&scene, "product", "other").await, Some(Step::Gone));
    assert_eq!(
        process.street.broker.depth("sync.other.product").await.unwrap(),
        None
    );
    assert!(
        process
            .street
            .broker
            .depth("sync.local.product")
            .await
            .unwrap()
            .is_some()
    );
    let expected = [
        ("product:a", "{\"name\":\"one\",\"brand\":null,\"offers\":[1,2]}"),
        ("product:c", "{\"name\":\"new\",\"brand\":null,\"offers\":[3]}"),
    ];
    scene.assert_settled("product", &expected).await;
    // It comes back.
    scene.apply_removing(process, &[&both], &[]).await.unwrap();
    finish(process).await;
    scene.assert_settled("product", &expected).await;
    scene.assert_target_equals_mirror("product", "other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_left_target_is_emptied_on_postgresql() {
    a_left_target(Scratch::postgres("lefttarget").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_left_target_is_emptied_on_sqlite() {
    a_left_target(Scratch::sqlite("lefttarget")).await;
}

/// Nobody knows where a target is that is configured no more: also when that happens after somebody has agreed.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_configured_no_more_keeps_what_it_holds() {
    for later in [false, true] {
        let scene = two_targets(Scratch::postgres("unknowntarget").await).await;
        let mut process = scene.process.clone();
        if later {
            scene
                .apply_removing(&process, &[LISTING], &["product"])
                .await
                .unwrap();
        }
        let targets = BTreeMap::from([local(&scene.shop, "local")]);
        process.street.targets = Arc::new(targets);
        let (plan, _) = scene
            .apply_removing(&process, &[LISTING], &["product"])
            .await
            .unwrap();
        let expected = [("local", AtTarget::Holds), ("other", AtTarget::Unknown)];
        let expected: BTreeMap<_, _> = expected.map(|(name, at)| (name.to_owned(), at)).into();
        let product = plan.remains.iter().find(|remains| remains.name == "product");
        assert_eq!(product.unwrap().targets, expected);
        assert!(!plan.is_empty());
        finish(&process).await;
        assert_gone(&scene, "product").await;
        assert_eq!(keys(&scene, "other").await, ["product:a", "product:b"]);
    }
}

/// Under another name: the new document has the keys of the old one, but for some.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_under_another_name_takes_its_keys_over() {
    let scene = Scene::postgres("renamed", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    let offer = LISTING.replace(
        "document: listing\nroot: product\n",
        "document: offer\nroot: product\nwhere: { name: one }\n",
    );
    let (plan, report) = scene
        .apply_removing(process, &[PRODUCT, &offer], &["listing"])
        .await
        .unwrap();
    let heir = AtTarget::LeftTo("offer".to_owned());
    assert_eq!(
        plan.remains[0].targets,
        BTreeMap::from([("local".to_owned(), heir)])
    );
    assert_eq!(report.resynchronized, ["offer → local"]);
    finish(process).await;
    assert_gone(&scene, "listing").await;
    assert_eq!(
        keys(&scene, "local").await,
        ["listing:1:at", "listing:1:de", "product:a", "product:b"]
    );
    scene.assert_settled("offer", &LISTINGS[..2]).await;
}

/// While it is being emptied nobody else may write there.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_in_while_keys_are_deleted() {
    let scene = Scene::postgres("movesin", &[PRODUCT, LISTING], DATA).await;
    let process = &scene.process;
    scene
        .apply_removing(process, &[PRODUCT], &["listing"])
        .await
        .unwrap();
    let offer = LISTING.replace("document: listing", "document: offer");
    let refused = scene
        .apply_removing(process, &[PRODUCT, &offer], &[])
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "document \"offer\" would write keys that document \"listing\" still has at target local, which is being emptied. Run \
         `pubsync apply` again when `pubsync status` shows \"listing\" no more"
    );
    finish(process).await;
    scene
        .apply_removing(process, &[PRODUCT, &offer], &[])
        .await
        .unwrap();
    finish(process).await;
    scene.assert_settled("offer", &LISTINGS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_left_behind_can_be_removed() {
    let scene = two_targets(Scratch::postgres("wrongnames").await).await;
    let both = to("{ local: {}, other: {} }");
    for (name, why) in [
        (
            "product",
            "document \"product\" is declared: take its file away, or its name out of --remove",
        ),
        (
            "product@other",
            "document \"product\" goes to target other: take it out of its `targets`, or \"product@other\" out of --remove",
        ),
        (
            "item",
            "--remove item: nothing of this name is left behind; all that stands is declared",
        ),
    ] {
        let refused = scene
            .apply_removing(&scene.process, &[&both], &[name])
            .await
            .unwrap_err();
        assert_eq!(refused.to_string(), why);
    }
    let left = to("{ local: {} }");
    let refused = scene
        .apply_removing(&scene.process, &[&left], &["product@local"])
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("document \"product\" goes to target local"),
        "{refused}"
    );
    let refused = scene
        .apply_removing(&scene.process, &[&left], &["x"])
        .await
        .unwrap_err();
    let there = "--remove x: nothing of this name is left behind; there are: product@other";
    assert_eq!(refused.to_string(), there);
    assert_eq!(keys(&scene, "other").await, ["product:a", "product:b"]);
}

/// Two documents share their queues: what one leaves goes, the queues stay.
#[tokio::test(flavor = "multi_thread")]
async fn queues_that_others_use_stay() {
    let (product, listing) = (
        format!("{PRODUCT}queue: shop\n"),
        format!("{LISTING}queue: shop\n"),
    );
    let scene = Scene::postgres("sharedqueues", &[&product, &listing], DATA).await;
    let process = &scene.process;
    scene
        .apply_removing(process, &[&product], &["listing"])
        .await
        .unwrap();
    finish(process).await;
    assert_gone(&scene, "listing").await;
    assert_eq!(keys(&scene, "local").await, ["product:a", "product:b"]);
    for queue in ["publish.shop", "sync.local.shop.bulk"] {
        assert!(
            process.street.broker.depth(queue).await.unwrap().is_some(),
            "{queue}"
        );
    }
}
