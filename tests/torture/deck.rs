//! The order of faults: each once, shuffled, then all again. They are dealt in hands of one to three.

use pubsync_tests::Random;

use crate::faults::{self, Fault};

/// The name of the report, and what is done.
pub type Card = (&'static str, Fault);

/// A hand has more than one in so many.
const SEVERAL: u64 = 2;
/// At most so many of them on the wires at the same time as another fault.
const BESIDE: usize = 2;

pub struct Deck {
    all: Vec<Card>,
    left: Vec<Card>,
}

impl Deck {
    /// Faults whose name holds one of these words, between which commas stand; all where there is none. Without services of its own nothing is done to
    /// the services themselves.
    pub fn new(only: Option<&str>, own_services: bool) -> Self {
        let all: Vec<_> = faults::all()
            .filter(|(name, fault)| {
                only.is_none_or(|words| words.split(',').any(|word| name.contains(word)))
                    && (own_services || !fault.needs_own_services())
            })
            .collect();
        assert!(!all.is_empty(), "no fault is called {only:?}");
        Self {
            all,
            left: Vec::new(),
        }
    }

    /// All that are dealt.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|(name, _)| *name)
    }

    /// Some fault, and in every second hand one or two on wires to other services, at the same time.
    pub fn hand(&mut self, random: &mut Random) -> Vec<Card> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            random.shuffle(&mut self.left);
        }
        let mut hand: Vec<Card> = self.left.pop().into_iter().collect();
        if hand[0].1.is_alone() || !random.one_in(SEVERAL) {
            return hand;
        }
        for _ in 0..1 + random.below(BESIDE) {
            let fits = |(_, fault): &Card| {
                fault.wire().is_some() && hand.iter().all(|(_, other)| other.wire() != fault.wire())
            };
            if let Some(at) = self.left.iter().rposition(fits) {
                hand.push(self.left.remove(at));
            }
        }
        hand
    }
}
