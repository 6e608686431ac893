//! The statements that bring one table's capture to what it should be. Pure.

use std::collections::BTreeMap;

use pubsync_schema::names::Names;
use xxhash_rust::xxh3::xxh3_64;

use super::function::{self, literal};
use super::state::{Captured, Member, Oid, Record, State, Trigger};
use super::{Capture, DIALECT};
use crate::capture::TableName;
use crate::hash::hash;

/// Every writer queues behind a lock that waits; so it waits this long and the caller tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";

const OPERATIONS: [(&str, &str); 4] = [
    ("INSERT", " REFERENCING NEW TABLE AS new_rows"),
    (
        "UPDATE",
        " REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    ),
    ("DELETE", " REFERENCING OLD TABLE AS old_rows"),
    ("TRUNCATE", ""),
];

/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;

/// The capture of one table as it should be.
pub(super) struct Wanted {
    pub table: TableName,
    pub function: String,
    pub record: Record,
    /// Creates the function. `None`: it stands, and only its triggers are looked after.
    pub text: Option<String>,
}

/// Whether changes may have gone unseen, so that the documents over the table must be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    /// Where one of these relations was ever written to. Most new partitions are empty.
    IfWritten(Vec<Oid>),
    Surely,
}

impl Wanted {
    pub fn of(names: &Names, capture: &Capture) -> Self {
        let table = TableName::of(&capture.table);
        let function = function_name(&table);
        let text = function::text(names, capture, &names.table(&function));
        // Triggers differ only in the relation they stand on.
        let triggers =
            OPERATIONS.map(|operation| trigger(names, &table, &function, true, operation).join(";"));
        Self {
            record: Record {
                fingerprint: hash(format!("{text}\n{}", triggers.join("\n"))),
                name: capture.name.clone(),
                schema: table.schema.clone().unwrap_or_default(),
                table: table.table.clone(),
                members: BTreeMap::new(),
            },
            table,
            function,
            text: Some(text),
        }
    }

    /// What a function was generated for, as it stands.
    pub fn recorded(function: &str, record: &Record) -> Self {
        Self {
            table: record.place(),
            function: function.to_owned(),
            record: record.clone(),
            text: None,
        }
    }

    /// The statements that are missing, to be run in one transaction; none where all is as it should be. `unknown` is what to
    /// think where no record says on which relations the function stood.
    pub fn changes(&self, names: &Names, members: &[Member], state: &State, unknown: Missed) -> Vec<String> {
        let known = state.functions.get(&self.function).and_then(Option::as_ref);
        let record = Record {
            members: members.iter().map(|m| (m.oid, m.replicated)).collect(),
            ..self.record.clone()
        };
        let lacking: Vec<&Member> = members
            .iter()
            .filter(|member| !self.is_captured(names, member, state.captured.get(&member.oid)))
            .collect();
        if known == Some(&record) && lacking.is_empty() {
            return Vec::new();
        }
        let missed = known.map_or(unknown, |known| missed(known, members, &lacking));
        // Open writers saw the old function: wait for all of them.
        let replaced = self.text.is_some() && known.map(|k| &k.fingerprint) != Some(&record.fingerprint);
        let to_lock: Vec<&TableName> = match replaced {
            true => members.iter().filter(|m| !m.foreign).map(|m| &m.table).collect(),
            false => lacking.iter().map(|m| &m.table).collect(),
        };
        let mut statements = serialized(names);
        statements.extend(lock(&to_lock, "SHARE ROW EXCLUSIVE"));
        let function = names.table(&self.function);
        if let (true, Some(text)) = (replaced, &self.text) {
            statements.push(text.clone());
            statements.push(format!("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"));
        }
        for member in lacking {
            statements.extend(self.triggers(names, member));
        }
        let comment = serde_json::json!(record).to_string();
        statements.push(format!(
            "COMMENT ON FUNCTION {function}() IS {}",
            literal(&comment)
        ));
        statements.extend(self.marks(names, members, known, &missed));
        statements
    }

    fn is_captured(&self, names: &Names, member: &Member, captured: Option<&Captured>) -> bool {
        let stands = |name: &str, enabled: &str| {
            captured.is_some_and(|c| {
                c.triggers
                    .iter()
                    .any(|t| t.function == self.function && t.name == name && t.enabled == enabled)
            })
        };
        let statement = |operation: &str| {
            stands(
                &trigger_name(names, &self.function, member.is_root, operation),
                "A",
            )
        };
        let row = || stands(&trigger_name(names, &self.function, member.is_root, "ROW"), "R");
        let statements = || OPERATIONS.iter().all(|(operation, _)| statement(operation));
        member.foreign || (statements() && (!member.replicated || row()))
    }

    fn triggers(&self, names: &Names, member: &Member) -> Vec<String> {
        let function = names.table(&self.function);
        let mut statements: Vec<String> = OPERATIONS
            .into_iter()
            .flat_map(|operation| trigger(names, &member.table, &self.function, member.is_root, operation))
            .collect();
        if member.replicated {
            // Only where replication writes: for all other statements the four above do it.
            let (table, name) = (
                member.table.quoted(DIALECT),
                trigger_name(names, &self.function, member.is_root, "ROW"),
            );
            let name = DIALECT.quote(&name);
            statements.push(format!(
                "CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW \
                 EXECUTE FUNCTION {function}()"
            ));
            statements.push(format!("ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}"));
        }
        statements
    }

    /// Outbox rows that ask for what the triggers could not see, in the transaction that makes them see: a rebuild begins
    /// after the last change that they missed.
    fn marks(
        &self,
        names: &Names,
        members: &[Member],
        known: Option<&Record>,
        missed: &Missed,
    ) -> Vec<String> {
        let (outbox, name, now) = (names.table("outbox"), literal(&self.record.name), DIALECT.now());
        let mut statements = Vec::new();
        let condition = match missed {
            Missed::Nothing => None,
            Missed::Surely => Some("true".to_owned()),
            // A relation that was never written to has an empty file, and still its first one.
            Missed::IfWritten(oids) => {
                let oids: Vec<String> = oids.iter().map(ToString::to_string).collect();
                Some(format!(
                    "EXISTS (SELECT FROM unnest(ARRAY[{}]::oid[]) AS m WHERE coalesce(pg_relation_size(m), 0) > 0 \
                     OR coalesce(pg_relation_filenode(m), m) <> m)",
                    oids.join(", ")
                ))
            }
        };
        if let Some(condition) = condition {
            statements.push(format!(
                "INSERT INTO {outbox} (kind, table_name, changes, lane, at) \
                 SELECT 'truncate', {name}, '[]', 'bulk', {now} WHERE {condition}"
            ));
        }
        let foreign = members.iter().filter(|member| {
            member.foreign && !known.is_some_and(|known| known.members.contains_key(&member.oid))
        });
        for member in foreign {
            let error = format!(
                "partition {} is a foreign table, where nobody sees what is written",
                member.table
            );
            let broken =
                serde_json::json!({"error": error, "state": "0A000", "operation": "ATTACH PARTITION"});
            statements.push(format!(
                "INSERT INTO {outbox} (kind, table_name, changes, lane, at) \
                 SELECT 'broken', {name}, {}, 'live', {now}",
                literal(&broken.to_string())
            ));
        }
        statements
    }
}

/// By what the function stood on, and what the table consists of now. A partition that is new may have been written
/// to before its triggers stood; one that is gone took its rows along without a word.
fn missed(known: &Record, members: &[Member], lacking: &[&Member]) -> Missed {
    let gone = known
        .members
        .keys()
        .any(|oid| members.iter().all(|member| member.oid != *oid));
    // Triggers that were switched off or dropped, or that did not see what replication wrote.
    let blind = lacking
        .iter()
        .any(|member| known.members.contains_key(&member.oid));
    let replicated = members
        .iter()
        .any(|member| member.replicated && known.members.get(&member.oid) == Some(&false));
    let added: Vec<Oid> = members
        .iter()
        .map(|member| member.oid)
        .filter(|oid| !known.members.contains_key(oid))
        .collect();
    match gone || blind || replicated {
        true => Missed::Surely,
        false if added.is_empty() => Missed::Nothing,
        false => Missed::IfWritten(added),
    }
}

/// Takes these triggers away. What DROP TRIGGER needs is locked at once: a reader that goes on to write would deadlock
/// with an upgrade.
pub(super) fn removal(names: &Names, table: &TableName, triggers: &[Trigger]) -> Vec<String> {
    let mut statements = serialized(names);
    statements.extend(lock(&[table], "ACCESS EXCLUSIVE"));
    let table = table.quoted(DIALECT);
    statements.extend(triggers.iter().map(|trigger| {
        format!(
            "DROP TRIGGER IF EXISTS {} ON {table}",
            DIALECT.quote(&trigger.name)
        )
    }));
    statements
}

/// One process at a time changes what is captured: `apply`, or whoever looks after the triggers.
pub(super) fn serialized(names: &Names) -> Vec<String> {
    let key = literal(&format!("{} capture", names.name()));
    vec![
        LOCK_TIMEOUT.to_owned(),
        format!("SELECT pg_advisory_xact_lock(hashtextextended({key}, 0))"),
    ]
}

/// ONLY: partitions are named one by one, so that a new one is locked without its siblings.
fn lock(tables: &[&TableName], mode: &str) -> Option<String> {
    let tables: Vec<String> = tables
        .iter()
        .map(|table| format!("ONLY {}", table.quoted(DIALECT)))
        .collect();
    match tables.is_empty() {
        true => None,
        false => Some(format!("LOCK TABLE {} IN {mode} MODE", tables.join(", "))),
    }
}

/// `capture_<schema>_<table>`. With a hash where that would be cut off, or could be read in two ways.
fn function_name(table: &TableName) -> String {
    let schema = table.schema.as_deref().unwrap_or_default();
    let name = format!("capture_{schema}_{}", table.table);
    if name.len() <= LONGEST_NAME && !schema.contains('_') {
        return name;
    }
    let hash = format!(
        "_{:016x}",
        xxh3_64(format!("{schema}\0{}", table.table).as_bytes())
    );
    let end = (0..=LONGEST_NAME - hash.len())
        .rev()
        .find(|&end| name.is_char_boundary(end))
        .unwrap_or_default();
    name[..end].to_owned() + &hash
}

/// A table that inherits from another one can have documents of its own, and then triggers of both.
fn trigger_name(names: &Names, function: &str, is_root: bool, operation: &str) -> String {
    let operation = operation.to_lowercase();
    match is_root {
        true => format!("{}_capture_{operation}", names.name()),
        false => format!(
            "{}_capture_{:08x}_{operation}",
            names.name(),
            xxh3_64(function.as_bytes()) as u32
        ),
    }
}

/// Whether a trigger is that of a table itself, by its name.
pub(super) fn is_of_root(names: &Names, trigger: &Trigger) -> bool {
    trigger.name == trigger_name(names, &trigger.function, true, "INSERT")
}

/// ALWAYS: sessions with `session_replication_role = replica` are captured too.
fn trigger(
    names: &Names,
    table: &TableName,
    function: &str,
    is_root: bool,
    (operation, referencing): (&str, &str),
) -> [String; 2] {
    let table = table.quoted(DIALECT);
    let trigger = DIALECT.quote(&trigger_name(names, function, is_root, operation));
    let function = names.table(function);
    [
        format!(
            "CREATE OR REPLACE TRIGGER {trigger} AFTER {operation} ON {table}{referencing} \
             FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        ),
        format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"),
    ]
}

impl Record {
    pub fn place(&self) -> TableName {
        TableName {
            schema: Some(self.schema.clone()),
            table: self.table.clone(),
        }
    }
}
