//! What an application does to the music shop: a seeded sequence of transactions over a fixed list of kinds.
//!
//! Every statement is plain SQL that PostgreSQL and SQLite read alike, in PostgreSQL's names. SQLite's names are the
//! same without underscores (it ignores case), so no text may hold an underscore. Rows are named by the numbers that
//! the data set gives them; what an earlier change took away is simply not found.
//!
//! To add a kind: a function and its line in [`KINDS`].

use super::random::Random;

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
    ("artist renamed", artist_renamed),
    ("album renamed", album_renamed),
    ("track edited", track_edited),
    ("genre renamed", genre_renamed),
    ("media type renamed", media_type_renamed),
    ("playlist renamed", playlist_renamed),
    ("customer edited", customer_edited),
    ("employee renamed", employee_renamed),
    ("employee promoted", employee_promoted),
    ("employee moved", employee_moved),
    ("album to another artist", album_moved),
    ("track to another album", track_moved),
    ("track to another genre", track_classified),
    ("customer to another agent", customer_moved),
    ("invoice to another customer", invoice_moved),
    ("line to another invoice", line_moved),
    ("line edited", line_edited),
    ("invoice billed elsewhere", invoice_billed),
    ("line under a new number", line_renumbered),
    ("playlist under a new number", playlist_renumbered),
    ("playlist with entries under a new number", full_playlist_renumbered),
    ("tracks into a playlist", entries_added),
    ("tracks out of a playlist", entries_removed),
    ("entry to another track", entry_moved),
    ("entries taken out and put back", entries_swapped),
    ("sale", sale),
    ("new artist", artist_signed),
    ("new employee", employee_hired),
    ("employee gone", employee_dismissed),
    ("track deleted", track_deleted),
    ("album deleted with its tracks", album_deleted),
    ("artist deleted with all albums", artist_deleted),
    ("invoice deleted with its lines", invoice_deleted),
    ("customer deleted with all invoices", customer_deleted),
    ("prices of a genre", prices_raised),
    ("a thousand tracks", many_tracks),
    ("genres joined", genres_joined),
    ("dates of many invoices", invoices_dated),
    ("nothing really", nothing),
    ("there and back", there_and_back),
    ("made and unmade", made_and_unmade),
    ("half of it taken back", savepoint),
];

impl Changes {
    /// `session` keeps the new rows of concurrent sessions apart.
    pub fn seeded(seed: u64, session: u64) -> Self {
        Self { random: Random::seeded(seed ^ (session << 32)), base: (session + 1) * 1_000_000, made: 0, round: Vec::new() }
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
        format!("(SELECT min(playlist_id) FROM playlist WHERE playlist_id >= {})", self.random.up_to(18))
    }

    /// Text with what breaks careless quoting.
    fn words(&mut self) -> String {
        let odd = ["plain", "it''s", "\"quoted\"", "back\\slash", "Æøå 日本", "a\nb\tc", "😀", "{brace}: [x]", "<b>&amp;"];
        format!("'{} {}'", self.random.pick(&odd), self.random.up_to(1_000_000))
    }

    fn words_or_null(&mut self) -> String {
        if self.random.one_in(4) { "NULL".to_owned() } else { self.words() }
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
        Some(Change { kind, statements, rolled_back: self.random.one_in(8) })
    }
}

fn artist_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE artist SET name = {} WHERE artist_id = {}", c.words_or_null(), c.artist())]
}

fn album_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE album SET title = {} WHERE album_id = {}", c.words(), c.album())]
}

fn track_edited(c: &mut Changes) -> Vec<String> {
    let (name, composer) = (c.words(), c.words_or_null());
    let bytes = if c.random.one_in(3) { "NULL".to_owned() } else { c.random.up_to(2_000_000_000).to_string() };
    vec![format!(
        "UPDATE track SET name = {name}, composer = {composer}, milliseconds = {}, bytes = {bytes} WHERE track_id = {}",
        c.random.up_to(900_000),
        c.track()
    )]
}

fn genre_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE genre SET name = {} WHERE genre_id = {}", c.words_or_null(), c.genre())]
}

fn media_type_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE media_type SET name = {} WHERE media_type_id = {}", c.words_or_null(), c.random.up_to(5))]
}

fn playlist_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE playlist SET name = {} WHERE playlist_id = {}", c.words_or_null(), c.playlist())]
}

fn customer_edited(c: &mut Changes) -> Vec<String> {
    let country = c.random.pick(&["Germany", "Brazil", "USA", "Czech Republic"]);
    vec![format!(
        "UPDATE customer SET last_name = 'N{}', company = {}, country = '{country}', fax = NULL WHERE customer_id = {}",
        c.random.up_to(20),
        c.words_or_null(),
        c.customer()
    )]
}

/// The name stands in a key.
fn employee_renamed(c: &mut Changes) -> Vec<String> {
    let name = c.random.pick(&["de la Cruz", "100%", "A:B", "Ødegård", "%3A", "Park"]);
    vec![format!("UPDATE employee SET last_name = '{name}' WHERE employee_id = {}", c.employee())]
}

/// The title decides who is an agent.
fn employee_promoted(c: &mut Changes) -> Vec<String> {
    let title = c.random.pick(&["'Sales Support Agent'", "'Sales Manager'", "NULL", "'Sales Support Agent'"]);
    vec![format!("UPDATE employee SET title = {title} WHERE employee_id = {}", c.employee())]
}

fn employee_moved(c: &mut Changes) -> Vec<String> {
    let above = if c.random.one_in(5) { "NULL".to_owned() } else { c.employee().to_string() };
    vec![format!("UPDATE employee SET reports_to = {above} WHERE employee_id = {}", c.employee())]
}

fn album_moved(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE album SET artist_id = {} WHERE album_id = {}", c.artist(), c.album())]
}

fn track_moved(c: &mut Changes) -> Vec<String> {
    let album = if c.random.one_in(4) { "NULL".to_owned() } else { c.album().to_string() };
    let first = c.track();
    vec![format!("UPDATE track SET album_id = {album} WHERE track_id BETWEEN {first} AND {}", first + c.random.up_to(4))]
}

fn track_classified(c: &mut Changes) -> Vec<String> {
    let genre = if c.random.one_in(4) { "NULL".to_owned() } else { c.genre().to_string() };
    vec![format!(
        "UPDATE track SET genre_id = {genre}, media_type_id = {} WHERE track_id = {}",
        c.random.up_to(5),
        c.track()
    )]
}

fn customer_moved(c: &mut Changes) -> Vec<String> {
    let agent = if c.random.one_in(4) { "NULL".to_owned() } else { c.employee().to_string() };
    vec![format!("UPDATE customer SET support_rep_id = {agent} WHERE customer_id = {}", c.customer())]
}

fn invoice_moved(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE invoice SET customer_id = {} WHERE invoice_id = {}", c.customer(), c.invoice())]
}

fn line_moved(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE invoice_line SET invoice_id = {}, track_id = {} WHERE invoice_line_id = {}",
        c.invoice(),
        c.track(),
        c.line()
    )]
}

fn line_edited(c: &mut Changes) -> Vec<String> {
    let price = format!("{}.{:02}", c.random.up_to(99_999_999), c.random.up_to(99));
    vec![format!(
        "UPDATE invoice_line SET quantity = {}, unit_price = {price} WHERE invoice_line_id = {}",
        c.random.up_to(9),
        c.line()
    )]
}

fn invoice_billed(c: &mut Changes) -> Vec<String> {
    let country = c.random.pick(&["'Germany'", "'Brazil'", "NULL", "'Bosnia & Herzegovina'"]);
    let city = c.random.pick(&["'St. Gallen'", "NULL", "'a\"b'", "'Åre'"]);
    vec![format!(
        "UPDATE invoice SET billing_country = {country}, billing_city = {city} WHERE invoice_id = {}",
        c.invoice()
    )]
}

/// A primary key that nothing refers to.
fn line_renumbered(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE invoice_line SET invoice_line_id = {} WHERE invoice_line_id = {}", c.new_id(), c.line())]
}

/// The primary key of a root, hence the key of its document.
fn playlist_renumbered(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE playlist SET playlist_id = {} WHERE playlist_id = (SELECT min(p.playlist_id) FROM playlist p \
         WHERE NOT EXISTS (SELECT 1 FROM playlist_track e WHERE e.playlist_id = p.playlist_id))",
        c.new_id()
    )]
}

fn full_playlist_renumbered(c: &mut Changes) -> Vec<String> {
    let (old, new) = (c.random.up_to(18), c.new_id());
    vec![
        format!("INSERT INTO playlist (playlist_id, name) SELECT {new}, name FROM playlist WHERE playlist_id = {old}"),
        format!("UPDATE playlist_track SET playlist_id = {new} WHERE playlist_id = {old}"),
        format!("DELETE FROM playlist WHERE playlist_id = {old}"),
    ]
}

fn entries_added(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![format!(
        "INSERT INTO playlist_track (playlist_id, track_id) SELECT {playlist}, track_id FROM track \
         WHERE track_id BETWEEN {first} AND {} ON CONFLICT DO NOTHING",
        first + c.random.up_to(9)
    )]
}

fn entries_removed(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![format!(
        "DELETE FROM playlist_track WHERE playlist_id = {playlist} AND track_id BETWEEN {first} AND {}",
        first + c.random.up_to(200)
    )]
}

fn entry_moved(c: &mut Changes) -> Vec<String> {
    let (playlist, to) = (c.playlist(), c.track());
    vec![format!(
        "UPDATE playlist_track SET track_id = {to} WHERE playlist_id = {playlist} AND track_id = \
         (SELECT min(e.track_id) FROM playlist_track e WHERE e.playlist_id = {playlist} AND e.track_id > {}) \
         AND NOT EXISTS (SELECT 1 FROM playlist_track e WHERE e.playlist_id = {playlist} AND e.track_id = {to})",
        c.track()
    )]
}

/// Delete and insert of the same keys in one transaction.
fn entries_swapped(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![
        format!("DELETE FROM playlist_track WHERE playlist_id = {playlist} AND track_id BETWEEN {first} AND {first} + 20"),
        format!(
            "INSERT INTO playlist_track (playlist_id, track_id) SELECT {playlist}, track_id FROM track \
             WHERE track_id BETWEEN {first} + 5 AND {first} + 20 ON CONFLICT DO NOTHING"
        ),
    ]
}

fn sale(c: &mut Changes) -> Vec<String> {
    let (invoice, customer, first) = (c.new_id(), c.customer(), c.track());
    let lines = (c.new_id(), c.new_id());
    let line = |line: u64, from: u64| {
        format!(
            "INSERT INTO invoice_line (invoice_line_id, invoice_id, track_id, unit_price, quantity) \
             SELECT {line}, {invoice}, track_id, unit_price, 2 FROM track \
             WHERE track_id = (SELECT min(track_id) FROM track WHERE track_id >= {from})"
        )
    };
    vec![
        format!(
            "INSERT INTO invoice (invoice_id, customer_id, invoice_date, billing_city, billing_country, total) \
             SELECT {invoice}, customer_id, '2026-02-{:02} 12:34:56', city, country, 0 FROM customer \
             WHERE customer_id = (SELECT min(customer_id) FROM customer WHERE customer_id >= {customer})",
            c.random.up_to(28)
        ),
        line(lines.0, first),
        line(lines.1, first / 2),
        format!(
            "UPDATE invoice SET total = (SELECT round(sum(unit_price * quantity), 2) FROM invoice_line \
             WHERE invoice_id = {invoice}) WHERE invoice_id = {invoice}"
        ),
    ]
}

fn artist_signed(c: &mut Changes) -> Vec<String> {
    let (artist, album) = (c.new_id(), c.new_id());
    let mut statements = vec![
        format!("INSERT INTO artist (artist_id, name) VALUES ({artist}, {})", c.words()),
        format!("INSERT INTO album (album_id, title, artist_id) VALUES ({album}, {}, {artist})", c.words()),
    ];
    for _ in 0..3 {
        statements.push(format!(
            "INSERT INTO track (track_id, name, album_id, media_type_id, genre_id, milliseconds, unit_price) \
             VALUES ({}, {}, {album}, 1, {}, {}, 1.50)",
            c.new_id(),
            c.words(),
            c.genre(),
            c.random.up_to(900_000)
        ));
    }
    statements
}

fn employee_hired(c: &mut Changes) -> Vec<String> {
    let employee = c.new_id();
    vec![
        format!(
            "INSERT INTO employee (employee_id, last_name, first_name, title, reports_to, hire_date, country) \
             VALUES ({employee}, 'New {employee}', 'Ann', 'Sales Support Agent', {}, '2026-03-01 00:00:00', 'Brazil')",
            c.employee()
        ),
        format!("UPDATE customer SET support_rep_id = {employee} WHERE customer_id = {}", c.customer()),
    ]
}

/// The first one hired after the data set was made.
fn employee_dismissed(_: &mut Changes) -> Vec<String> {
    let first = "(SELECT min(employee_id) FROM employee WHERE employee_id > 8)";
    vec![
        format!("UPDATE customer SET support_rep_id = NULL WHERE support_rep_id = {first}"),
        format!("UPDATE employee SET reports_to = NULL WHERE reports_to = {first}"),
        format!("DELETE FROM employee WHERE employee_id = {first}"),
    ]
}

fn track_deleted(c: &mut Changes) -> Vec<String> {
    tracks_deleted(&format!("track_id = {}", c.track()))
}

fn album_deleted(c: &mut Changes) -> Vec<String> {
    let album = c.album();
    let mut statements = tracks_deleted(&format!("album_id = {album}"));
    statements.push(format!("DELETE FROM album WHERE album_id = {album}"));
    statements
}

fn artist_deleted(c: &mut Changes) -> Vec<String> {
    let artist = c.artist();
    let mut statements =
        tracks_deleted(&format!("album_id IN (SELECT album_id FROM album WHERE artist_id = {artist})"));
    statements.push(format!("DELETE FROM album WHERE artist_id = {artist}"));
    statements.push(format!("DELETE FROM artist WHERE artist_id = {artist}"));
    statements
}

fn tracks_deleted(which: &str) -> Vec<String> {
    vec![
        format!("DELETE FROM playlist_track WHERE track_id IN (SELECT track_id FROM track WHERE {which})"),
        format!("DELETE FROM invoice_line WHERE track_id IN (SELECT track_id FROM track WHERE {which})"),
        format!("DELETE FROM track WHERE {which}"),
    ]
}

fn invoice_deleted(c: &mut Changes) -> Vec<String> {
    let invoice = c.invoice();
    vec![
        format!("DELETE FROM invoice_line WHERE invoice_id = {invoice}"),
        format!("DELETE FROM invoice WHERE invoice_id = {invoice}"),
    ]
}

fn customer_deleted(c: &mut Changes) -> Vec<String> {
    let customer = c.customer();
    vec![
        format!(
            "DELETE FROM invoice_line WHERE invoice_id IN \
             (SELECT invoice_id FROM invoice WHERE customer_id = {customer})"
        ),
        format!("DELETE FROM invoice WHERE customer_id = {customer}"),
        format!("DELETE FROM customer WHERE customer_id = {customer}"),
    ]
}

fn prices_raised(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE track SET unit_price = round(unit_price + 0.1, 2) WHERE genre_id = {}", c.genre())]
}

fn many_tracks(c: &mut Changes) -> Vec<String> {
    let first = c.track();
    vec![format!(
        "UPDATE track SET milliseconds = milliseconds + 1 WHERE track_id BETWEEN {first} AND {first} + 999"
    )]
}

fn genres_joined(c: &mut Changes) -> Vec<String> {
    vec![format!("UPDATE track SET genre_id = {} WHERE genre_id = {}", c.genre(), c.genre())]
}

fn invoices_dated(c: &mut Changes) -> Vec<String> {
    let first = c.invoice();
    vec![format!(
        "UPDATE invoice SET invoice_date = '2025-{:02}-01 23:59:59' WHERE invoice_id BETWEEN {first} AND {first} + 50",
        c.random.up_to(12)
    )]
}

/// Rows are written, values are not changed.
fn nothing(c: &mut Changes) -> Vec<String> {
    vec![
        format!("UPDATE track SET name = name, unit_price = unit_price WHERE album_id = {}", c.album()),
        "UPDATE artist SET name = 'nobody' WHERE artist_id = 0".to_owned(),
    ]
}

fn there_and_back(c: &mut Changes) -> Vec<String> {
    let album = c.album();
    vec![
        format!("UPDATE album SET title = 'there ' || title WHERE album_id = {album}"),
        format!("UPDATE album SET title = substr(title, 7) WHERE album_id = {album}"),
    ]
}

fn made_and_unmade(c: &mut Changes) -> Vec<String> {
    let album = c.new_id();
    vec![
        format!("INSERT INTO album (album_id, title, artist_id) SELECT {album}, 'x', min(artist_id) FROM artist"),
        format!("UPDATE album SET title = 'y' WHERE album_id = {album}"),
        format!("DELETE FROM album WHERE album_id = {album}"),
    ]
}

fn savepoint(c: &mut Changes) -> Vec<String> {
    let (kept, lost) = (artist_renamed(c), artist_deleted(c));
    let mut statements = kept;
    statements.push("SAVEPOINT half".to_owned());
    statements.extend(lost);
    statements.push("ROLLBACK TO SAVEPOINT half".to_owned());
    statements.extend(album_renamed(c));
    statements
}
