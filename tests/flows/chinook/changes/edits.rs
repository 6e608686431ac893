//! Rows change where they are, one or many at once.

use super::Changes;

pub(super) fn artist_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE artist SET name = {} WHERE artist_id = {}",
        c.words_or_null(),
        c.artist()
    )]
}

pub(super) fn album_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE album SET title = {} WHERE album_id = {}",
        c.words(),
        c.album()
    )]
}

pub(super) fn track_edited(c: &mut Changes) -> Vec<String> {
    let (name, composer) = (c.words(), c.words_or_null());
    let bytes = if c.random.one_in(3) {
        "NULL".to_owned()
    } else {
        c.random.up_to(2_000_000_000).to_string()
    };
    vec![format!(
        "UPDATE track SET name = {name}, composer = {composer}, milliseconds = {}, bytes = {bytes} WHERE track_id = {}",
        c.random.up_to(900_000),
        c.track()
    )]
}

pub(super) fn genre_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE genre SET name = {} WHERE genre_id = {}",
        c.words_or_null(),
        c.genre()
    )]
}

pub(super) fn media_type_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE media_type SET name = {} WHERE media_type_id = {}",
        c.words_or_null(),
        c.random.up_to(5)
    )]
}

pub(super) fn playlist_renamed(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE playlist SET name = {} WHERE playlist_id = {}",
        c.words_or_null(),
        c.playlist()
    )]
}

pub(super) fn customer_edited(c: &mut Changes) -> Vec<String> {
    let country = c.random.pick(&["Germany", "Brazil", "USA", "Czech Republic"]);
    vec![format!(
        "UPDATE customer SET last_name = 'N{}', company = {}, country = '{country}', fax = NULL WHERE customer_id = {}",
        c.random.up_to(20),
        c.words_or_null(),
        c.customer()
    )]
}

/// The name stands in a key.
pub(super) fn employee_renamed(c: &mut Changes) -> Vec<String> {
    let name = c
        .random
        .pick(&["de la Cruz", "100%", "A:B", "Ødegård", "%3A", "Park"]);
    vec![format!(
        "UPDATE employee SET last_name = '{name}' WHERE employee_id = {}",
        c.employee()
    )]
}

/// The title decides who is an agent.
pub(super) fn employee_promoted(c: &mut Changes) -> Vec<String> {
    let title = c.random.pick(&[
        "'Sales Support Agent'",
        "'Sales Manager'",
        "NULL",
        "'Sales Support Agent'",
    ]);
    vec![format!(
        "UPDATE employee SET title = {title} WHERE employee_id = {}",
        c.employee()
    )]
}

pub(super) fn line_edited(c: &mut Changes) -> Vec<String> {
    let price = format!("{}.{:02}", c.random.up_to(99_999_999), c.random.up_to(99));
    vec![format!(
        "UPDATE invoice_line SET quantity = {}, unit_price = {price} WHERE invoice_line_id = {}",
        c.random.up_to(9),
        c.line()
    )]
}

pub(super) fn invoice_billed(c: &mut Changes) -> Vec<String> {
    let country = c
        .random
        .pick(&["'Germany'", "'Brazil'", "NULL", "'Bosnia & Herzegovina'"]);
    let city = c.random.pick(&["'St. Gallen'", "NULL", "'a\"b'", "'Åre'"]);
    vec![format!(
        "UPDATE invoice SET billing_country = {country}, billing_city = {city} WHERE invoice_id = {}",
        c.invoice()
    )]
}

pub(super) fn prices_raised(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE track SET unit_price = round(unit_price + 0.1, 2) WHERE genre_id = {}",
        c.genre()
    )]
}

pub(super) fn many_tracks(c: &mut Changes) -> Vec<String> {
    let first = c.track();
    vec![format!(
        "UPDATE track SET milliseconds = milliseconds + 1 WHERE track_id BETWEEN {first} AND {first} + 999"
    )]
}

pub(super) fn genres_joined(c: &mut Changes) -> Vec<String> {
    vec![format!(
        "UPDATE track SET genre_id = {} WHERE genre_id = {}",
        c.genre(),
        c.genre()
    )]
}

pub(super) fn invoices_dated(c: &mut Changes) -> Vec<String> {
    let first = c.invoice();
    vec![format!(
        "UPDATE invoice SET invoice_date = '2025-{:02}-01 23:59:59' WHERE invoice_id BETWEEN {first} AND {first} + 50",
        c.random.up_to(12)
    )]
}
