//! The file, `${NAME}` and `${file:PATH}` in it, the environment over it; and where each setting came from.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::Config;
use super::error::{ConfigError, Place, explain};
use super::mounted::{Mounted, expand};
use super::places::{self, Places};

const PREFIX: &str = "PUBSYNC_";

/// Variables of tests, scripts and logging, which are no settings.
const OTHERS: [&str; 5] = [
    "PUBSYNC_SERVICES_DIR",
    "PUBSYNC_SERVICES_SET",
    "PUBSYNC_CONFIG",
    "PUBSYNC_DATASETS",
    "PUBSYNC_LOG",
];

/// Environment variables by name.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process; what is not UTF-8 is left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    pub(super) fn config_file(&self) -> Option<&Path> {
        self.0.get("PUBSYNC_CONFIG").map(Path::new)
    }

    /// The settings among them: path, variable and value. `PUBSYNC_TARGETS__STORAGE__URL` is `targets.storage.url`.
    fn settings(&self) -> impl Iterator<Item = (Vec<String>, &str, &str)> {
        self.0
            .iter()
            .filter(|(name, value)| is_setting(name, value))
            .filter_map(|(name, value)| {
                let path = name
                    .strip_prefix(PREFIX)?
                    .split("__")
                    .map(str::to_lowercase)
                    .collect();
                Some((path, name.as_str(), value.as_str()))
            })
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Kubernetes gives every pod the addresses of services, and a service may well be called `pubsync` or
/// `pubsync-console`: `PUBSYNC_SERVICE_HOST`, `PUBSYNC_PORT=tcp://…`, `PUBSYNC_CONSOLE_PORT_8080_TCP_ADDR`.
fn is_setting(name: &str, value: &str) -> bool {
    let of_kubernetes = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP")))
        || (name.ends_with("_PORT") && value.contains("://"));
    name.starts_with(PREFIX)
        && !OTHERS.contains(&name)
        && !name.starts_with("PUBSYNC_TEST_")
        && !of_kubernetes
}

/// Reads and merges all layers. Paths in the result are as written.
pub fn read(path: &Path, environment: &Environment) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => ConfigError::Missing {
            path: path.to_owned(),
        },
        _ => ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        },
    })?;
    let file = places::read(&text).map_err(|(line_and_column, problem)| ConfigError::Invalid {
        place: Place::File {
            path: path.to_owned(),
            line_and_column,
        },
        problem,
    })?;
    Layers::new(path, file, environment).extract(environment)
}

struct Layers<'a> {
    path: &'a Path,
    file: Places,
    /// Variable and value by the setting's path.
    over: BTreeMap<Vec<String>, (&'a str, &'a str)>,
}

impl<'a> Layers<'a> {
    fn new(path: &'a Path, file: Places, environment: &'a Environment) -> Self {
        let over = environment
            .settings()
            .map(|(setting, variable, value)| (with_target_of(&file.values, setting), (variable, value)))
            .collect();
        Self { path, file, over }
    }

    fn extract(mut self, environment: &Environment) -> Result<Config, ConfigError> {
        let mut values = std::mem::take(&mut self.file.values);
        let mut mounted = Mounted::default();
        self.put_variables_in(&mut values, &mut Vec::new(), environment, &mut mounted)?;
        // Text, whatever it looks like: a password may be 123456 or true. Numeric settings read text too.
        let over = self
            .over
            .iter()
            .map(|(setting, (_, value))| figment::util::nest(&setting.join("."), (*value).into()));
        let figment = over.fold(Figment::from(Layer(values)), |figment, value| match value {
            Value::Dict(_, dict) => figment.merge(Layer(dict)),
            _ => figment,
        });
        let mut config: Config = figment.extract().map_err(|error| {
            let (setting, problem) = explain(&error.kind, &error.path);
            self.invalid(&setting, problem)
        })?;
        config
            .check()
            .map_err(|(setting, text)| self.invalid(&setting, format!("`{}` {text}", setting.join("."))))?;
        config.mounted = mounted;
        Ok(config)
    }

    /// Replaces `${…}` in the file's values, except in those that the environment overrides.
    fn put_variables_in(
        &self,
        dict: &mut Dict,
        path: &mut Vec<String>,
        env: &Environment,
        mounted: &mut Mounted,
    ) -> Result<(), ConfigError> {
        for (name, value) in dict {
            path.push(name.clone());
            match value {
                Value::Dict(_, members) => self.put_variables_in(members, path, env, mounted)?,
                Value::String(_, text) if !self.over.contains_key(path) => {
                    let variable = |name: &str| env.0.get(name).map(String::as_str);
                    let folder = self.path.parent().unwrap_or(Path::new(""));
                    *text = expand(text, variable, |path| mounted.read(folder.join(path)))
                        .map_err(|problem| self.invalid(path, format!("`{}`: {problem}", path.join("."))))?;
                }
                _ => {}
            }
            path.pop();
        }
        Ok(())
    }

    fn invalid(&self, setting: &[String], problem: String) -> ConfigError {
        ConfigError::Invalid {
            place: self.place(setting),
            problem,
        }
    }

    /// Where the setting was written, else what surrounds it.
    fn place(&self, setting: &[String]) -> Place {
        let variable = |variable: &str| Place::Environment {
            variable: variable.to_owned(),
        };
        let in_file = |at: Option<&(u64, u64)>| Place::File {
            path: self.path.to_owned(),
            line_and_column: at.copied(),
        };
        if let Some((name, _)) = self.over.get(setting) {
            return variable(name);
        }
        if let Some(at) = self.file.at.get(setting) {
            return in_file(Some(at));
        }
        let inside = self
            .over
            .iter()
            .find(|(path, _)| !setting.is_empty() && path.starts_with(setting));
        match inside {
            Some((_, (name, _))) => variable(name),
            None => in_file(
                (1..setting.len())
                    .rev()
                    .find_map(|end| self.file.at.get(&setting[..end])),
            ),
        }
    }
}

/// Variables have no lower case and no `-`: finds the target of the file that is meant.
fn with_target_of(file: &Dict, mut setting: Vec<String>) -> Vec<String> {
    if let (Some(Value::Dict(_, targets)), [top, target, ..]) = (file.get("targets"), setting.as_mut_slice())
        && top == "targets"
        && let Some(name) = targets
            .keys()
            .find(|name| name.to_lowercase().replace('-', "_") == *target)
    {
        target.clone_from(name);
    }
    setting
}

struct Layer(Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::default()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}
