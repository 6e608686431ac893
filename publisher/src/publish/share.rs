//! How many roots one transaction takes: as many as there is room for their documents. The rest goes back to the ledger.
//! How large a document is shows when it is built, so a guess has to do: what the mirror has of the root, else what roots
//! of this document had of late. Where the guess was too low, a build stops ([`BuildError::TooMuch`]) and takes fewer.
//!
//! [`BuildError::TooMuch`]: crate::build::BuildError::TooMuch

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use pubsync_schema::ledger;
use pubsync_schema::mirror;
use sea_orm::{DatabaseTransaction, DbErr};

use super::{Job, Publish, queueing};
use crate::build::{Built, ROOM};
use crate::registry::Compiled;

/// So many roots are no reason to fear for the memory.
const MOST: usize = 10_000;

/// Bytes of a root before any was built.
const UNKNOWN: usize = 256 * 1024;

/// How heavy the roots of a document were of late.
#[derive(Debug, Default)]
pub struct Weight {
    /// Bytes of the heaviest; 0: none was built.
    heaviest: AtomicUsize,
    /// How many roots may be tried together since a guess was too low; 0: any number.
    together: AtomicUsize,
}

impl Weight {
    /// `tried` roots were to be built, and these were. What was built now counts in full, what was built before ever less;
    /// what was too much is not soon tried again.
    pub(super) fn note(&self, tried: usize, built: &[Built]) {
        let heaviest = built.iter().map(Built::bytes).max().unwrap_or_default();
        let faded = self.heaviest.load(Ordering::Relaxed) / 8 * 7;
        self.heaviest.store(heaviest.max(faded).max(1), Ordering::Relaxed);
        let together = self.together.load(Ordering::Relaxed);
        let next = match together {
            _ if built.len() < tried => built.len(),
            0 => 0,
            MOST.. => 0,
            _ if tried < together => together,
            _ => together + together / 8 + 1,
        };
        self.together.store(next, Ordering::Relaxed);
    }

    fn together(&self) -> usize {
        match self.together.load(Ordering::Relaxed) {
            0 => usize::MAX,
            roots => roots,
        }
    }

    fn of_late(&self) -> usize {
        match self.heaviest.load(Ordering::Relaxed) {
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
        let roots = &roots[..roots.len().min(compiled.weight.together())];
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
        weight.note(2, &[built(8_000), built(10)]);
        assert_eq!(weight.of_late(), 8_000);
        weight.note(1, &[built(10)]);
        assert_eq!(weight.of_late(), 7_000);
        (0..200).for_each(|_| weight.note(1, &[built(10)]));
        assert!(weight.of_late() < 100, "{}", weight.of_late());
    }

    #[test]
    fn what_was_too_much_is_not_soon_tried_again() {
        let weight = Weight::default();
        let built = |count: usize| -> Vec<Built> {
            let root = |n: usize| Built::new(n.to_string(), Vec::new());
            (0..count).map(root).collect()
        };
        weight.note(100, &built(100));
        assert_eq!(weight.together(), usize::MAX);
        weight.note(100, &built(8));
        assert_eq!(weight.together(), 8);
        weight.note(3, &built(3));
        assert_eq!(weight.together(), 8, "fewer say nothing");
        weight.note(8, &built(8));
        assert_eq!(weight.together(), 10);
        let rounds = (0..).find(|_| {
            let tried = weight.together();
            weight.note(tried, &built(tried.min(MOST)));
            weight.together() == usize::MAX
        });
        assert!(
            rounds.is_some_and(|rounds| (40..80).contains(&rounds)),
            "{rounds:?}"
        );
    }
}
