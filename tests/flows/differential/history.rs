//! Random histories: transactions of an application, one after the other or interleaved, and what the street does in
//! between.

use pubsync_tests::naive::Engine;

use super::{
    model::{Foreign, Table},
    statements::Writer,
};
use crate::random::Random;

#[derive(Debug, Clone)]
pub enum Step {
    /// One transaction; a statement that fails rolls it back.
    Transaction { statements: Vec<String>, commit: bool },
    /// Two sessions at once: whose turn it is, statement by statement. Each commits after its last.
    Interleaved {
        sessions: [Vec<String>; 2],
        turns: Vec<usize>,
    },
    /// A document without triggers is announced: all of its roots, or every second one.
    Announce { document: String, all: bool },
    /// Takes outbox rows into the ledger, and leaves them there.
    Relay,
    /// Everything is done, and compared.
    Settle,
}

/// At least so many changes at the end of which each is compared by itself.
const QUIET: usize = 4;

/// The rows of the beginning, and what happens to them. `manual`: documents without triggers.
pub fn history(
    random: &mut Random,
    engine: Engine,
    tables: &[Table],
    manual: &[String],
) -> (Vec<String>, Vec<Step>) {
    let mut writer = Writer {
        random,
        engine,
        tables,
    };
    let mut load = Vec::new();
    for table in 0..tables.len() {
        for _ in 0..5 + writer.random.below(12) {
            load.push(writer.insert(table, true));
        }
    }
    let mut steps = vec![Step::Settle];
    for _ in 0..3 + writer.random.below(10) {
        let step = writer.step();
        steps.push(step);
        steps.extend(writer.announcement(manual));
        match writer.random.below(10) {
            0..2 => steps.push(Step::Relay),
            2..4 => steps.push(Step::Settle),
            _ => {}
        }
    }
    steps.push(Step::Settle);
    for _ in 0..QUIET + writer.random.below(QUIET) {
        steps.push(writer.quiet());
        steps.extend(writer.announcement(manual));
        steps.push(Step::Settle);
    }
    if !manual.is_empty() {
        let announce = |document: &String| Step::Announce {
            document: document.clone(),
            all: true,
        };
        steps.extend(manual.iter().map(announce).chain([Step::Settle]));
    }
    (load, steps)
}

impl Writer<'_> {
    fn step(&mut self) -> Step {
        if self.engine == Engine::Postgres && self.random.percent(25) {
            let sessions = [self.statements(3), self.statements(3)];
            let mut turns: Vec<usize> = sessions
                .iter()
                .enumerate()
                .flat_map(|(session, statements)| vec![session; statements.len()])
                .collect();
            self.random.shuffle(&mut turns);
            return Step::Interleaved { sessions, turns };
        }
        Step::Transaction {
            statements: self.statements(5),
            commit: !self.random.percent(8),
        }
    }

    fn announcement(&mut self, manual: &[String]) -> Option<Step> {
        if manual.is_empty() || !self.random.percent(30) {
            return None;
        }
        Some(Step::Announce {
            document: self.random.one_of(manual).clone(),
            all: self.random.percent(40),
        })
    }

    /// One column and nothing else. Whatever else changes can have a document built, so that nobody would see that this
    /// change did not.
    fn quiet(&mut self) -> Step {
        let table = self.random.below(self.tables.len());
        let statement = match self.random.below(10) {
            0..2 => self.move_to_another(table),
            2 => self.delete_one(table),
            _ => self.update_column(table),
        };
        Step::Transaction {
            statements: vec![statement],
            commit: true,
        }
    }

    fn statements(&mut self, most: usize) -> Vec<String> {
        let count = 1 + self.random.below(most);
        let mut statements: Vec<String> = Vec::new();
        for number in 0..count {
            let statement = self.statement();
            if self.random.percent(7) {
                let savepoint = format!("s{number}");
                let end = self.random.pick(&["ROLLBACK TO", "RELEASE"]);
                statements.extend([
                    format!("SAVEPOINT {savepoint}"),
                    statement,
                    format!("{end} {savepoint}"),
                ]);
            } else {
                statements.push(statement);
            }
        }
        statements
    }

    fn statement(&mut self) -> String {
        let table = self.random.below(self.tables.len());
        match self.random.below(24) {
            0..4 => self.insert(table, false),
            4..6 => self.insert_many(table),
            6..10 => self.update_one(table),
            10..12 => self.update_many(table),
            12 => self.update_nothing(table),
            13..15 => self.change_key(table),
            15..18 => self.move_to_another(table),
            18..20 => self.delete_one(table),
            20 if self.random.percent(40) => self.delete_many(table),
            21 if self.random.percent(20) => self.truncate(table),
            20..22 => self.insert_many(table),
            _ => self.upsert(table),
        }
    }
}

/// Foreign keys whose columns are no part of the primary key.
pub fn movable(table: &Table) -> Vec<&Foreign> {
    let free = |key: &&Foreign| !key.columns.iter().any(|column| table.key.contains(column));
    table.foreign.iter().filter(free).collect()
}
