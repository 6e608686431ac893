//! Triggers for PostgreSQL 14 and later: for each table one function, and four statement triggers on the table and on each
//! of its partitions (a statement fires the triggers of the table that it names, and of no other). Where logical
//! replication writes, a row trigger as well, because it fires no statement trigger.
//!
//! A function's comment records which relations it stood on. Where that is no longer what the table consists of, or a
//! trigger was dropped or switched off, [`repair`] sets the triggers and asks for a rebuild in one transaction.

mod change;
mod function;
mod row;
mod state;

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use super::{
    BULK_FROM_CHANGES, CHANGES_PER_ROW, Capture, Error, LockRetry, Step, StepKind, TableName, begin,
    execute_all, texts, with_lock_retry,
};
use change::{Missed, Wanted};
use state::{Captured, Member, State, Trigger};

const DIALECT: Dialect = Dialect::Postgres;

const TRACE: &str = "nullif(current_setting('pubsync.traceparent', true), '')";
const LANE: &str = "CASE WHEN current_setting('pubsync.lane', true) = 'bulk' THEN 'bulk' ELSE 'live' END";

type Members = BTreeMap<TableName, Vec<Member>>;

/// What it takes to capture these tables, and no other.
pub(super) async fn steps<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &[Capture],
) -> Result<Vec<Step>, Error> {
    let state = state::read(db, names).await.map_err(Error::Read)?;
    let wanted: Vec<Wanted> = captures.iter().map(|c| Wanted::of(names, c)).collect();
    let members = state::members(db, names, wanted.iter().map(|w| &w.table))
        .await
        .map_err(Error::Read)?;
    refuse_foreign(&members)?;
    refuse_hidden(db, names, &wanted).await?;
    let step = |wanted: &Wanted| {
        let members = members_of(&members, &wanted.table);
        let has_triggers = |m: &&Member| {
            let captured = state.captured.get(&m.oid);
            captured.is_some_and(|c| c.triggers.iter().any(|t| t.function == wanted.function))
        };
        let is_new = !members.iter().filter(|m| m.is_root).any(|m| has_triggers(&m));
        let statements = wanted.changes(names, members, &state, Missed::Nothing);
        let kind = match (statements.is_empty(), is_new) {
            (true, _) => StepKind::Keep,
            (false, true) => StepKind::Install,
            (false, false) => StepKind::Replace,
        };
        Step {
            kind,
            table: wanted.record.name.clone(),
            statements,
        }
    };
    let mut steps: Vec<Step> = wanted.iter().map(step).collect();
    steps.extend(removals(names, &state, &wanted, &members));
    Ok(steps)
}

/// Triggers on relations that belong to no wanted table: their documents are gone, or the relation was renamed or
/// detached.
fn removals(names: &Names, state: &State, wanted: &[Wanted], members: &Members) -> Vec<Step> {
    let mut steps = Vec::new();
    for (oid, captured) in &state.captured {
        let belongs = |trigger: &&Trigger| {
            let wanted = wanted.iter().find(|w| w.function == trigger.function);
            wanted.is_some_and(|w| members_of(members, &w.table).iter().any(|m| m.oid == *oid))
        };
        let idle: Vec<Trigger> = captured
            .triggers
            .iter()
            .filter(|t| !belongs(t))
            .cloned()
            .collect();
        if idle.is_empty() {
            continue;
        }
        // Partitions go with their table, without a word.
        let known = |trigger: &Trigger| wanted.iter().any(|w| w.function == trigger.function);
        let told = idle.iter().any(|t| change::is_of_root(names, t) || known(t));
        steps.push(Step {
            kind: if told {
                StepKind::Remove
            } else {
                StepKind::RemovePart
            },
            table: captured.table.to_string(),
            statements: change::removal(names, &captured.table, &idle),
        });
    }
    steps
}

fn members_of<'a>(members: &'a Members, table: &TableName) -> &'a [Member] {
    members.get(table).map(Vec::as_slice).unwrap_or_default()
}

/// Nobody sees what is written to a foreign table elsewhere, and statements here fail where a trigger asks for its rows.
fn refuse_foreign(members: &Members) -> Result<(), Error> {
    let foreign = members
        .iter()
        .find_map(|(table, members)| members.iter().find(|m| m.foreign).map(|m| (table, m)));
    match foreign {
        Some((table, partition)) => Err(Error::Foreign {
            table: table.to_string(),
            partition: partition.table.to_string(),
        }),
        None => Ok(()),
    }
}

/// A row that a policy hides from us would be a row that is not there: its documents would be withdrawn.
async fn refuse_hidden<C: ConnectionTrait>(db: &C, names: &Names, wanted: &[Wanted]) -> Result<(), Error> {
    for wanted in wanted {
        let sql = "SELECT current_user::text WHERE row_security_active(to_regclass($1))";
        let table = wanted.table.quoted(DIALECT);
        let rows = texts(db, names, sql, vec![table.into()], 1)
            .await
            .map_err(Error::Read)?;
        if let Some(role) = rows.into_iter().flatten().next() {
            return Err(Error::RowSecurity {
                table: wanted.table.to_string(),
                role,
            });
        }
    }
    Ok(())
}

/// Sets right what changed under the triggers, one transaction a table, and says which tables that were. Never replaces
/// a function: a definition that is newer than ours may have written it.
pub(super) async fn repair(
    db: &DatabaseConnection,
    names: &Names,
    captures: &[Capture],
    retry: &LockRetry,
) -> Result<Vec<String>, Error> {
    let mut repaired = Vec::new();
    for (table, _) in repairs(db, names, captures).await.map_err(Error::Read)? {
        let attempt = || async {
            let txn = begin(db).await?;
            // `apply` may have been here since we looked.
            execute_all(&txn, &change::serialized(names)).await?;
            let again = repairs(&txn, names, captures).await?;
            let found = again.into_iter().find(|(again, _)| *again == table);
            if let Some((_, statements)) = &found {
                execute_all(&txn, statements).await?;
            }
            txn.commit().await?;
            Ok(found.is_some())
        };
        let done = with_lock_retry(retry, attempt).await;
        if done.map_err(|source| Error::of_change(&table, retry, source))? {
            repaired.push(table);
        }
    }
    Ok(repaired)
}

/// By table, what is to be done. Taking triggers away stands apart from setting them: it waits for readers too.
async fn repairs<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    captures: &[Capture],
) -> Result<Vec<(String, Vec<String>)>, DbErr> {
    let state = state::read(db, names).await?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for (function, record) in &state.functions {
        wanted.extend(record.iter().map(|record| Wanted::recorded(function, record)));
    }
    let new = captures.iter().map(|capture| Wanted::of(names, capture));
    wanted.extend(new.filter(|w| !state.functions.contains_key(&w.function)));
    let members = state::members(db, names, wanted.iter().map(|w| &w.table)).await?;
    let mut repairs = Vec::new();
    for wanted in &wanted {
        let statements = wanted.changes(names, members_of(&members, &wanted.table), &state, Missed::Surely);
        repairs.push((wanted.record.name.clone(), statements));
    }
    for (oid, captured) in &state.captured {
        let gone = |trigger: &&Trigger| {
            let wanted = wanted.iter().find(|w| w.function == trigger.function);
            wanted.is_some_and(|w| members_of(&members, &w.table).iter().all(|m| m.oid != *oid))
        };
        let idle: Vec<Trigger> = captured.triggers.iter().filter(gone).cloned().collect();
        if !idle.is_empty() {
            let table = format!("{} (no longer part of a captured table)", captured.table);
            repairs.push((table, change::removal(names, &captured.table, &idle)));
        }
    }
    repairs.retain(|(_, statements)| !statements.is_empty());
    Ok(repairs)
}

/// Fingerprint by table; empty where triggers are incomplete or not as they were made. Partitions have that of their
/// table.
pub(super) async fn installed<C: ConnectionTrait>(
    db: &C,
    names: &Names,
) -> Result<BTreeMap<TableName, String>, DbErr> {
    let state = state::read(db, names).await?;
    let records: Vec<Wanted> = state
        .functions
        .iter()
        .filter_map(|(function, record)| Some(Wanted::recorded(function, record.as_ref()?)))
        .collect();
    let members = state::members(db, names, records.iter().map(|w| &w.table)).await?;
    let fingerprint = |captured: &Captured| {
        let mut of = records
            .iter()
            .filter(|w| captured.triggers.iter().any(|t| t.function == w.function));
        let complete = |w: &&Wanted| {
            w.changes(names, members_of(&members, &w.table), &state, Missed::Surely)
                .is_empty()
        };
        of.find(complete)
            .map(|w| w.record.fingerprint.clone())
            .unwrap_or_default()
    };
    Ok(state
        .captured
        .values()
        .map(|captured| (captured.table.clone(), fingerprint(captured)))
        .collect())
}

/// Drops functions that no trigger calls any more: of tables that were dropped, renamed or are not needed.
pub(super) async fn drop_unused_functions<C: ConnectionTrait>(db: &C, names: &Names) -> Result<(), DbErr> {
    let sql = "SELECT f.proname::text FROM pg_proc f JOIN pg_namespace own ON own.oid = f.pronamespace \
               WHERE own.nspname = $1 AND starts_with(f.proname::text, 'capture_') \
                 AND f.prorettype = 'trigger'::regtype \
                 AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = f.oid)";
    for function in texts(db, names, sql, vec![names.name().into()], 1)
        .await?
        .concat()
    {
        db.execute_unprepared(&format!("DROP FUNCTION IF EXISTS {}()", names.table(&function)))
            .await?;
    }
    Ok(())
}

/// A null document or a null list is the caller's mistake and an error; nulls inside the list are left out.
pub(super) fn publish_function(names: &Names) -> String {
    let function = names.table("publish");
    format!(
        "CREATE OR REPLACE FUNCTION {function}(document text, ids text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $publish$
BEGIN
  IF $1 IS NULL OR $2 IS NULL THEN
    RAISE EXCEPTION 'publish: document and ids must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  INSERT INTO {outbox} (kind, table_name, changes, lane, at, trace)
  SELECT 'publish', '', json_build_object('document', $1, 'ids', json_agg(wanted.id)), {LANE}, {now}, {TRACE}
  FROM (
    SELECT id, (row_number() OVER () - 1) / {CHANGES_PER_ROW} AS pack FROM unnest($2) AS id WHERE id IS NOT NULL
  ) AS wanted
  GROUP BY wanted.pack;
END
$publish$;
GRANT EXECUTE ON FUNCTION {function}(text, text[]) TO PUBLIC",
        outbox = names.table("outbox"),
        now = DIALECT.now(),
    )
}
