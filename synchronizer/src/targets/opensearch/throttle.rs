//! How much goes to OpenSearch at once: half as much after "too many requests" or "too large", a little more after each
//! success. A cluster that is short of something gets it back by this sooner than by being asked again.

use super::bulk::{MAX_BYTES, MAX_DOCUMENTS};

/// Bulk requests under way at once: more only fill the engine's queues.
pub const BULKS: usize = 2;

/// Documents of the smallest request.
const LEAST: usize = 10;

/// Documents that a success adds to the next request.
const STEP: usize = 25;

/// The size of the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Most documents of a request.
    pub documents: usize,
    /// Most requests under way.
    pub bulks: usize,
}

impl Throttle {
    pub const FULL: Self = Self {
        documents: MAX_DOCUMENTS,
        bulks: BULKS,
    };

    /// After a refusal.
    #[must_use]
    pub fn narrowed(self) -> Self {
        Self {
            documents: (self.documents / 2).max(LEAST),
            bulks: (self.bulks / 2).max(1),
        }
    }

    /// After a success. First requests grow, then they become more.
    #[must_use]
    pub fn widened(self) -> Self {
        let documents = (self.documents + STEP).min(MAX_DOCUMENTS);
        let grown = self.documents == MAX_DOCUMENTS;
        Self {
            documents,
            bulks: (self.bulks + usize::from(grown)).min(BULKS),
        }
    }

    /// Most bytes of a request, in the measure of its documents.
    #[must_use]
    pub fn bytes(self) -> usize {
        MAX_BYTES / MAX_DOCUMENTS * self.documents
    }

    /// Of [`BULKS`] permits, those that one request takes.
    #[must_use]
    pub fn permits(self) -> u32 {
        (BULKS / self.bulks) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_after_a_refusal_and_a_little_more_after_each_success() {
        let mut now = Throttle::FULL;
        let mut seen = Vec::new();
        for _ in 0..8 {
            now = now.narrowed();
            seen.push((now.documents, now.bulks));
        }
        let least = (10, 1);
        let expected = [(250, 1), (125, 1), (62, 1), (31, 1), (15, 1), least, least, least];
        assert_eq!(seen, expected);
        assert_eq!((now.permits(), Throttle::FULL.permits()), (2, 1));
        assert_eq!(
            now.widened(),
            Throttle {
                documents: 35,
                bulks: 1
            }
        );

        let mut successes = 0;
        while now != Throttle::FULL {
            let wider = now.widened();
            assert!(wider.documents <= now.documents + STEP && wider.bulks <= now.bulks + 1);
            (now, successes) = (wider, successes + 1);
        }
        assert_eq!(
            successes, 21,
            "20 to the full size, one more for the second request"
        );
        assert_eq!(Throttle::FULL.widened(), Throttle::FULL);
    }

    #[test]
    fn bytes_go_with_documents() {
        let near = |bytes: usize, wanted: usize| bytes.abs_diff(wanted) <= MAX_DOCUMENTS;
        assert!(near(Throttle::FULL.bytes(), MAX_BYTES));
        assert!(near(Throttle::FULL.narrowed().bytes(), MAX_BYTES / 2));
    }
}
