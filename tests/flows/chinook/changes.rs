//! What an application does to the music shop: a seeded sequence of transactions over a fixed list of kinds.
//!
//! Every statement is plain SQL that PostgreSQL and SQLite read alike, in PostgreSQL's names. SQLite's names are the
//! same without underscores (it ignores case), so no text may hold an underscore. Rows are named by the numbers that
//! the data set gives them; what an earlier change took away is simply not found.
//!
//! To add a kind: a function in one of the modules below, and its line in [`KINDS`].

mod edits;
mod moves;
mod rows;
mod turns;

use crate::random::Random;

/// One transaction.
#[derive(Debug, Clone)]
pub struct Change {
    pub kind: &'static str,
    pub statements: Vec<String>,
    /// The application changes its mind at the end.
    pub rolled_back: bool,
}

/// The changes of one session of the application.
pub struct Changes {
    random: Random,
    /// New rows of this session get numbers above this one.
    base: u64,
    made: u64,
    round: Vec<usize>,
}

type Kind = fn(&mut Changes) -> Vec<String>;

pub const KINDS: &[(&str, Kind)] = &[
    ("artist renamed", edits::artist_renamed),
    ("album renamed", edits::album_renamed),
    ("track edited", edits::track_edited),
    ("genre renamed", edits::genre_renamed),
    ("media type renamed", edits::media_type_renamed),
    ("playlist renamed", edits::playlist_renamed),
    ("customer edited", edits::customer_edited),
    ("employee renamed", edits::employee_renamed),
    ("employee promoted", edits::employee_promoted),
    ("employee moved", moves::employee_moved),
    ("album to another artist", moves::album_moved),
    ("track to another album", moves::track_moved),
    ("track to another genre", moves::track_classified),
    ("customer to another agent", moves::customer_moved),
    ("invoice to another customer", moves::invoice_moved),
    ("line to another invoice", moves::line_moved),
    ("line edited", edits::line_edited),
    ("invoice billed elsewhere", edits::invoice_billed),
    ("line under a new number", moves::line_renumbered),
    ("playlist under a new number", moves::playlist_renumbered),
    (
        "playlist with entries under a new number",
        moves::full_playlist_renumbered,
    ),
    ("tracks into a playlist", moves::entries_added),
    ("tracks out of a playlist", moves::entries_removed),
    ("entry to another track", moves::entry_moved),
    ("entries taken out and put back", moves::entries_swapped),
    ("sale", rows::sale),
    ("new artist", rows::artist_signed),
    ("new employee", rows::employee_hired),
    ("employee gone", rows::employee_dismissed),
    ("track deleted", rows::track_deleted),
    ("album deleted with its tracks", rows::album_deleted),
    ("artist deleted with all albums", rows::artist_deleted),
    ("invoice deleted with its lines", rows::invoice_deleted),
    ("customer deleted with all invoices", rows::customer_deleted),
    ("prices of a genre", edits::prices_raised),
    ("a thousand tracks", edits::many_tracks),
    ("genres joined", edits::genres_joined),
    ("dates of many invoices", edits::invoices_dated),
    ("nothing really", turns::nothing),
    ("there and back", turns::there_and_back),
    ("made and unmade", turns::made_and_unmade),
    ("half of it taken back", turns::savepoint),
];

impl Changes {
    /// `session` keeps the new rows of concurrent sessions apart.
    pub fn seeded(seed: u64, session: u64) -> Self {
        Self {
            random: Random::seeded(seed ^ (session << 32)),
            base: (session + 1) * 1_000_000,
            made: 0,
            round: Vec::new(),
        }
    }

    fn new_id(&mut self) -> u64 {
        self.made += 1;
        self.base + self.made
    }

    fn artist(&mut self) -> u64 {
        self.random.up_to(275)
    }

    fn album(&mut self) -> u64 {
        self.random.up_to(347)
    }

    fn track(&mut self) -> u64 {
        self.random.up_to(3503)
    }

    fn genre(&mut self) -> u64 {
        self.random.up_to(25)
    }

    fn customer(&mut self) -> u64 {
        self.random.up_to(59)
    }

    fn employee(&mut self) -> u64 {
        self.random.up_to(8)
    }

    fn invoice(&mut self) -> u64 {
        self.random.up_to(412)
    }

    fn line(&mut self) -> u64 {
        self.random.up_to(2240)
    }

    /// A playlist that is there, whatever its number has become.
    fn playlist(&mut self) -> String {
        format!(
            "(SELECT min(playlist_id) FROM playlist WHERE playlist_id >= {})",
            self.random.up_to(18)
        )
    }

    /// Text with what breaks careless quoting.
    fn words(&mut self) -> String {
        let odd = [
            "plain",
            "it''s",
            "\"quoted\"",
            "back\\slash",
            "Æøå 日本",
            "a\nb\tc",
            "😀",
            "{brace}: [x]",
            "<b>&amp;",
        ];
        format!("'{} {}'", self.random.pick(&odd), self.random.up_to(1_000_000))
    }

    fn words_or_null(&mut self) -> String {
        if self.random.one_in(4) {
            "NULL".to_owned()
        } else {
            self.words()
        }
    }
}

/// Every kind once in a random order, then again.
impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if self.round.is_empty() {
            self.round = (0..KINDS.len()).collect();
            self.random.shuffle(&mut self.round);
        }
        let (kind, make) = KINDS[self.round.pop()?];
        let statements = make(self);
        Some(Change {
            kind,
            statements,
            rolled_back: self.random.one_in(8),
        })
    }
}
