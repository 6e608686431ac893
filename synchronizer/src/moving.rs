//! Moves readers from one index to another: when the new one is filled, it serves; when readers see it, the old one is
//! written no more; then it is taken away. Each step is a change of the write set, so whoever goes on after a kill finds
//! where the move stands, and does the step again.

use pubsync_schema::pause::Subject;
use pubsync_schema::run;
use pubsync_schema::writeset::{self, Filling, WriteSet};
use pubsync_schema::{failure, store::Store};
use sea_orm::DbErr;

use crate::gate::Gate;
use crate::removing;
use crate::street::Street;
use crate::target::{Target, TargetError};

/// Takes every open move as far as it goes. One process at a time does it, under the sweeper's lease; everything it does is
/// safe to do twice.
///
/// # Errors
/// Of the database.
pub async fn advance(street: &Street) -> Result<(), DbErr> {
    let sets = writeset::all(&street.store.write, &street.store).await?;
    for set in sets
        .values()
        .filter(|set| set.is_moving() || removing::is_open(set))
    {
        let subject = Subject::Target(set.target.clone());
        if street.definitions.is_paused_by_hand(&subject) {
            continue;
        }
        let target = street.targets.get(&set.target).map(|target| &**target);
        let advanced = match (&set.removal, target) {
            (Some(_), None) => removing::advance(street, None, set.clone()).await,
            (_, Some(target)) => through(street, target, set.clone()).await,
            (None, None) => continue,
        };
        match advanced {
            // The next sweep comes round to it.
            Ok(()) | Err(MoveError::Target(_)) => {}
            Err(MoveError::Store(error)) => return Err(error),
        }
    }
    removing::documents(street).await
}

/// With a target that answers; one that is left alone waits for the next sweep.
async fn through(street: &Street, target: &dyn Target, set: WriteSet) -> Result<(), MoveError> {
    let mut gate = Gate::new(street, target);
    if !gate.try_open() {
        return Ok(());
    }
    let advanced = match set.removal {
        Some(_) => removing::advance(street, Some(target), set).await,
        None => one(street, target, set).await,
    };
    if let Err(MoveError::Target(error)) = &advanced {
        gate.failed(error).await?;
    }
    advanced
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error("database: {0}")]
    Store(#[from] DbErr),
    #[error(transparent)]
    Target(#[from] TargetError),
}

async fn one(street: &Street, target: &dyn Target, mut set: WriteSet) -> Result<(), MoveError> {
    let store = &street.store;
    while let Some(next) = next(store, target, &set).await? {
        match writeset::raise(&store.write, store, &next).await? {
            Some(generation) => set = WriteSet { generation, ..next },
            // `apply` has changed it meanwhile.
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Does the step that is due, and gives the set that says so; `None` where nothing is due.
async fn next(store: &Store, target: &dyn Target, set: &WriteSet) -> Result<Option<WriteSet>, MoveError> {
    let mut next = set.clone();
    if let Some(filling) = &set.filling
        && is_complete(store, set, filling).await?
    {
        tracing::info!(
            document = set.document,
            target_name = set.target,
            "the new index is complete"
        );
        next.leaving
            .push(std::mem::replace(&mut next.serving, filling.collection.clone()));
        next.serving.filling = false;
        next.filling = None;
        return Ok(Some(next));
    }
    if !set.leaving.is_empty() {
        target.show(&set.serving).await?;
        next.retired.append(&mut next.leaving);
        return Ok(Some(next));
    }
    if !set.retired.is_empty() {
        // Once more: while the first look was under way, somebody may have made an index for one more value.
        target.show(&set.serving).await?;
        for retired in &set.retired {
            target.discard(retired).await?;
        }
        next.retired.clear();
        return Ok(Some(next));
    }
    Ok(None)
}

/// Whether [`advance`] has something to do, paused targets apart.
///
/// # Errors
/// Of the database.
pub async fn is_due(store: &Store, paused: &[Subject]) -> Result<bool, DbErr> {
    let sets = writeset::all(&store.write, store).await?;
    if removing::is_due(store, &sets, paused).await? {
        return Ok(true);
    }
    for set in sets.values().filter(|set| set.is_moving()) {
        if paused.contains(&Subject::Target(set.target.clone())) {
            continue;
        }
        let open = !set.leaving.is_empty() || !set.retired.is_empty();
        // A run whose last row is gone is finished by the next sweep.
        let filled = match &set.filling {
            Some(filling) => refused(store, set, filling).await? == Some(0),
            None => false,
        };
        if open || filled {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether all that the mirror holds stands in the new index too. Documents that it refuses would be missing for readers, so
/// the old one serves until these failures are gone.
async fn is_complete(store: &Store, set: &WriteSet, filling: &Filling) -> Result<bool, DbErr> {
    let Some(run) = run::find(&store.write, store, filling.run).await? else {
        return Ok(false);
    };
    // What is not rebuilt yet may not fit the new mapping.
    if run.finished_at.is_none() || run::is_rebuilding(&store.write, store, &set.document).await? {
        return Ok(false);
    }
    let refused = refused(store, set, filling).await?.unwrap_or_default();
    if refused > 0 {
        tracing::debug!(
            document = set.document,
            target_name = set.target,
            refused,
            "the new index is not shown: it has refused documents"
        );
    }
    Ok(refused == 0)
}

/// Keys that the new index has refused; `None` where its run is not known.
async fn refused(store: &Store, set: &WriteSet, filling: &Filling) -> Result<Option<i64>, DbErr> {
    let Some(run) = run::find(&store.write, store, filling.run).await? else {
        return Ok(None);
    };
    let (document, target) = (&set.document, &set.target);
    failure::since(&store.write, store, document, target, run.started_at)
        .await
        .map(Some)
}

/// An index that is filled and does not serve yet, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unready {
    pub document: String,
    pub target: String,
    /// Keys that the target has refused since the filling began. Without any, it serves as soon as its run has ended.
    pub refused: i64,
    /// What is to be done; `None`: nothing, it is a matter of time.
    pub advice: Option<String>,
}

impl Unready {
    /// For the first line of `status`.
    pub(crate) fn reason(&self) -> Option<String> {
        let reason = || {
            format!(
                "the new index of {} at {} is not shown",
                self.document, self.target
            )
        };
        self.advice.as_ref().map(|_| reason())
    }
}

/// All indexes that are filled.
///
/// # Errors
/// Of the database.
pub(crate) async fn unready(store: &Store) -> Result<Vec<Unready>, DbErr> {
    let mut all = Vec::new();
    for set in writeset::all(&store.read, store).await?.into_values() {
        let Some(filling) = set.filling.as_ref().filter(|_| set.is_moving()) else {
            continue;
        };
        let refused = refused(store, &set, filling).await?.unwrap_or_default();
        let advice = (refused > 0).then(|| {
            format!(
                "the old index serves on: the target has refused {refused} keys since the filling began. `pubsync failures` \
                 names them. Mend the data and they are tried again by themselves, or apply a document whose mapping fits"
            )
        });
        all.push(Unready {
            document: set.document,
            target: set.target,
            refused,
            advice,
        });
    }
    Ok(all)
}
