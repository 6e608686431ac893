//! Where the data set is, how it comes into a database, and what must become of it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use pubsync_tests::{Database, Expected, Json, World};

/// The folder with the data set's SQL files: `$PUBSYNC_DATASETS/chinook`, else `datasets/chinook` in the
/// repository or `shared/datasets/chinook` beside it. `None`, said aloud, where it is nowhere.
pub fn folder() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let given = std::env::var_os("PUBSYNC_DATASETS").map(PathBuf::from);
    let places = given
        .into_iter()
        .chain([repository.join("datasets"), repository.join("../shared/datasets")]);
    let places: Vec<PathBuf> = places.map(|place| place.join("chinook")).collect();
    let found = places.iter().find(|place| place.is_dir()).cloned();
    if found.is_none() {
        // Not eprintln!: that is hidden where a test succeeds.
        let _ = writeln!(
            std::io::stderr(),
            "NOT TESTED: the Chinook data set is in none of {places:?}; set PUBSYNC_DATASETS"
        );
    }
    found
}

/// Fills the world's database and its folder of documents.
pub async fn load(world: &World, folder: &Path) {
    let file = folder.join(format!("{}.sql", database(world)));
    world.script(&read(&file)).await;
    for (document, yaml) in files(&format!("documents.{}", short(world))) {
        world.document(&document, &yaml);
    }
}

/// What the hand-written statements say now, by document.
pub async fn expected(world: &World) -> Expected {
    let mut session = world.session().await;
    let mut expected = Expected::new();
    for (document, statement) in files(&format!("expected.{}", short(world))) {
        let rows = session.rows(&statement).await;
        let (count, mut bodies) = (rows.len(), BTreeMap::new());
        for row in rows {
            let [Some(key), Some(body)] = &row[..] else {
                panic!("{document}: a row with a null: {row:?}")
            };
            bodies.insert(
                key.clone(),
                Json::parse(body).unwrap_or_else(|error| panic!("{key}: {error}")),
            );
        }
        assert_eq!(bodies.len(), count, "{document}: two rows have the same key");
        expected.insert(document, bodies);
    }
    expected
}

/// Mirror and targets hold what the statements say, nothing else. No change may be under way.
pub async fn assert_equal_everywhere(world: &World) {
    let expected = expected(world).await;
    let documents: Vec<&str> = expected.keys().map(String::as_str).collect();
    world.snapshot(&documents).await.assert_equals(&expected);
}

fn database(world: &World) -> &'static str {
    match world.database() {
        Database::Postgres { .. } => "postgresql",
        Database::Sqlite { .. } => "sqlite",
    }
}

fn short(world: &World) -> &'static str {
    match world.database() {
        Database::Postgres { .. } => "postgres",
        Database::Sqlite { .. } => "sqlite",
    }
}

/// The files of a folder beside this one, by name without extension.
fn files(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("flows/chinook")
        .join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    paths
        .map(|path| {
            (
                path.file_stem().expect("a name").to_string_lossy().into_owned(),
                read(&path),
            )
        })
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
