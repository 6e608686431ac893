//! Offers and all that belongs to one.

use super::catalogue::{ATTRIBUTES, FIELDS, OPTIONS, value};
use super::{LANGUAGES, STORES, brand_count};
use crate::Size;
use crate::rows::{Product, Row, Table, of_products};
use crate::words::{self, Language};

/// The most items of one offer; a power of two, so that ids are easily read.
const ITEMS: u32 = 16;
const DETAILS: u32 = 16;
const PARTS: u32 = 4;
const ASSOCIATIONS: u32 = 4;

pub fn tables(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    vec![
        of(
            "offer",
            "id, code, kind, brand_id, is_hidden, minimum, available_from, available_until",
            offer,
        ),
        of("offer_name", "offer_id, language_id, name, description", names),
        of("offer_store", "offer_id, store_id", stores),
        of(
            "offer_category",
            "offer_id, category_id, is_primary, position",
            categories,
        ),
        of(
            "offer_detail",
            "id, offer_id, attribute_id, language_id, content",
            details,
        ),
        of("offer_field", "offer_id, field_id, position", fields),
        of("item", "id, offer_id, code, weight, is_digital, position", items),
        of("item_option", "item_id, value_id", item_options),
        of(
            "item_price",
            "item_id, store_id, currency, quantity, listed, sale",
            prices,
        ),
        of("bundle_part", "id, bundle_id, item_id, quantity, position", parts),
        of(
            "association",
            "id, store_id, offer_id, target_id, kind, position",
            associations,
        ),
    ]
}

fn is_bundle(of: &Product) -> bool {
    of.random("bundle").percent(5)
}

fn item_count(of: &Product) -> u32 {
    words::variants(&mut of.random("items"))
}

/// One in ten has a window: past, present or far away.
fn offer(of: Product) -> Vec<Row> {
    let random = &mut of.random("offer");
    let kind = if is_bundle(&of) { "bundle" } else { "single" };
    let brand = (!random.percent(5)).then(|| 1 + random.below(brand_count(of.size)));
    let (from, until) = match random.below(100) {
        0..3 => (Some("2024-03-01 00:00:00"), Some("2024-06-01 00:00:00")),
        3..7 => (Some("2025-03-01 00:00:00"), Some("2095-06-01 00:00:00")),
        7..10 => (Some("2094-01-01 08:30:00"), None),
        _ => (None, None),
    };
    let row = Row::new()
        .plain(of.number)
        .text(format!("offer-{}", of.number))
        .text(kind);
    let row = row.maybe(brand).plain(random.percent(3));
    let minimum = if random.percent(10) { 6 } else { 1 };
    vec![row.plain(minimum).maybe_text(from).maybe_text(until)]
}

/// German and English for all, French for one in three.
fn names(of: Product) -> Vec<Row> {
    let random = &mut of.random("text");
    let mut rows = Vec::new();
    for (language, code) in LANGUAGES {
        let words_of = if language == 1 {
            Language::German
        } else {
            Language::English
        };
        if language == 3 && !random.percent(33) {
            continue;
        }
        let name = words::product_name(&mut of.random("name"), of.number, words_of);
        let name = if language == 3 {
            format!("{name} ({code})")
        } else {
            name
        };
        let description = random
            .percent(80)
            .then(|| words::description(&mut of.random("description"), words_of));
        let row = Row::new().plain(of.number).plain(language);
        rows.push(row.text(name).maybe_text(description));
    }
    rows
}

fn stores(of: Product) -> Vec<Row> {
    let random = &mut of.random("store");
    let sold = STORES
        .into_iter()
        .filter(|(store, ..)| *store == 1 || random.percent(80));
    sold.map(|(store, ..)| Row::new().plain(of.number).plain(store))
        .collect()
}

fn categories(of: Product) -> Vec<Row> {
    let random = &mut of.random("category");
    let first = random.below(words::SHELF_COUNT);
    let row = |shelf, primary: bool, position: u32| {
        let row = Row::new().plain(of.number).plain(words::shelf(shelf));
        row.plain(primary).plain(position)
    };
    let mut rows = vec![row(first, true, 1)];
    if random.percent(20) {
        rows.push(row(first + 1 + random.below(words::SHELF_COUNT - 1), false, 2));
    }
    rows
}

/// About five: in one language or for all.
fn details(of: Product) -> Vec<Row> {
    let random = &mut of.random("detail");
    let mut rows = Vec::new();
    for (attribute, code, kind, _) in ATTRIBUTES {
        if !random.percent(50) {
            continue;
        }
        let languages: &[Option<u32>] = if kind == "text" {
            &[Some(1), Some(2)]
        } else {
            &[None]
        };
        for &language in languages {
            let content = match kind {
                "integer" => (1 + random.below(5)).to_string(),
                "decimal" => format!("{}.{}", random.below(200), random.below(10)),
                _ => format!("{code} {}", random.pick(&words::MATERIALS)),
            };
            let row = Row::new()
                .plain(of.id(DETAILS, rows.len() as u32))
                .plain(of.number);
            rows.push(row.plain(attribute).maybe(language).text(content));
        }
    }
    rows
}

fn fields(of: Product) -> Vec<Row> {
    let random = &mut of.random("field");
    let with = FIELDS.into_iter().filter(|_| random.percent(8));
    with.map(|(field, ..)| Row::new().plain(of.number).plain(field).plain(5 - field))
        .collect()
}

fn items(of: Product) -> Vec<Row> {
    let random = &mut of.random("item");
    let is_digital = random.percent(5);
    let row = |k| {
        let weight = (!is_digital).then(|| format!("{}.{:03}", random.below(30), random.below(1_000)));
        let row = Row::new().plain(of.id(ITEMS, k)).plain(of.number);
        let row = row.text(format!("item-{}-{}", of.number, k + 1)).maybe(weight);
        row.plain(is_digital).plain(k + 1)
    };
    (0..item_count(&of)).map(row).collect()
}

/// Items of one offer differ in colour and size.
fn item_options(of: Product) -> Vec<Row> {
    let random = &mut of.random("option");
    let first = random.below(100);
    let has_size = random.percent(50);
    let mut rows = Vec::new();
    for k in 0..item_count(&of) {
        for (option, ..) in OPTIONS {
            if option == 1 || (option == 2 && has_size) {
                rows.push(Row::new().plain(of.id(ITEMS, k)).plain(value(option, first + k)));
            }
        }
    }
    rows
}

/// In every store; one offer in eight is cheaper from ten pieces on, one in ten is on sale.
fn prices(of: Product) -> Vec<Row> {
    let random = &mut of.random("price");
    let cents = 300 + random.below(49_700);
    let (has_tiers, on_sale) = (random.percent(12), random.percent(10));
    let mut rows = Vec::new();
    for k in 0..item_count(&of) {
        for (store, _, currency) in STORES {
            let cents = cents + 100 * k + 50 * store;
            let row = |quantity: u32| {
                let row = Row::new().plain(of.id(ITEMS, k)).plain(store);
                row.text(currency).plain(quantity)
            };
            rows.push(if on_sale {
                row(1).cents(cents).cents(cents * 4 / 5)
            } else {
                row(1).cents(cents).null()
            });
            if has_tiers {
                rows.push(row(10).cents(cents * 9 / 10).null());
            }
        }
    }
    rows
}

/// A bundle holds the first items of two to four other offers.
fn parts(of: Product) -> Vec<Row> {
    if !is_bundle(&of) {
        return Vec::new();
    }
    let random = &mut of.random("part");
    let count = 2 + random.below(PARTS - 1);
    let row = |k| {
        let part = Product {
            number: 1 + random.below(of.size.products),
            ..of
        };
        let row = Row::new().plain(of.id(PARTS, k)).plain(of.number);
        row.plain(part.id(ITEMS, 0))
            .plain(1 + random.below(3))
            .plain(k + 1)
    };
    (0..count).map(row).collect()
}

fn associations(of: Product) -> Vec<Row> {
    let random = &mut of.random("association");
    let (count, store) = (random.below(4), 1 + random.below(3));
    let row = |k| {
        let kind = *random.pick(&["cross sell", "upsell"]);
        let target = 1 + random.below(of.size.products);
        let row = Row::new().plain(of.id(ASSOCIATIONS, k)).plain(store);
        row.plain(of.number).plain(target).text(kind).plain(k + 1)
    };
    (0..count).map(row).collect()
}
