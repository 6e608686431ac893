//! What shall happen at which frame.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::watch;

use super::frames::{Frame, Side};

/// Where at the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The frame does not pass.
    Before,
    /// Half of its bytes pass.
    Half,
    /// It passes, and nothing after it.
    After,
    /// It passes and is answered; the answer's first frame does not pass.
    Answer,
}

/// What happens then to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// RST to both sides.
    Reset,
    /// FIN to both sides.
    Finish,
    /// Nothing moves for so long, then RST: nobody learns of it at once.
    Hole(Duration),
    /// Nothing moves for so long, then everything goes on, this frame too.
    Delay(Duration),
    /// HTTP only: the client gets this status instead of an answer, and the connection goes on.
    Status(u16),
    /// OpenSearch's `_bulk` only: the client is told that items met too many requests, under a 200. Those that hold the
    /// rule's words, and no others, which are done.
    RefuseItems,
}

/// At the next frame of this side whose name begins so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub side: Side,
    pub frame: &'static str,
    /// Words that stand in the frame; every frame holds none.
    pub holds: &'static str,
    pub at: At,
    pub then: Then,
}

impl Rule {
    #[must_use]
    pub const fn new(side: Side, frame: &'static str, at: At, then: Then) -> Self {
        Self {
            side,
            frame,
            holds: "",
            at,
            then,
        }
    }

    /// Only at a frame in which these words stand.
    #[must_use]
    pub const fn holding(self, words: &'static str) -> Self {
        Self { holds: words, ..self }
    }

    fn fits(&self, side: Side, frame: &Frame) -> bool {
        let words = self.holds.as_bytes();
        self.side == side
            && frame.name.starts_with(self.frame)
            && (words.is_empty() || frame.bytes.windows(words.len()).any(|part| part == words))
    }
}

#[derive(Debug)]
struct Entry {
    id: u64,
    rule: Rule,
    left: usize,
    fired: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    all: Vec<Entry>,
}

/// All armed rules.
#[derive(Debug, Default, Clone)]
pub(super) struct Rules(Arc<Mutex<Entries>>);

/// An armed rule, which holds until this is dropped.
#[derive(Debug)]
pub struct Armed {
    id: u64,
    rules: Rules,
    fired: watch::Receiver<usize>,
}

impl Rules {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("no holder of it panics")
    }

    pub(super) fn arm(&self, rule: Rule, times: usize) -> Armed {
        let (sender, fired) = watch::channel(0);
        let mut entries = self.entries();
        let id = entries.next;
        entries.next += 1;
        entries.all.push(Entry {
            id,
            rule,
            left: times,
            fired: sender,
        });
        drop(entries);
        Armed {
            id,
            rules: self.clone(),
            fired,
        }
    }

    /// The first rule that this frame fits; it counts as fired.
    pub(super) fn take(&self, side: Side, frame: &Frame) -> Option<Rule> {
        let mut entries = self.entries();
        let fits = |entry: &&mut Entry| entry.left > 0 && entry.rule.fits(side, frame);
        let entry = entries.all.iter_mut().find(fits)?;
        entry.left -= 1;
        entry.fired.send_modify(|fired| *fired += 1);
        Some(entry.rule)
    }
}

impl Armed {
    /// Waits until it has fired once.
    pub async fn fired(&mut self) {
        self.fired
            .wait_for(|fired| *fired > 0)
            .await
            .expect("the rule stands while this does");
    }

    /// How often it has fired.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.fired.borrow()
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let id = self.id;
        self.rules.entries().all.retain(|entry| entry.id != id);
    }
}
