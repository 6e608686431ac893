//! Transactions that end where they began, or only halfway.

use super::{
    Changes,
    edits::{album_renamed, artist_renamed},
    rows::artist_deleted,
};

/// Rows are written, values are not changed.
pub(super) fn nothing(c: &mut Changes) -> Vec<String> {
    vec![
        format!(
            "UPDATE track SET name = name, unit_price = unit_price WHERE album_id = {}",
            c.album()
        ),
        "UPDATE artist SET name = 'nobody' WHERE artist_id = 0".to_owned(),
    ]
}

pub(super) fn there_and_back(c: &mut Changes) -> Vec<String> {
    let album = c.album();
    vec![
        format!("UPDATE album SET title = 'there ' || title WHERE album_id = {album}"),
        format!("UPDATE album SET title = substr(title, 7) WHERE album_id = {album}"),
    ]
}

pub(super) fn made_and_unmade(c: &mut Changes) -> Vec<String> {
    let album = c.new_id();
    vec![
        format!(
            "INSERT INTO album (album_id, title, artist_id) SELECT {album}, 'x', min(artist_id) FROM artist"
        ),
        format!("UPDATE album SET title = 'y' WHERE album_id = {album}"),
        format!("DELETE FROM album WHERE album_id = {album}"),
    ]
}

pub(super) fn savepoint(c: &mut Changes) -> Vec<String> {
    let (kept, lost) = (artist_renamed(c), artist_deleted(c));
    let mut statements = kept;
    statements.push("SAVEPOINT half".to_owned());
    statements.extend(lost);
    statements.push("ROLLBACK TO SAVEPOINT half".to_owned());
    statements.extend(album_renamed(c));
    statements
}
