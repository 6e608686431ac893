//! The SELECTs of a plan without anything around them: the same texts and parameters as a build has, and the answers
//! read as far as texts.

use std::collections::HashSet;

use pubsync::fail::Fail;
use pubsync_publisher::plan::{DocumentPlan, Step};
use pubsync_schema::store::rows_parameter;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};

use crate::services::part;

type Texts = Vec<Option<String>>;

/// Runs them for a batch of roots.
pub async fn select(
    snapshot: &DatabaseTransaction,
    plan: &DocumentPlan,
    roots: &[String],
) -> Result<(), Fail> {
    let instances = roots.iter().map(|root| vec![Some(root.clone())]).collect();
    let rows = texts(snapshot, &plan.root.sql, instances, plan.root.width + 1).await?;
    for step in plan.steps.iter().flatten() {
        let found = texts(snapshot, &step.sql, instances_of(step, &rows)?, step.width + 1).await?;
        std::hint::black_box(found);
    }
    Ok(())
}

/// The distinct outer values among the rows of the roots.
fn instances_of(step: &Step, roots: &[Texts]) -> Result<Vec<Texts>, Fail> {
    if step.outer.iter().any(|outer| outer.slot.source != 0) {
        return Err(part("the bench's document has nodes of one level only"));
    }
    let values = |row: &Texts| -> Texts {
        // The instance's number stands first.
        let value = |outer: &pubsync_publisher::plan::Outer| row.get(outer.slot.place + 1).cloned().flatten();
        step.outer.iter().map(value).collect()
    };
    let mut seen = HashSet::new();
    let new = |values: &Texts| values.iter().all(Option::is_some) && seen.insert(values.clone());
    Ok(roots.iter().map(values).filter(new).collect())
}

async fn texts(
    snapshot: &DatabaseTransaction,
    sql: &str,
    instances: Vec<Texts>,
    width: usize,
) -> Result<Vec<Texts>, Fail> {
    let numbered = instances.into_iter().enumerate();
    let numbered = numbered.map(|(number, values)| std::iter::once(Some(number.to_string())).chain(values));
    let backend = snapshot.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [rows_parameter(numbered)]);
    let rows = snapshot.query_all_raw(statement).await?;
    let read = |row: &sea_orm::QueryResult| (0..width).map(|i| row.try_get_by_index(i)).collect();
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
