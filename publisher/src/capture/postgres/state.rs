//! What the database says of capture: functions, triggers, and the relations that a table consists of.

use std::collections::BTreeMap;

use pubsync_schema::dialect::Dialect;
use pubsync_schema::names::Names;
use pubsync_schema::store::rows_parameter;
use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};

use crate::capture::{TableName, texts};

/// Object id of a relation.
pub(super) type Oid = i64;

/// What a capture function's comment says: what it was generated from, and which relations it stood on when the last
/// rebuild was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the function's text.
    pub fingerprint: String,
    /// What outbox rows carry as `table_name`.
    pub name: String,
    pub schema: String,
    pub table: String,
    /// With the oid: whether logical replication writes to it.
    pub members: BTreeMap<Oid, bool>,
}

/// A table, or one of its partitions or inheriting tables on any level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub oid: Oid,
    pub table: TableName,
    pub is_root: bool,
    /// A partition that is a foreign table.
    pub foreign: bool,
    /// Holds rows itself and logical replication writes to it, or to a table above it.
    pub replicated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub name: String,
    /// `A`: always; `R`: only in sessions that replicate; `O`, `D`: as nobody of us has set it.
    pub enabled: String,
    pub function: String,
}

/// A relation that has capture triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Captured {
    pub table: TableName,
    pub triggers: Vec<Trigger>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By name. No record where the comment is not ours.
    pub functions: BTreeMap<String, Option<Record>>,
    pub captured: BTreeMap<Oid, Captured>,
}

pub(super) async fn read<C: ConnectionTrait>(db: &C, names: &Names) -> Result<State, DbErr> {
    let mut state = State::default();
    let functions = "SELECT f.proname::text, coalesce(obj_description(f.oid, 'pg_proc'), '') FROM pg_proc f \
        JOIN pg_namespace own ON own.oid = f.pronamespace \
        WHERE own.nspname = $1 AND starts_with(f.proname::text, 'capture_') AND f.prorettype = 'trigger'::regtype";
    for row in texts(db, names, functions, vec![names.name().into()], 2).await? {
        if let Ok([function, comment]) = <[String; 2]>::try_from(row) {
            state
                .functions
                .insert(function, serde_json::from_str(&comment).ok());
        }
    }
    let triggers = "SELECT t.tgrelid::text, n.nspname::text, c.relname::text, t.tgname::text, t.tgenabled::text, \
          f.proname::text \
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace own ON own.oid = f.pronamespace \
        WHERE own.nspname = $1 AND starts_with(f.proname::text, 'capture_') AND NOT t.tgisinternal";
    for row in texts(db, names, triggers, vec![names.name().into()], 6).await? {
        if let Ok([oid, schema, table, name, enabled, function]) = <[String; 6]>::try_from(row) {
            let captured = state.captured.entry(number(&oid)?).or_insert_with(|| Captured {
                table: TableName {
                    schema: Some(schema),
                    table,
                },
                triggers: Vec::new(),
            });
            captured.triggers.push(Trigger {
                name,
                enabled,
                function,
            });
        }
    }
    Ok(state)
}

/// The relations of each of these tables, the table itself first; none where it is not there. What is being detached
/// does not count: new statements do not see it.
pub(super) async fn members<C: ConnectionTrait>(
    db: &C,
    names: &Names,
    tables: impl IntoIterator<Item = &TableName>,
) -> Result<BTreeMap<TableName, Vec<Member>>, DbErr> {
    let sql = format!(
        "WITH RECURSIVE tree(top, oid, replicated) AS ( \
           SELECT c.oid, c.oid, EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid) \
           FROM {wanted} JOIN pg_namespace n ON n.nspname = w.c0 \
           JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.c1 AND c.relkind IN ('r', 'p') \
           UNION \
           SELECT t.top, i.inhrelid, \
             t.replicated OR EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = i.inhrelid) \
           FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND NOT i.inhdetachpending \
         ) \
         SELECT tn.nspname::text, tc.relname::text, n.nspname::text, c.relname::text, c.oid::text, \
           (t.top = t.oid)::text, (c.relkind = 'f')::text, (bool_or(t.replicated) AND c.relkind = 'r')::text \
         FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_class tc ON tc.oid = t.top JOIN pg_namespace tn ON tn.oid = tc.relnamespace \
         GROUP BY 1, 2, 3, 4, c.oid, t.top, t.oid, c.relkind ORDER BY t.top, t.top <> t.oid, 3, 4",
        wanted = Dialect::Postgres.rows(1, 2, "w"),
    );
    let wanted = rows_parameter(
        tables
            .into_iter()
            .map(|table| [table.schema.clone(), Some(table.table.clone())]),
    );
    let mut members = BTreeMap::<TableName, Vec<Member>>::new();
    for row in texts(db, names, &sql, vec![wanted], 8).await? {
        if let Ok([top_schema, top, schema, table, oid, is_root, foreign, replicated]) =
            <[String; 8]>::try_from(row)
        {
            let named = |schema, table| TableName {
                schema: Some(schema),
                table,
            };
            members.entry(named(top_schema, top)).or_default().push(Member {
                oid: number(&oid)?,
                table: named(schema, table),
                is_root: is_root == "true",
                foreign: foreign == "true",
                replicated: replicated == "true",
            });
        }
    }
    Ok(members)
}

fn number(oid: &str) -> Result<Oid, DbErr> {
    oid.parse()
        .map_err(|_| DbErr::Type(format!("object id {oid:?} is no number")))
}
