//! The command line: parses, calls the library, prints.

pub(crate) mod apply;
mod graph;
mod init;
mod operate;
mod plan;
mod run;
mod schema;
mod show;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pubsync_publisher::handwritten::Publishers;
use pubsync_publisher::workers::Role;

use crate::config::Config;
use crate::fail::Fail;

/// Keeps Redis and OpenSearch equal to a SQL database.
#[derive(Debug, Parser)]
#[command(name = "pubsync", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 fine, 1 differences found, 2 usage, 3 configuration or documents, \
    4 a service cannot be reached, 5 part failed or timed out."
)]
struct Cli {
    /// Configuration file; PUBSYNC_CONFIG names one too [default: pubsync.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// What to log on stderr: error, warn, info, debug, or filters such as pubsync_publisher=debug
    #[arg(
        long,
        global = true,
        env = "PUBSYNC_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    /// Log JSON lines
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole street on embedded defaults: no service, no port, no configuration
    Demo {
        /// Where to put the files
        #[arg(long, default_value = "pubsync-demo", value_name = "FOLDER")]
        folder: PathBuf,
        /// How many products the shop has
        #[arg(long, default_value_t = 2000)]
        products: u32,
    },
    /// Write first documents from the tables, and a configuration where none is; overwrites nothing
    #[command(
        after_help = "Examples:\n  pubsync init --database postgres://app@localhost/shop product brand\n  pubsync init --all"
    )]
    Init(InitArgs),
    /// Validate configuration and documents against the database; changes nothing
    Check {
        /// Without the database: what the files alone can tell, no names of tables and columns
        #[arg(long)]
        offline: bool,
    },
    /// Show what `apply` would change, and why; changes nothing
    Plan {
        /// With the statements: triggers, and the SELECTs and reverse paths of each document
        #[arg(long)]
        sql: bool,
        /// Exit 1 where there is something to do
        #[arg(long)]
        exit_code: bool,
        #[command(flatten)]
        remove: Remove,
    },
    /// Draw which tables and columns make which documents, and where these go
    #[command(after_help = "Example: pubsync graph --format dot | dot -Tsvg > graph.svg")]
    Graph {
        #[arg(long, default_value = "text")]
        format: GraphFormat,
    },
    /// Make database, broker and targets what the documents say, and queue the rebuild of what changed
    #[command(
        after_help = "Examples:\n  pubsync apply\n  pubsync apply --yes --remove product --remove brand@search"
    )]
    Apply {
        /// Do not ask; takes no data away that is not named by --remove
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remove: Remove,
    },
    /// Run workers: all roles, or those named
    #[command(after_help = "Example: pubsync run publisher synchronizer")]
    Run(RunArgs),
    /// Rebuild documents from the source, on the bulk lane
    #[command(
        after_help = "Examples:\n  pubsync publish product --ids 1,2,3 --wait\n  pubsync publish --all"
    )]
    Publish {
        #[command(flatten)]
        documents: Documents,
        /// Only these roots
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        ids: Option<Vec<String>>,
        /// Count the roots, queue nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Push mirror rows (tombstones too) to targets again, and take orphans away
    #[command(
        after_help = "Examples:\n  pubsync resync --all --wait\n  pubsync resync product --target storage --since 2h"
    )]
    Resync {
        #[command(flatten)]
        documents: Documents,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
        /// Only what changed since: 30s, 15m, 2h, 1d
        #[arg(long, value_name = "DURATION")]
        since: Option<String>,
        /// Only rows of these roots
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        ids: Option<Vec<String>>,
        /// Only keys with this value in a column of the key; may be given again
        #[arg(long, value_name = "COLUMN=VALUE")]
        only: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Return when all that was committed before the call has reached its targets
    Wait {
        /// Seconds to wait at most; then exit 5
        #[arg(long, default_value_t = 300)]
        timeout: u64,
    },
    /// Compare source, mirror and every target; exit 1 on differences
    Verify {
        /// All documents where left out
        documents: Vec<String>,
        /// Queue what heals the differences: a rebuild where the mirror differs from its source, a resync where a target
        /// differs from the mirror
        #[arg(long)]
        repair: bool,
    },
    /// Where everything stands
    Status,
    /// What failed, oldest first
    Failures,
    /// Print a JSON Schema: for editors, or for those who read documents
    #[command(after_help = "Example: pubsync schema document > document.json")]
    Schema {
        #[command(subcommand)]
        of: SchemaOf,
    },
    /// The configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// As it is understood, without secrets
    Show,
}

#[derive(Debug, Subcommand)]
enum SchemaOf {
    /// Of document files
    Document,
    /// Of pubsync.yaml
    Config,
    /// Of what a document looks like, by the tables' column types
    Result { document: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    Text,
    Mermaid,
    Dot,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Tables, by the names that documents use
    #[arg(value_name = "TABLE", required_unless_present = "all", conflicts_with = "all")]
    tables: Vec<String>,
    /// All tables that documents could be about: no junctions, no mere details of other tables' rows
    #[arg(long)]
    all: bool,
    /// Write a configuration for this database, where none is
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Args)]
struct RunArgs {
    roles: Vec<RoleName>,
    /// End when outbox and ledger are empty, paused and failed work apart
    #[arg(long)]
    until_quiet: bool,
    /// Publisher and synchronizer tasks per queue in this process [default: as configured]
    #[arg(long)]
    concurrency: Option<usize>,
    /// Serve /livez, /readyz and /metrics here, as in 127.0.0.1:9464 [default: as configured, else off]
    ///
    /// Without login; the answers hold names of documents, targets and queues, and numbers: no payloads, keys or
    /// secrets. In a pod: 0.0.0.0:9464.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct Remove {
    /// Take away what a document that is declared no more has left behind: entries of targets, mirror, queues. With
    /// @TARGET: what a target holds that a document has left. May be given again
    #[arg(long, value_delimiter = ',', value_name = "DOCUMENT[@TARGET]")]
    remove: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    Relay,
    Publisher,
    Synchronizer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Relay => Self::Relay,
            RoleName::Publisher => Self::Publisher,
            RoleName::Synchronizer => Self::Synchronizer,
        }
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Documents {
    /// Document names
    #[arg(value_name = "DOCUMENT")]
    names: Vec<String>,
    /// All documents
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Return when it has reached the targets
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
}

/// Parses the arguments of this process and runs the command.
pub(crate) async fn main(publishers: &Publishers) -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = pubsync_worker::logs::init(cli.log_json, &cli.log) {
        eprintln!("pubsync: --log: {error}");
        return ExitCode::from(2);
    }
    let json = cli.json;
    match dispatch(cli, publishers).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            if json {
                eprintln!(
                    "{}",
                    serde_json::json!({ "error": fail.to_string(), "code": fail.code() })
                );
            } else {
                eprintln!("pubsync: {fail}");
            }
            ExitCode::from(fail.code())
        }
    }
}

async fn dispatch(cli: Cli, publishers: &Publishers) -> Result<(), Fail> {
    if let Command::Demo { folder, products } = &cli.command {
        return crate::demo::demo(folder, *products, cli.json).await;
    }
    if let Command::Init(arguments) = cli.command {
        return init::init(cli.config.as_deref(), arguments, cli.json).await;
    }
    if let Command::Schema { of } = &cli.command
        && let Some(found) = schema::of_files(of)
    {
        schema::show(&found, cli.json);
        return Ok(());
    }
    let config = Config::load(cli.config.as_deref())
        .map_err(|e| Fail::Configuration(pubsync_schema::fault::chain(&e)))?;
    match cli.command {
        Command::Demo { .. } | Command::Init(_) => Ok(()),
        Command::Check { offline } => apply::check(config, publishers, offline, cli.json).await,
        Command::Plan {
            sql,
            exit_code,
            remove,
        } => {
            let showing = apply::Showing {
                sql,
                exit_code,
                remove: remove.remove,
            };
            apply::plan(config, publishers, showing, cli.json).await
        }
        Command::Schema { of } => schema::schema(config, &of, cli.json).await,
        Command::Graph { format } => graph::graph(config, publishers, format, cli.json).await,
        Command::Apply { yes, remove } => {
            apply::apply(config, publishers, yes, remove.remove, cli.json).await
        }
        Command::Run(args) => run::run(config, publishers, args).await,
        Command::Publish {
            documents,
            ids,
            dry_run,
            wait,
        } => {
            let request = operate::Request {
                documents: &documents,
                ids,
                dry_run,
            };
            operate::publish(config, publishers, request, &wait, cli.json).await
        }
        Command::Resync {
            documents,
            target,
            since,
            ids,
            only,
            wait,
        } => {
            let selection = operate::Narrowed {
                target,
                since,
                ids,
                only,
            };
            operate::resync(config, &documents, selection, &wait, cli.json).await
        }
        Command::Wait { timeout } => operate::wait(config, timeout, cli.json).await,
        Command::Verify { documents, repair } => {
            operate::verify(config, publishers, &documents, repair, cli.json).await
        }
        Command::Status => show::status(config, cli.json).await,
        Command::Failures => show::failures(config, cli.json).await,
        Command::Config {
            command: ConfigCommand::Show,
        } => {
            let shown = config.redacted();
            crate::terminal::print(cli.json, &shown, || {
                serde_json::to_string_pretty(&shown).unwrap_or_default()
            });
            Ok(())
        }
    }
}
