//! The yardstick itself: two sets of hand-written statements over two databases must agree, before and after the same
//! changes. This needs no product.

use pubsync_tests::World;

use super::{dataset, sessions::Application};

#[tokio::test(flavor = "multi_thread")]
async fn chinook_expectations_agree() {
    let Some(folder) = dataset::folder() else { return };
    let (postgres, sqlite) = (World::postgres("yardstick").await, World::embedded("yardstick"));
    dataset::load(&postgres, &folder).await;
    dataset::load(&sqlite, &folder).await;
    sqlite.script(&trimmed()).await;
    assert_agree(&postgres, &sqlite).await;

    for world in [&postgres, &sqlite] {
        // One session: nothing depends on who comes first.
        let tally = Application::start(world, 1, 1, 400).done().await;
        tally.assert_everything_happened();
    }
    assert_agree(&postgres, &sqlite).await;
}

/// PostgreSQL reads the data set's `N'…'` as `character`, which loses blanks at the end; SQLite keeps them.
fn trimmed() -> String {
    let columns = [
        ("Album", "Title"),
        ("Artist", "Name"),
        ("Customer", "City"),
        ("Invoice", "BillingCity"),
        ("Track", "Name"),
        ("Track", "Composer"),
    ];
    columns
        .map(|(table, column)| format!("UPDATE {table} SET {column} = rtrim({column});"))
        .concat()
}

async fn assert_agree(postgres: &World, sqlite: &World) {
    let (left, right) = (dataset::expected(postgres).await, dataset::expected(sqlite).await);
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (document, left) in &left {
        let right = &right[document];
        assert_eq!(
            left.keys().collect::<Vec<_>>(),
            right.keys().collect::<Vec<_>>(),
            "keys of {document}"
        );
        for (key, body) in left {
            assert_eq!(body.difference(&right[key]), None, "{key}");
        }
    }
}
