//! How many roots one transaction takes: as many as there is room for their documents. The rest goes back to the ledger.
//! How large a document is shows when it is built, so a guess has to do: what the mirror has of the root, else what roots
//! of this document had of late.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use pubsync_schema::ledger;
use pubsync_schema::mirror;
use sea_orm::{DatabaseTransaction, DbErr};

use super::{Job, Publish, queueing};
use crate::build::Built;
use crate::registry::Compiled;

/// Bytes of bodies that one transaction builds, as far as that can be guessed.
const ROOM: usize = 8 << 20;

/// Bytes of a root before any was built.
const UNKNOWN: usize = 256 * 1024;

/// Bytes of the heaviest root that was built of late; 0: of none.
#[derive(Debug, Default)]
pub struct Weight(AtomicUsize);

impl Weight {
    /// What was built now counts in full, what was built before ever less.
    pub(super) fn note(&self, built: &[Built]) {
        let bytes = |built: &Built| built.documents.iter().flatten().map(|d| d.body.len()).sum();
        let heaviest: usize = built.iter().map(bytes).max().unwrap_or_default();
        let faded = self.0.load(Ordering::Relaxed) / 8 * 7;
        self.0.store(heaviest.max(faded).max(1), Ordering::Relaxed);
    }

    fn of_late(&self) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => UNKNOWN,
            bytes => bytes,
        }
    }
}

impl Publish {
    /// How many of these roots are built together; at least one.
    pub(super) async fn share(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
        roots: &[String],
    ) -> Result<usize, DbErr> {
        let unknown = compiled.weight.of_late();
        if roots.len() == 1 || roots.len().saturating_mul(unknown) <= ROOM {
            return Ok(roots.len());
        }
        let document = &compiled.definition.document;
        let known = mirror::per_root(txn, &self.street.store, document, roots).await?;
        Ok(fitting(roots, &known.into_iter().collect(), unknown))
    }

    /// Queues what was left over, in the transaction that takes the ledger rows of the whole away.
    pub(super) async fn leave(
        &self,
        txn: &DatabaseTransaction,
        compiled: &Compiled,
        job: &Job,
        rest: &[String],
    ) -> Result<(), DbErr> {
        // Holders of keys that joined are nobody's work.
        let own = rest
            .iter()
            .filter(|root| job.roots.contains(root))
            .cloned()
            .collect();
        let entries = queueing::again(self, compiled, job, own, job.run)?;
        ledger::insert(txn, &self.street.store, &entries).await?;
        Ok(())
    }
}

fn fitting(roots: &[String], known: &HashMap<String, usize>, unknown: usize) -> usize {
    let mut bytes = 0;
    let fits = |root: &&String| {
        bytes += known.get(*root).copied().unwrap_or(unknown);
        bytes <= ROOM
    };
    roots.iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::BuiltDocument;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn as_many_as_there_is_room_for_and_one_at_least() {
        let known = |sizes: &[usize]| {
            names(sizes.len())
                .into_iter()
                .zip(sizes.iter().copied())
                .collect()
        };
        for (roots, sizes, unknown, fit) in [
            (100, vec![], 1_000, 100),
            (100, vec![], UNKNOWN, 32),
            (3, vec![ROOM, 1, 1], 1, 1),
            (3, vec![ROOM + 1, 1, 1], 1, 1),
            (3, vec![0, ROOM, 1], 1, 2),
            (4, vec![ROOM / 2, ROOM / 2], ROOM, 2),
        ] {
            assert_eq!(
                fitting(&names(roots), &known(&sizes), unknown),
                fit,
                "{sizes:?} and {unknown}"
            );
        }
    }

    #[test]
    fn what_was_heavy_is_forgotten_in_time() {
        let weight = Weight::default();
        assert_eq!(weight.of_late(), UNKNOWN);
        let built = |bytes: usize| {
            let body = "x".repeat(bytes);
            Built::new("1", vec![Ok(BuiltDocument::new("k".to_owned(), body))])
        };
        weight.note(&[built(8_000), built(10)]);
        assert_eq!(weight.of_late(), 8_000);
        weight.note(&[built(10)]);
        assert_eq!(weight.of_late(), 7_000);
        (0..200).for_each(|_| weight.note(&[built(10)]));
        assert!(weight.of_late() < 100, "{}", weight.of_late());
    }
}
