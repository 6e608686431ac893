//! What the street is measured by.

use std::time::{Duration, Instant};

use pubsync::fail::Fail;
use redis::aio::MultiplexedConnection;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};

use crate::cpu::Moment;
use crate::installation::Installation;
use crate::report::{Delays, Phase};
use crate::services::{NAME, part};

/// How much, and what it is held against.
#[derive(Clone, Copy)]
pub struct Load {
    pub products: u32,
    pub rounds: u32,
    pub limits: &'static [&'static str],
}

/// Longest wait for one change.
const LATE: Duration = Duration::from_secs(20);

/// Every document, from the ledger row that asks for all of them to the last answer of the last target.
pub async fn rebuild(installation: &Installation, name: &'static str, load: Load) -> Result<Phase, Fail> {
    let products = load.products;
    let mut best: Option<Phase> = None;
    for _ in 0..load.rounds {
        installation.warm(products).await?;
        let (before, begun) = (Moment::now(), Instant::now());
        installation.rebuild().await?;
        let phase = Phase::new(name, products, begun.elapsed(), before.used(), load.limits);
        installation.check(products).await?;
        best = Phase::best(best, phase);
    }
    best.ok_or_else(|| part("no round was asked for"))
}

/// Every product touched by one statement; the clock runs from its COMMIT.
pub async fn touched(
    installation: &Installation,
    app: &DatabaseConnection,
    load: Load,
) -> Result<Phase, Fail> {
    let products = load.products;
    let mut best: Option<Phase> = None;
    for _ in 0..load.rounds {
        let transaction = app.begin().await?;
        let statement = Instant::now();
        let sql = "UPDATE product SET name = name || ' 2'";
        let done = transaction.execute_unprepared(sql).await?;
        let statement = statement.elapsed().as_secs_f64();
        transaction.commit().await?;
        let (before, begun) = (Moment::now(), Instant::now());
        installation.arrive().await?;
        let mut phase = Phase::new(
            "bulk UPDATE to Redis",
            products,
            begun.elapsed(),
            before.used(),
            load.limits,
        );
        phase.statement = Some(statement);
        if done.rows_affected() != u64::from(products) {
            return Err(part("the UPDATE has not met every product"));
        }
        installation.check(products).await?;
        best = Phase::best(best, phase);
    }
    best.ok_or_else(|| part("no round was asked for"))
}

/// Single-row changes on an idle street, one after the other: from the answer to COMMIT until a reader of Redis sees
/// the new value.
pub async fn changes(
    installation: &Installation,
    app: &DatabaseConnection,
    redis: &mut MultiplexedConnection,
    name: &'static str,
    of: (u32, u32),
) -> Result<Delays, Fail> {
    let (products, count) = of;
    let mut delays = Vec::with_capacity(count as usize);
    for i in 0..count {
        installation.arrive().await?;
        // Off the beat of whatever polls.
        tokio::time::sleep(Duration::from_millis(u64::from(30 + i * 37 % 50))).await;
        let id = 1 + i * 97 % products;
        let value = format!("{name} {i}");
        let transaction = app.begin().await?;
        let sql = format!("UPDATE product SET name = '{value}' WHERE id = {id}");
        transaction.execute_unprepared(&sql).await?;
        transaction.commit().await?;
        let committed = Instant::now();
        until_shown(redis, &format!("{NAME}:product:{id}"), &value).await?;
        delays.push(committed.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Delays::new(name, delays))
}

async fn until_shown(redis: &mut MultiplexedConnection, key: &str, value: &str) -> Result<(), Fail> {
    let shown = async {
        loop {
            let mut get = redis::cmd("GET");
            let body: Option<String> = get.arg(key).query_async(redis).await.map_err(part)?;
            if body.is_some_and(|body| body.contains(value)) {
                return Ok(());
            }
        }
    };
    let late = |_| part(format!("{key} has not changed within {LATE:?}"));
    tokio::time::timeout(LATE, shown).await.map_err(late)?
}
