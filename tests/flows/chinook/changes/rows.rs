//! Rows are made, and deleted with all that hangs on them.

use super::Changes;

pub(super) fn sale(c: &mut Changes) -> Vec<String> {
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

pub(super) fn artist_signed(c: &mut Changes) -> Vec<String> {
    let (artist, album) = (c.new_id(), c.new_id());
    let mut statements = vec![
        format!(
            "INSERT INTO artist (artist_id, name) VALUES ({artist}, {})",
            c.words()
        ),
        format!(
            "INSERT INTO album (album_id, title, artist_id) VALUES ({album}, {}, {artist})",
            c.words()
        ),
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

pub(super) fn employee_hired(c: &mut Changes) -> Vec<String> {
    let employee = c.new_id();
    vec![
        format!(
            "INSERT INTO employee (employee_id, last_name, first_name, title, reports_to, hire_date, country) \
             VALUES ({employee}, 'New {employee}', 'Ann', 'Sales Support Agent', {}, '2026-03-01 00:00:00', 'Brazil')",
            c.employee()
        ),
        format!(
            "UPDATE customer SET support_rep_id = {employee} WHERE customer_id = {}",
            c.customer()
        ),
    ]
}

/// The first one hired after the data set was made.
pub(super) fn employee_dismissed(_: &mut Changes) -> Vec<String> {
    let first = "(SELECT min(employee_id) FROM employee WHERE employee_id > 8)";
    vec![
        format!("UPDATE customer SET support_rep_id = NULL WHERE support_rep_id = {first}"),
        format!("UPDATE employee SET reports_to = NULL WHERE reports_to = {first}"),
        format!("DELETE FROM employee WHERE employee_id = {first}"),
    ]
}

pub(super) fn track_deleted(c: &mut Changes) -> Vec<String> {
    tracks_deleted(&format!("track_id = {}", c.track()))
}

pub(super) fn album_deleted(c: &mut Changes) -> Vec<String> {
    let album = c.album();
    let mut statements = tracks_deleted(&format!("album_id = {album}"));
    statements.push(format!("DELETE FROM album WHERE album_id = {album}"));
    statements
}

pub(super) fn artist_deleted(c: &mut Changes) -> Vec<String> {
    let artist = c.artist();
    let mut statements = tracks_deleted(&format!(
        "album_id IN (SELECT album_id FROM album WHERE artist_id = {artist})"
    ));
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

pub(super) fn invoice_deleted(c: &mut Changes) -> Vec<String> {
    let invoice = c.invoice();
    vec![
        format!("DELETE FROM invoice_line WHERE invoice_id = {invoice}"),
        format!("DELETE FROM invoice WHERE invoice_id = {invoice}"),
    ]
}

pub(super) fn customer_deleted(c: &mut Changes) -> Vec<String> {
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
