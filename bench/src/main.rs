//! The street and the physical limits beside it, in one run on the real services.

mod cpu;
mod installation;
mod limits;
mod phases;
mod report;
mod select;
mod services;

use std::process::ExitCode;

use clap::Parser;
use pubsync::fail::Fail;
use pubsync::shop::Shop;
use pubsync_schema::shape::SyncMode;
use pubsync_worker::logs;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};

use installation::Installation;
use limits::Limits;
use phases::Load;
use report::{Delays, Phase, Report};
use services::{Services, part};

/// The limits that bound what goes to Redis, and to both targets.
const TO_REDIS: &[&str] = &["build", "upsert", "publish packed", "redis"];
const TO_BOTH: &[&str] = &["build", "upsert", "publish packed", "redis", "opensearch"];

/// Measures how many documents a second pubsync moves, and how long a change takes.
#[derive(Parser)]
struct Args {
    /// Products of the shop, each with one document of about 1.5 KB.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    products: u32,
    /// Single changes whose way is timed.
    #[arg(long, default_value_t = 200)]
    changes: u32,
    /// Rounds of everything but the single changes; the best counts, because other programs only ever make it worse.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl Args {
    fn load(&self, limits: &'static [&'static str]) -> Load {
        Load {
            products: self.products,
            rounds: self.rounds,
            limits,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(fail) => {
            eprintln!("{fail}");
            ExitCode::from(fail.code())
        }
    }
}

async fn run(args: &Args) -> Result<String, Fail> {
    logs::init(
        false,
        &std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()),
    )
    .map_err(part)?;
    let services = Services::from_env()?;
    services.create_database().await?;
    let report = measure(&services, args).await;
    let removed = services.remove().await;
    let report = report?;
    removed?;
    if args.json {
        serde_json::to_string_pretty(&report).map_err(part)
    } else {
        Ok(report.text())
    }
}

async fn measure(services: &Services, args: &Args) -> Result<Report, Fail> {
    let app = Database::connect(services.database()).await?;
    fill(&app, args.products).await?;
    let (mut phases, delays) = redis_alone(services, &app, args).await?;
    say("both targets");
    let installation = Installation::create(services, true).await?;
    let rebuild = phases::rebuild(
        &installation,
        "rebuild to Redis and OpenSearch",
        args.load(TO_BOTH),
    )
    .await?;
    phases.insert(1, rebuild);
    say("limits");
    let limits = Limits::of(&installation, args.products).await?;
    let figures = limits.measure(args.rounds).await?;
    let report = Report::new(args.products, limits.body(), phases, delays, figures);
    drop(limits);
    installation.stop().await?;
    app.close().await?;
    Ok(report)
}

/// The shop, with the statistics that a database of some age has.
async fn fill(app: &DatabaseConnection, products: u32) -> Result<(), Fail> {
    say("the shop");
    Shop::create_tables(app).await?;
    let shop = Shop {
        products,
        ..Shop::default()
    };
    shop.fill(app).await?;
    app.execute_unprepared("VACUUM ANALYZE").await?;
    Ok(())
}

async fn redis_alone(
    services: &Services,
    app: &DatabaseConnection,
    args: &Args,
) -> Result<(Vec<Phase>, Vec<Delays>), Fail> {
    let of = (args.products, args.changes);
    let mut redis = services.redis().await?;
    say("Redis alone");
    let installation = Installation::create(services, false).await?;
    let rebuild = phases::rebuild(&installation, "rebuild to Redis", args.load(TO_REDIS)).await?;
    let touched = phases::touched(&installation, app, args.load(TO_REDIS)).await?;
    say("single changes");
    let queued = phases::changes(&installation, app, &mut redis, "over the queue", of).await?;
    let installation = installation.restart(services, false, SyncMode::Direct).await?;
    let direct = phases::changes(&installation, app, &mut redis, "sync: direct", of).await?;
    installation.stop().await?;
    Ok((vec![rebuild, touched], vec![queued, direct]))
}

fn say(what: &str) {
    eprintln!("{what} …");
}
