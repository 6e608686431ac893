//! Rows go to another parent or get another key; entries of the junction table come and go.

use super::Changes;

pub(super) fn employee_moved(c: &mut Changes) -> Vec<String> {
    let above = if c.random.one_in(5) {
        "NULL".to_owned()
    } else {
        c.employee().to_string()
    };
    vec![format!(
        "UPDATE employee SET reports_to = {above} WHERE employee_id = {}",
        c.employee()
    )]
}

pub(super) fn album_moved(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE album SET artist_id = {} WHERE album_id = {}",
        c.artist(),
        c.album()
    )]
}

pub(super) fn track_moved(c: &mut Changes) -> Vec<String> {
    let album = if c.random.one_in(4) {
        "NULL".to_owned()
    } else {
        c.album().to_string()
    };
    let first = c.track();
    vec![format!(
        "UPDATE track SET album_id = {album} WHERE track_id BETWEEN {first} AND {}",
        first + c.random.up_to(4)
    )]
}

pub(super) fn track_classified(c: &mut Changes) -> Vec<String> {
    let genre = if c.random.one_in(4) {
        "NULL".to_owned()
    } else {
        c.genre().to_string()
    };
    vec![format!(
        "UPDATE track SET genre_id = {genre}, media_type_id = {} WHERE track_id = {}",
        c.random.up_to(5),
        c.track()
    )]
}

pub(super) fn customer_moved(c: &mut Changes) -> Vec<String> {
    let agent = if c.random.one_in(4) {
        "NULL".to_owned()
    } else {
        c.employee().to_string()
    };
    vec![format!(
        "UPDATE customer SET support_rep_id = {agent} WHERE customer_id = {}",
        c.customer()
    )]
}

pub(super) fn invoice_moved(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE invoice SET customer_id = {} WHERE invoice_id = {}",
        c.customer(),
        c.invoice()
    )]
}

pub(super) fn line_moved(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE invoice_line SET invoice_id = {}, track_id = {} WHERE invoice_line_id = {}",
        c.invoice(),
        c.track(),
        c.line()
    )]
}

/// A primary key that nothing refers to.
pub(super) fn line_renumbered(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE invoice_line SET invoice_line_id = {} WHERE invoice_line_id = {}",
        c.new_id(),
        c.line()
    )]
}

/// The primary key of a root, hence the key of its document.
pub(super) fn playlist_renumbered(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE playlist SET playlist_id = {} WHERE playlist_id = (SELECT min(p.playlist_id) FROM playlist p \
         WHERE NOT EXISTS (SELECT 1 FROM playlist_track e WHERE e.playlist_id = p.playlist_id))",
        c.new_id()
    )]
}

pub(super) fn full_playlist_renumbered(c: &mut Changes) -> Vec<String> {
    let (old, new) = (c.random.up_to(18), c.new_id());
    vec![
        format!(
            "INSERT INTO playlist (playlist_id, name) SELECT {new}, name FROM playlist WHERE playlist_id = {old}"
        ),
        format!("UPDATE playlist_track SET playlist_id = {new} WHERE playlist_id = {old}"),
        format!("DELETE FROM playlist WHERE playlist_id = {old}"),
    ]
}

pub(super) fn entries_added(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![format!(
        "INSERT INTO playlist_track (playlist_id, track_id) SELECT {playlist}, track_id FROM track \
         WHERE track_id BETWEEN {first} AND {} ON CONFLICT DO NOTHING",
        first + c.random.up_to(9)
    )]
}

pub(super) fn entries_removed(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![format!(
        "DELETE FROM playlist_track WHERE playlist_id = {playlist} AND track_id BETWEEN {first} AND {}",
        first + c.random.up_to(200)
    )]
}

pub(super) fn entry_moved(c: &mut Changes) -> Vec<String> {
    let (playlist, to) = (c.playlist(), c.track());
    vec![format!(
        "UPDATE playlist_track SET track_id = {to} WHERE playlist_id = {playlist} AND track_id = \
         (SELECT min(e.track_id) FROM playlist_track e WHERE e.playlist_id = {playlist} AND e.track_id > {}) \
         AND NOT EXISTS (SELECT 1 FROM playlist_track e WHERE e.playlist_id = {playlist} AND e.track_id = {to})",
        c.track()
    )]
}

/// Delete and insert of the same keys in one transaction.
pub(super) fn entries_swapped(c: &mut Changes) -> Vec<String> {
    let (playlist, first) = (c.playlist(), c.track());
    vec![
        format!(
            "DELETE FROM playlist_track WHERE playlist_id = {playlist} AND track_id BETWEEN {first} AND {first} + 20"
        ),
        format!(
            "INSERT INTO playlist_track (playlist_id, track_id) SELECT {playlist}, track_id FROM track \
             WHERE track_id BETWEEN {first} + 5 AND {first} + 20 ON CONFLICT DO NOTHING"
        ),
    ]
}
