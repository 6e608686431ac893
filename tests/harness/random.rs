//! What tests draw from the numbers of a seed.

use pubsync_examples::random;

#[derive(Debug, Clone)]
pub struct Random(random::Random);

impl Random {
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(random::Random::seeded(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.number()
    }

    /// Another sequence, which this one decides.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::seeded(self.next())
    }

    /// From 1 to `last`.
    pub fn up_to(&mut self, last: u64) -> u64 {
        self.next() % last + 1
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.up_to(chances) == 1
    }

    /// From 0, and less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a length");
        usize::try_from(self.next() % end).expect("less than a length")
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.up_to(100) <= percent
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, usize::try_from(other).expect("a short list"));
        }
    }
}
