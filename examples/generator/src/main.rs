//! `pubsync-examples storefront --products 10000 --database postgres://…`: creates and fills the tables of an example.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use pubsync_examples::{Set, Size, fill};
use sea_orm::{ConnectOptions, Database, DbErr};

/// Creates the tables of an example and fills them. The same seed gives the same rows.
#[derive(Parser)]
struct Arguments {
    /// storefront, feeds or projections
    #[arg(value_parser = set)]
    set: Set,
    /// How many products (or offers); everything else follows
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    products: u32,
    /// `postgres://user@host/database`, or `sqlite:file.db`; the tables must not exist there
    #[arg(long)]
    database: String,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn set(name: &str) -> Result<Set, String> {
    Set::named(name).ok_or_else(|| format!("one of: {}", Set::ALL.map(Set::name).join(", ")))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} was not filled: {error}", arguments.set.name());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), DbErr> {
    let start = Instant::now();
    // A file that is not there yet is made.
    let url = match arguments.database.split_once('?') {
        None if arguments.database.starts_with("sqlite:") => format!("{}?mode=rwc", arguments.database),
        _ => arguments.database.clone(),
    };
    let db = Database::connect(ConnectOptions::new(url).sqlx_logging(false).to_owned()).await?;
    arguments.set.create_tables(&db).await?;
    let size = Size {
        products: arguments.products,
        seed: arguments.seed,
    };
    let rows = fill(&db, arguments.set.tables(size), |table, rows| {
        println!("{rows:>10}  {table}");
    })
    .await?;
    println!("{rows:>10}  rows in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
