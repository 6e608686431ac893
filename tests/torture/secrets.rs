//! Passwords that stand in the product's configuration and its mounted files, and must stand nowhere else.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use pubsync_tests::{Database, Random, World};

use crate::violations::{Broken, Violations};

/// Who the product is at the database and the broker.
pub const USER: &str = "torture";

/// Where the configuration finds the passwords, beside it.
const FOLDER: &str = "secrets";
const DATABASE: &str = "database";
const BROKER: &str = "broker";

/// Shared by all who read what the product says.
#[derive(Debug, Clone)]
pub struct Secrets {
    database: String,
    broker: String,
    pub store: String,
    /// How often those of database and broker have changed: it stands behind them.
    changes: Arc<AtomicU64>,
}

impl Secrets {
    pub fn new(random: &mut Random) -> Self {
        let mut secret = |of: &str| {
            format!(
                "{of}{:x}{:x}",
                random.up_to(u64::MAX - 1),
                random.up_to(u64::MAX - 1)
            )
        };
        Self {
            database: secret("d"),
            broker: secret("b"),
            store: secret("s"),
            changes: Arc::default(),
        }
    }

    /// Users with these passwords, which the product's configuration names from now on.
    pub async fn plant(&self, world: &World) {
        let Database::Postgres { url } = world.database() else {
            panic!("the torture runs on PostgreSQL")
        };
        // Another torture of the set has it too.
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {USER} SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        world.script(&role).await;
        self.tell(world).await;
        world.configure(|config| {
            let config = config.replace(url, &with_login(url, &login(DATABASE)));
            let broker = world.services().virtual_host(world.name());
            config.replace(&broker, &with_login(&broker, &login(BROKER)))
        });
    }

    /// Other passwords, at the services and then in the files; the old ones open nothing any more.
    pub async fn change(&self, world: &World) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.tell(world).await;
        world
            .script(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}' AND datname = current_database()"
            ))
            .await;
        world.broker().close_connections().await;
    }

    /// Services and files have the passwords of now.
    async fn tell(&self, world: &World) {
        let password = self.now(&self.database);
        world
            .script(&format!("ALTER ROLE {USER} PASSWORD '{password}'"))
            .await;
        self.admit(world).await;
        world.write(&format!("{FOLDER}/{DATABASE}"), &password);
        world.write(&format!("{FOLDER}/{BROKER}"), &self.now(&self.broker));
    }

    fn now(&self, secret: &str) -> String {
        format!("{secret}{}", self.changes.load(Ordering::SeqCst))
    }

    /// The broker's user, also on a virtual host that was made anew.
    pub async fn admit(&self, world: &World) {
        world.broker().admit(USER, &self.now(&self.broker)).await;
    }

    /// I9: none of them stands in there.
    pub fn look(&self, place: &str, text: &str, violations: &Violations) {
        for (name, secret) in [
            ("database", &self.database),
            ("broker", &self.broker),
            ("Redis", &self.store),
        ] {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                let line = line.replace(secret.as_str(), "…");
                violations.add(
                    Broken::Told,
                    format!("the password of the {name} in {place}: {line}"),
                );
            }
        }
    }
}

/// As the configuration names it.
fn login(file: &str) -> String {
    format!("{USER}:${{file:{FOLDER}/{file}}}")
}

/// The address with another user and password.
fn with_login(url: &str, login: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{login}@{host}")
}
