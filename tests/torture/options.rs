//! What a run is asked to do.

use std::{path::PathBuf, str::FromStr};

const USAGE: &str = "usage: torture [--seed N] [--minutes M] [--rounds N] [--roots N] [--rate T] [--limit S] [--only WORD] \
     [--first-only yes] [--report FOLDER] | torture mutants [WORD]";

#[derive(Debug, Clone, serde::Serialize)]
pub struct Options {
    pub seed: u64,
    /// Faults begin until then.
    pub minutes: f64,
    /// Rounds of faults, each with quiet and a comparison at its end.
    pub rounds: u32,
    pub roots: i64,
    /// Transactions a second.
    pub rate: f64,
    /// Where `torture.md` and `torture.json` go.
    pub report: Option<PathBuf>,
    /// Only faults whose name holds one of these words, between which commas stand.
    pub only: Option<String>,
    /// Seconds within which everything must have arrived after a fault, and after a round.
    pub limit: u64,
    /// The first violation ends the run.
    pub first_only: bool,
}

impl Options {
    /// # Panics
    /// With the usage, where it is another.
    pub fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            seed: 1,
            minutes: 3.5,
            rounds: 2,
            roots: 2_000,
            rate: 12.0,
            report: None,
            only: None,
            limit: 180,
            first_only: false,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{name}: {USAGE}"));
            options.set(&name, value);
        }
        options
    }

    fn set(&mut self, name: &str, value: String) {
        match name {
            "--seed" => self.seed = number(name, &value),
            "--minutes" => self.minutes = number(name, &value),
            "--rounds" => self.rounds = number(name, &value),
            "--roots" => self.roots = number(name, &value),
            "--rate" => self.rate = number(name, &value),
            "--limit" => self.limit = number(name, &value),
            "--first-only" => self.first_only = value == "yes",
            "--report" => self.report = Some(PathBuf::from(value)),
            "--only" => self.only = Some(value),
            _ => panic!("{name} {value}: {USAGE}"),
        }
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> T {
    value
        .parse()
        .unwrap_or_else(|_| panic!("{name} {value}: {USAGE}"))
}
