//! `init`: first documents, and a first configuration. Overwrites nothing.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use pubsync_publisher::catalogue;
use pubsync_publisher::operate::init::{self, Draft};

use super::InitArgs;
use crate::config::Config;
use crate::fail::Fail;
use crate::terminal::print;
use crate::wiring::{self, FEW};

pub async fn init(config: Option<&Path>, arguments: InitArgs, json: bool) -> Result<(), Fail> {
    let path = Config::path(config);
    let mut written = Vec::new();
    if !path.exists() {
        write(&path, &configuration(&path, arguments.database.as_deref())?)?;
        written.push(path.clone());
    } else if arguments.database.is_some() {
        return Err(Fail::Usage(format!(
            "{} is there already and names a database: leave --database out, or name another file with --config",
            path.display()
        )));
    }
    let config =
        Config::load(Some(&path)).map_err(|e| Fail::Configuration(pubsync_schema::fault::chain(&e)))?;
    let folder = config.documents.clone();
    let wired = wiring::wire(config, FEW).await?;
    let store = &wired.store;
    let catalogue = catalogue::introspect(&store.read, store.dialect(), store.names.name()).await?;
    let tables = if arguments.all {
        init::root_tables(&catalogue)
    } else {
        arguments.tables
    };
    let drafts: Vec<Draft> = tables
        .iter()
        .map(|table| init::draft(&catalogue, table))
        .collect::<Result<_, _>>()
        .map_err(|e| Fail::Usage(e.to_string()))?;
    written.extend(write_drafts(&folder, &drafts)?);
    let files: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
    print(json, &serde_json::json!({ "written": files }), || {
        format!(
            "written: {}\ncut them down, then `pubsync check`",
            files.join(", ")
        )
    });
    Ok(())
}

/// All or none: nothing is written where one file is there already, or two drafts want the same.
fn write_drafts(folder: &Path, drafts: &[Draft]) -> Result<Vec<PathBuf>, Fail> {
    let file = |draft: &Draft| folder.join(format!("{}.yaml", draft.document));
    let files: Vec<PathBuf> = drafts.iter().map(file).collect();
    let twice = |at: usize| files[..at].contains(&files[at]);
    let taken: Vec<String> = (0..files.len())
        .filter(|at| files[*at].exists() || twice(*at))
        .map(|at| files[at].display().to_string())
        .collect();
    if !taken.is_empty() {
        return Err(Fail::Usage(format!(
            "no document is written, because these files are there already, or two tables want them: {}",
            taken.join(", ")
        )));
    }
    fs::create_dir_all(folder).map_err(|e| cannot("make the folder", folder, &e))?;
    for (file, draft) in files.iter().zip(drafts) {
        write(file, &draft.yaml)?;
    }
    Ok(files)
}

/// For its owner only: a configuration may hold a password.
fn write(path: &Path, text: &str) -> Result<(), Fail> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if path.file_name() == Some(Config::FILE.as_ref()) {
        options.mode(0o600);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| cannot("write", path, &e))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Fail {
    Fail::Usage(format!("cannot {what} {}: {error}", path.display()))
}

fn configuration(path: &Path, database: Option<&str>) -> Result<String, Fail> {
    let Some(database) = database else {
        return Err(Fail::Usage(format!(
            "{} is not there: with --database postgres://… or --database sqlite:path it is written",
            path.display()
        )));
    };
    let database = serde_json::Value::from(database);
    Ok(format!(
        "# Every setting is explained in docs/configuration.md. ${{NAME}} is an environment variable.\n\
         database: {database}\n\
         broker: embedded   # within one process; for several: amqp://user:password@host:5672/vhost\n\
         documents: documents\n\
         targets:\n  \
         local: {{ kind: local, path: store.db }}\n  \
         # storage: {{ kind: redis, url: \"redis://host:6379\" }}\n  \
         # search: {{ kind: opensearch, url: \"http://host:9200\" }}\n"
    ))
}
