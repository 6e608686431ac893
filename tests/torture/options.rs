//! What a run is asked to do.

use std::path::PathBuf;

const USAGE: &str = "usage: torture [--seed N] [--minutes M] [--roots N] [--rate T] [--rounds N] [--report FOLDER] [--only WORD]";

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
    /// Only faults whose name holds this word.
    pub only: Option<String>,
}

impl Options {
    /// # Panics
    /// With the usage, where it is another.
    pub fn from_arguments() -> Self {
        let mut options = Self {
            seed: 1,
            minutes: 3.5,
            rounds: 2,
            roots: 2_000,
            rate: 12.0,
            report: None,
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{name}: {USAGE}"));
            options.set(&name, value);
        }
        options
    }

    fn set(&mut self, name: &str, value: String) {
        let wrong = || format!("{name} {value}: {USAGE}");
        match name {
            "--seed" => self.seed = value.parse().unwrap_or_else(|_| panic!("{}", wrong())),
            "--minutes" => self.minutes = value.parse().unwrap_or_else(|_| panic!("{}", wrong())),
            "--rounds" => self.rounds = value.parse().unwrap_or_else(|_| panic!("{}", wrong())),
            "--roots" => self.roots = value.parse().unwrap_or_else(|_| panic!("{}", wrong())),
            "--rate" => self.rate = value.parse().unwrap_or_else(|_| panic!("{}", wrong())),
            "--report" => self.report = Some(PathBuf::from(value)),
            "--only" => self.only = Some(value),
            _ => panic!("{}", wrong()),
        }
    }
}
