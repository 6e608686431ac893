//! Passwords that stand in the product's configuration, and must stand nowhere else.

use pubsync_tests::{Database, Random, World};

use crate::violations::{Broken, Violations};

/// Who the product is at the database and the broker.
pub const USER: &str = "torture";

/// Shared by all who read what the product says.
#[derive(Debug, Clone)]
pub struct Secrets {
    database: String,
    broker: String,
    pub store: String,
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
        }
    }

    /// Users with these passwords, which the product's configuration names from now on.
    pub async fn plant(&self, world: &World) {
        let Database::Postgres { url } = world.database() else {
            panic!("the torture runs on PostgreSQL")
        };
        let password = &self.database;
        // Another torture of the set has it too.
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {USER} SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             ALTER ROLE {USER} PASSWORD '{password}'"
        );
        world.script(&role).await;
        self.admit(world).await;
        world.configure(|config| {
            let ours = format!("{USER}:{password}");
            let config = config.replace(url, &with_login(url, &ours));
            let broker = world.services().virtual_host(world.name());
            config.replace(&broker, &with_login(&broker, &format!("{USER}:{}", self.broker)))
        });
    }

    /// The broker's user, also on a virtual host that was made anew.
    pub async fn admit(&self, world: &World) {
        world.broker().admit(USER, &self.broker).await;
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

/// The address with another user and password.
fn with_login(url: &str, login: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{login}@{host}")
}
