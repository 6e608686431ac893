//! A database and a folder of one test that runs parts of the product in its own process: no broker, no target, no
//! configuration.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Database, Services, Session,
    world::{administer, folder_of, take_away, unique},
};

/// Dropping it takes database and folder away, also when the test fails.
#[derive(Debug)]
pub struct Scratch {
    name: String,
    folder: PathBuf,
    database: Database,
}

impl Scratch {
    /// A database of the shared PostgreSQL.
    pub async fn postgres(label: &str) -> Self {
        let (services, name) = (Services::from_env(), unique(label));
        let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        administer(&services, &create).await;
        let url = services.postgres_database(&name);
        Self::in_folder(name, |_| Database::Postgres { url })
    }

    /// An SQLite file.
    #[must_use]
    pub fn sqlite(label: &str) -> Self {
        let file = |folder: &Path| Database::Sqlite {
            file: folder.join("source.db"),
        };
        Self::in_folder(unique(label), file)
    }

    fn in_folder(name: String, database: impl FnOnce(&Path) -> Database) -> Self {
        let folder = folder_of(&name);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Self {
            database: database(&folder),
            name,
            folder,
        }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// As the product's configuration names the database.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.database {
            Database::Postgres { url } => url.clone(),
            Database::Sqlite { file } => format!("sqlite:{}", file.display()),
        }
    }

    pub async fn session(&self) -> Session {
        self.database.session().await
    }

    /// Runs statements, as the application would.
    ///
    /// # Panics
    /// On any error.
    pub async fn script(&self, sql: &str) -> u64 {
        let done = self.session().await.execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    /// The rows of a query, as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.session().await.rows(sql).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        if let Database::Sqlite { .. } = self.database {
            return;
        }
        let drop_database = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        take_away(&self.name, async move {
            administer(&Services::from_env(), &drop_database).await;
        });
    }
}
