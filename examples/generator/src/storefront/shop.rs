//! What stands around the products: stores, languages, currencies, categories, attributes, warehouses.

use super::{LOCALES, STORES};
use crate::rows::{Row, Table, table};
use crate::words::{self, Category};

/// Attribute, code, German, is a facet, its options: English and German.
type Choice = (
    u32,
    &'static str,
    &'static str,
    bool,
    &'static [&'static str],
    &'static [&'static str],
);

pub const CHOICES: [Choice; 3] = [
    (1, "colour", "Farbe", true, &words::COLOURS, &words::FARBEN),
    (2, "material", "Material", true, &words::MATERIALS, &words::STOFFE),
    (3, "size", "Größe", true, &words::SIZES, &words::SIZES),
];

/// Attribute, code, German, is a facet, its smallest and largest number.
pub const NUMBERS: [(u32, &str, &str, bool, u32, u32); 3] = [
    (4, "weight_g", "Gewicht (g)", true, 50, 9_999),
    (5, "width_cm", "Breite (cm)", true, 5, 199),
    (6, "seasons", "Jahreszeiten", false, 1, 4),
];

const OPTIONS_OF_AN_ATTRIBUTE: u32 = 100;

/// The id of an attribute's option, by its place in the list.
pub fn option(attribute: u32, place: u32) -> u32 {
    attribute * OPTIONS_OF_AN_ATTRIBUTE + place
}

pub fn tables() -> Vec<Table> {
    let mut tables = stores();
    tables.extend(categories());
    tables.extend(attributes());
    tables.extend(kinds_and_warehouses());
    tables
}

fn stores() -> Vec<Table> {
    let locales = || {
        STORES
            .into_iter()
            .flat_map(|(store, ..)| LOCALES.map(|(locale, _)| (store, locale)))
    };
    // The first store takes two currencies.
    let currencies = [(1, 1), (1, 2), (2, 1), (3, 3)];
    vec![
        table(
            "currency",
            "id, code, name",
            [
                "(1,'EUR','Euro')",
                "(2,'CHF','Swiss franc')",
                "(3,'USD','US dollar')",
            ],
        ),
        table(
            "locale",
            "id, code",
            LOCALES.map(|(id, code)| Row::new().plain(id).text(code)),
        ),
        table(
            "store",
            "id, code, name, default_currency_id",
            STORES
                .map(|(id, code, name, currency)| Row::new().plain(id).text(code).text(name).plain(currency)),
        ),
        table(
            "store_locale",
            "store_id, locale_id, position",
            locales().map(|(store, locale)| {
                // English first in the last store.
                let position = if store == 3 { 3 - locale } else { locale };
                Row::new().plain(store).plain(locale).plain(position)
            }),
        ),
        table(
            "store_currency",
            "store_id, currency_id",
            currencies.map(|(store, currency)| Row::new().plain(store).plain(currency)),
        ),
    ]
}

/// The last department is off, the one before is in no menu, the last store has no travel.
fn categories() -> Vec<Table> {
    let row = |c: Category| {
        let row = Row::new().plain(c.id).text(c.path.replace('/', "-"));
        row.maybe(c.parent)
            .plain(c.position)
            .plain(c.id != 9)
            .plain(c.id != 8)
    };
    let texts = words::categories().into_iter().flat_map(|c| {
        let title = (c.id % 3 == 0).then(|| format!("{} – online", c.german));
        [
            Row::new().plain(c.id).plain(1).text(&c.german).maybe_text(title),
            Row::new().plain(c.id).plain(2).text(&c.english).null(),
        ]
    });
    // A few categories have no English name.
    let texts = texts
        .enumerate()
        .filter(|(i, _)| i % 22 != 21)
        .map(|(_, row)| row);
    let stores = words::categories().into_iter().flat_map(|c| {
        let sold = STORES
            .into_iter()
            .filter(move |(store, ..)| *store != 3 || c.id != 7);
        sold.map(move |(store, ..)| Row::new().plain(c.id).plain(store))
    });
    vec![
        table(
            "category",
            "id, code, parent_id, position, is_active, is_in_menu",
            words::categories().into_iter().map(row),
        ),
        table("category_text", "category_id, locale_id, name, title", texts),
        table("category_store", "category_id, store_id", stores),
    ]
}

fn attributes() -> Vec<Table> {
    let choices = CHOICES.map(|(id, code, german, facet, ..)| (id, code, german, facet));
    let numbers = NUMBERS.map(|(id, code, german, facet, ..)| (id, code, german, facet));
    let all = move || choices.into_iter().chain(numbers);
    let texts = all().flat_map(|(id, code, german, _)| {
        [
            Row::new().plain(id).plain(1).text(german),
            Row::new().plain(id).plain(2).text(code.replace('_', " ")),
        ]
    });
    let options = || {
        CHOICES
            .into_iter()
            .flat_map(|(attribute, _, _, _, english, german)| {
                let pairs = english.iter().zip(german);
                (1..)
                    .zip(pairs)
                    .map(move |(place, (english, german))| (attribute, place, *english, *german))
            })
    };
    let option_texts = options().flat_map(|(attribute, place, english, german)| {
        let id = option(attribute, place);
        [(1, german), (2, english)].map(move |(locale, label)| Row::new().plain(id).plain(locale).text(label))
    });
    vec![
        table(
            "attribute",
            "id, code, is_facet, position",
            all().map(|(id, code, _, facet)| Row::new().plain(id).text(code).plain(facet).plain(id)),
        ),
        table("attribute_text", "attribute_id, locale_id, label", texts),
        table(
            "attribute_option",
            "id, attribute_id, code, position",
            options().map(|(attribute, place, english, _)| {
                let id = option(attribute, place);
                Row::new()
                    .plain(id)
                    .plain(attribute)
                    .text(words::slug(english))
                    .plain(place)
            }),
        ),
        table(
            "attribute_option_text",
            "option_id, locale_id, label",
            option_texts,
        ),
    ]
}

fn kinds_and_warehouses() -> Vec<Table> {
    vec![
        table("price_kind", "id, code", ["(1,'DEFAULT')", "(2,'ORIGINAL')"]),
        table(
            "warehouse",
            "id, name",
            ["(1,'Hamburg')", "(2,'Wien')", "(3,'Columbus, OH')"],
        ),
        table(
            "warehouse_store",
            "warehouse_id, store_id",
            ["(1,1)", "(1,2)", "(2,2)", "(2,1)", "(3,3)"],
        ),
    ]
}
