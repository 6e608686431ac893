//! `run`: workers until a signal, or until quiet.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::workers::{self, Role};
use pubsync_synchronizer::quiet;
use pubsync_synchronizer::street::Street;
use pubsync_worker::backoff::{self, Backoff};
use pubsync_worker::health::{self, HealthState};
use pubsync_worker::shutdown::{Ending, Shutdown};

use super::RunArgs;
use crate::config::{Broker, Config, Mounted};
use crate::fail::Fail;
use crate::wiring;

const WAIT: Backoff = Backoff {
    first: Duration::from_millis(200),
    cap: Duration::from_secs(5),
};

/// From one look at mounted files to the next.
const LOOK: Duration = Duration::from_secs(2);

/// Connections of each pool: a publisher task holds one of each while it works; the rest is for relay and sweeper.
fn connections(config: &Config) -> u32 {
    u32::try_from(config.publisher.concurrency)
        .unwrap_or(8)
        .saturating_mul(3)
        .clamp(8, 40)
}

pub async fn run(mut config: Config, publishers: &Publishers, args: RunArgs) -> Result<(), Fail> {
    let roles: BTreeSet<Role> = if args.roles.is_empty() {
        Role::ALL.into()
    } else {
        args.roles.into_iter().map(Role::from).collect()
    };
    if config.broker == Broker::Embedded && roles.len() < Role::ALL.len() {
        let text =
            "an embedded broker lives in one process: run all roles together, or set `broker: amqp://…`";
        return Err(Fail::Usage(text.to_owned()));
    }
    if let Some(concurrency) = args.concurrency {
        config.publisher.concurrency = concurrency.max(1);
        config.synchronizer.concurrency = concurrency.max(1);
    }
    let shutdown = Shutdown::on_signals().map_err(|e| Fail::Part(format!("signals: {e}")))?;
    let health = HealthState::default();
    // Dropped at the end: it answers while the last batch is finished.
    let _listening = match args.listen.or(config.listen) {
        Some(address) => {
            Some(health::serve(address, env!("CARGO_PKG_VERSION"), health.clone(), &shutdown).await?)
        }
        None => None,
    };
    shutdown.spawn(follow(config.mounted.clone(), shutdown.clone()));
    let Some(street) = street(config, &shutdown).await? else {
        return if shutdown.begins_anew() {
            Err(anew())
        } else {
            Ok(())
        };
    };
    workers::start(&street, publishers, &roles, &shutdown).await?;
    health.started();
    tracing::info!(?roles, documents = street.definitions.current().len(), "running");
    if args.until_quiet {
        let quiet = shutdown
            .taking()
            .run_until_cancelled(quiet::until_quiet(&street.store))
            .await;
        shutdown.stop_taking();
        quiet.transpose()?;
        // The sweeper may not come round to it any more.
        pubsync_schema::run::finish_quiet(&street.store).await?;
    }
    ending(street, &shutdown).await
}

async fn ending(street: Street, shutdown: &Shutdown) -> Result<(), Fail> {
    let ending = shutdown.finished().await;
    street.broker.close().await;
    match ending {
        Ending::Finished | Ending::Aborted if shutdown.begins_anew() => Err(anew()),
        Ending::Finished => Ok(()),
        Ending::Aborted => Err(Fail::Part(
            "stopped before all work was settled; the ledger has the rest".to_owned(),
        )),
        Ending::Panicked => Err(Fail::Part(
            "a worker panicked; the ledger has its work".to_owned(),
        )),
    }
}

/// Ends the work when a file changes that the configuration has read a secret from, to begin anew with it.
async fn follow(mounted: Mounted, shutdown: Shutdown) {
    if mounted.is_empty() {
        return;
    }
    while backoff::wait(LOOK, shutdown.taking()).await {
        if mounted.has_changed() {
            tracing::info!(
                "a file that the configuration names has changed: finishing what is at hand, to begin anew with it"
            );
            return shutdown.begin_anew();
        }
    }
}

/// This process becomes a new one, with the same number and arguments: all that was read from files is read again. Comes
/// back only with what went wrong.
fn anew() -> Fail {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let error = std::process::Command::new(&program).args(arguments).exec();
    Fail::Part(format!("{} cannot be started anew: {error}", program.display()))
}

/// Waits for the database and its tables, and says for what. `None` where a signal came first.
async fn street(config: Config, shutdown: &Shutdown) -> Result<Option<Street>, Fail> {
    let connections = connections(&config);
    let mut attempt = 0;
    loop {
        let made = match wiring::wire(config.clone(), connections).await {
            Ok(wired) => wired.street().await,
            Err(fail) => Err(fail),
        };
        match made {
            Ok(street) => return Ok(Some(street)),
            // A database that does not answer, or has no tables yet: another process may be applying right now.
            Err(fail @ (Fail::Unreachable(_) | Fail::Configuration(_))) if is_worth_waiting(&fail) => {
                tracing::warn!("waiting: {fail}");
            }
            Err(fail) => return Err(fail),
        }
        if !WAIT.wait(attempt, shutdown.taking()).await {
            return Ok(None);
        }
        attempt += 1;
    }
}

fn is_worth_waiting(fail: &Fail) -> bool {
    matches!(fail, Fail::Unreachable(_)) || fail.to_string().contains("pubsync apply")
}
