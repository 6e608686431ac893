//! The order of faults: each once, shuffled, then all again.

use pubsync_tests::Random;

use crate::faults::{self, Fault};

pub struct Deck {
    all: Vec<(&'static str, Fault)>,
    left: Vec<(&'static str, Fault)>,
}

impl Deck {
    /// Faults whose name holds one of the words (`a|b`); all where there is none.
    pub fn new(only: Option<&str>) -> Self {
        let wanted = |name: &str| only.is_none_or(|words| words.split('|').any(|word| name.contains(word)));
        let all: Vec<_> = faults::all().filter(|(name, _)| wanted(name)).collect();
        assert!(!all.is_empty(), "no fault is called {only:?}");
        Self {
            all,
            left: Vec::new(),
        }
    }

    pub fn next(&mut self, random: &mut Random) -> (&'static str, Fault) {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            random.shuffle(&mut self.left);
        }
        self.left.pop().expect("some fault")
    }
}
