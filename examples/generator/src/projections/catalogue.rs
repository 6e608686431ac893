//! What offers share: stores, languages, brands, categories, attributes, options, fields.

use super::{LANGUAGES, STORES, brand_count};
use crate::Size;
use crate::rows::{Row, Table, table};
use crate::words::{self, Category};

pub const ATTRIBUTES: [(u32, &str, &str, bool); 8] = [
    (1, "material", "text", true),
    (2, "care", "text", false),
    (3, "origin", "text", false),
    (4, "warranty", "integer", false),
    (5, "energy", "text", false),
    (6, "award", "text", true),
    (7, "length", "decimal", false),
    (8, "certificate", "text", true),
];

/// Option, code, its values.
pub const OPTIONS: [(u32, &str, &[&str]); 3] = [
    (1, "colour", &words::COLOURS),
    (2, "size", &words::SIZES),
    (3, "material", &words::MATERIALS),
];
const VALUES_OF_AN_OPTION: u32 = 100;

/// Field, code, type, is required, most letters.
pub const FIELDS: [(u32, &str, &str, bool, Option<u32>); 4] = [
    (1, "engraving", "text", false, Some(40)),
    (2, "gift-message", "text", false, Some(200)),
    (3, "delivery-date", "date", true, None),
    (4, "gift-wrap", "boolean", false, None),
];

/// The id of an option's value, by any number.
pub fn value(option: u32, number: u32) -> u32 {
    let count = OPTIONS
        .iter()
        .find(|(id, ..)| *id == option)
        .map_or(1, |(.., values)| values.len());
    option * VALUES_OF_AN_OPTION + 1 + number % count as u32
}

pub fn tables(size: Size) -> Vec<Table> {
    let mut tables = stores();
    tables.extend(brands(size));
    tables.extend(categories());
    tables.extend(attributes_and_fields());
    tables.extend(options());
    tables
}

fn stores() -> Vec<Table> {
    let spoken = [(1, 1), (1, 2), (2, 1), (3, 2), (3, 3)];
    vec![
        table(
            "store",
            "id, code, currency",
            STORES.map(|(id, code, currency)| Row::new().plain(id).text(code).text(currency)),
        ),
        table(
            "language",
            "id, code",
            LANGUAGES.map(|(id, code)| Row::new().plain(id).text(code)),
        ),
        table(
            "store_language",
            "store_id, language_id",
            spoken.map(|(store, language)| Row::new().plain(store).plain(language)),
        ),
    ]
}

/// A name in every language: what only tests read need not be true.
fn names(id: u32, name: &str) -> [Row; 3] {
    LANGUAGES.map(|(language, code)| {
        Row::new()
            .plain(id)
            .plain(language)
            .text(format!("{name} ({code})"))
    })
}

fn brands(size: Size) -> Vec<Table> {
    let brand = |id: u32| {
        let logo = (!id.is_multiple_of(7)).then(|| format!("https://img.example/brand/{id}.svg"));
        Row::new().plain(id).text(format!("brand-{id}")).maybe_text(logo)
    };
    let brand_names = (1..=brand_count(size)).flat_map(|id| {
        let name = words::BRANDS[(id as usize - 1) % words::BRANDS.len()];
        names(id, &format!("{name} {id}"))
    });
    vec![
        table("brand", "id, code, logo", (1..=brand_count(size)).map(brand)),
        table("brand_name", "brand_id, language_id, name", brand_names),
    ]
}

/// The last department is hidden, the one before was there for a season, the one before that is for ever.
fn categories() -> Vec<Table> {
    let category = |c: Category| {
        let (from, until) = match c.id {
            8 => (Some("2020-01-01 00:00:00"), Some("2020-12-31 00:00:00")),
            7 => (Some("2021-01-01 00:00:00"), None),
            _ => (None, None),
        };
        let row = Row::new()
            .plain(c.id)
            .text(c.path.replace('/', "-"))
            .maybe(c.parent);
        row.plain(c.position)
            .plain(c.id == 9)
            .maybe_text(from)
            .maybe_text(until)
    };
    let category_names = words::categories().into_iter().flat_map(|c| {
        [(1, &c.german), (2, &c.english)]
            .map(|(language, name)| Row::new().plain(c.id).plain(language).text(name))
    });
    vec![
        table(
            "category",
            "id, code, parent_id, position, is_hidden, valid_from, valid_until",
            words::categories().into_iter().map(category),
        ),
        table("category_name", "category_id, language_id, name", category_names),
    ]
}

fn attributes_and_fields() -> Vec<Table> {
    vec![
        table(
            "attribute",
            "id, code, data_type, is_multi",
            ATTRIBUTES.map(|(id, code, kind, multi)| Row::new().plain(id).text(code).text(kind).plain(multi)),
        ),
        table(
            "attribute_name",
            "attribute_id, language_id, name",
            ATTRIBUTES.into_iter().flat_map(|(id, code, ..)| names(id, code)),
        ),
        table(
            "field",
            "id, code, data_type, is_required, longest",
            FIELDS.map(|(id, code, kind, required, longest)| {
                let row = Row::new().plain(id).text(code).text(kind);
                row.plain(required).maybe(longest)
            }),
        ),
        table(
            "field_name",
            "field_id, language_id, name",
            FIELDS.into_iter().flat_map(|(id, code, ..)| names(id, code)),
        ),
    ]
}

fn options() -> Vec<Table> {
    let values = || {
        OPTIONS
            .into_iter()
            .flat_map(|(option, _, values)| (0..).zip(values).map(move |(k, name)| (option, k, *name)))
    };
    vec![
        table(
            "option",
            "id, code",
            OPTIONS.map(|(id, code, _)| Row::new().plain(id).text(code)),
        ),
        table(
            "option_name",
            "option_id, language_id, name",
            OPTIONS.into_iter().flat_map(|(id, code, _)| names(id, code)),
        ),
        table(
            "option_value",
            "id, option_id, code, position",
            values().map(|(option, k, name)| {
                let row = Row::new().plain(value(option, k)).plain(option);
                row.text(words::slug(name)).plain(k)
            }),
        ),
        table(
            "option_value_name",
            "value_id, language_id, name",
            values().flat_map(|(option, k, name)| names(value(option, k), name)),
        ),
    ]
}
