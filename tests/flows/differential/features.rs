//! Which constructs the generator may use, and how often.

use crate::random::Random;

/// Constructs beyond the plainest, each with how often in a hundred it is taken where it could stand. What stands with 0
/// says why.
const ALL: [(&str, u64); 20] = [
    ("aliases", 25),
    ("tests", 50),
    ("exists", 25),
    ("hops", 12),
    ("lookup", 12),
    ("aggregates", 15),
    ("lists", 10),
    ("merge", 6),
    ("distinct", 20),
    ("flat", 15),
    ("sql", 8),
    ("ancestors", 20),
    ("tree", 20),
    ("queries", 15),
    ("visible", 50),
    ("unhashed", 20),
    ("tombstone", 20),
    ("absent", 15),
    ("manual", 10),
    ("only", 20),
];

/// What one case uses: most of it, so that small cases happen, too.
#[derive(Debug, Clone)]
pub struct Features(Vec<(&'static str, u64)>);

impl Features {
    pub fn some(random: &mut Random) -> Self {
        let kept = ALL.into_iter().filter(|_| random.percent(75));
        Self(kept.collect())
    }

    /// Whether to take a construct here.
    pub fn takes(&self, random: &mut Random, feature: &str) -> bool {
        debug_assert!(ALL.iter().any(|(known, _)| *known == feature), "{feature}");
        let often = self.0.iter().find(|(known, _)| *known == feature);
        often.is_some_and(|(_, percent)| random.percent(*percent))
    }
}
