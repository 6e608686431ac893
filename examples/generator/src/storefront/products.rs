//! Products, their variants, texts and images.

use super::STORES;
use super::shop::{CHOICES, NUMBERS, option};
use crate::Size;
use crate::random::Random;
use crate::rows::{Product, Row, Table, of_products};
use crate::words::{self, Language};

/// The most variants of one product; a power of two, so that ids are easily read.
pub const VARIANTS: u32 = 16;
const IMAGES: u32 = 16;
const SETS: u32 = 2;
const RELATIONS: u32 = 4;

pub fn tables(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    vec![
        of(
            "product",
            "id, sku, is_active, attributes, rating, new_until, created_at",
            product,
        ),
        of(
            "product_text",
            "product_id, locale_id, name, description, keywords, attributes",
            texts,
        ),
        of("product_store", "product_id, store_id", stores),
        of(
            "product_category",
            "product_id, category_id, position",
            categories,
        ),
        of(
            "product_relation",
            "id, product_id, related_id, kind, position",
            relations,
        ),
        of(
            "variant",
            "id, product_id, sku, is_active, position, valid_from, valid_until",
            variants,
        ),
        of("variant_text", "variant_id, locale_id, name", variant_texts),
        of("variant_option", "variant_id, option_id", variant_options),
        of(
            "variant_number",
            "variant_id, attribute_id, amount",
            variant_numbers,
        ),
        of("image", "id, small, large", images),
        of("image_set", "id, product_id, locale_id, name", image_sets),
        of(
            "image_set_image",
            "image_set_id, image_id, position",
            images_of_sets,
        ),
    ]
}

/// How many variants, whichever table asks.
pub fn variant_count(of: &Product) -> u32 {
    words::variants(&mut of.random("variants"))
}

fn product(of: Product) -> Vec<Row> {
    let random = &mut of.random("product");
    let is_active = random.percent(97);
    let mut attributes = format!(
        r#"{{"warranty_years": {}, "care": "{}""#,
        1 + random.below(5),
        random.pick(&["water", "oil", "none"])
    );
    if random.percent(40) {
        attributes.push_str(&format!(r#", "organic": {}"#, random.percent(50)));
    }
    attributes.push('}');
    let rating = random.percent(70).then(|| 100 + random.below(401));
    let rating = rating.map(|r| format!("{}.{:02}", r / 100, r % 100));
    let new_until = random.percent(10).then(|| day(random, 2027));
    let row = Row::new().plain(of.number).text(format!("P-{:07}", of.number));
    let row = row
        .plain(is_active)
        .text(attributes)
        .maybe(rating)
        .maybe_text(new_until);
    vec![row.text(day(random, 2025))]
}

/// A moment in this year.
fn day(random: &mut Random, year: u32) -> String {
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02}:00",
        random.below(24),
        random.below(60)
    )
}

/// German for nearly all, English for nine in ten.
fn texts(of: Product) -> Vec<Row> {
    let random = &mut of.random("text");
    let mut rows = Vec::new();
    for (locale, language, chance) in [(1, Language::German, 98), (2, Language::English, 90)] {
        if !random.percent(chance) {
            continue;
        }
        let name = words::product_name(&mut of.random("name"), of.number, language);
        let description = random
            .percent(95)
            .then(|| words::description(&mut of.random("description"), language));
        let keywords = random.percent(50).then(|| words::slug(&name).replace('-', ", "));
        let care = match language {
            Language::German => r#"{"care": "mit Wasser", "origin": "Süden"}"#,
            Language::English => r#"{"origin": "south"}"#,
        };
        let attributes = if random.percent(30) { care } else { "{}" };
        let row = Row::new().plain(of.number).plain(locale).text(name);
        rows.push(row.maybe_text(description).maybe_text(keywords).text(attributes));
    }
    rows
}

fn stores(of: Product) -> Vec<Row> {
    let random = &mut of.random("store");
    let sold = STORES
        .into_iter()
        .filter(|(store, ..)| *store == 1 || random.percent(95));
    sold.map(|(store, ..)| Row::new().plain(of.number).plain(store))
        .collect()
}

/// A shelf, and for one product in seven a second one.
fn categories(of: Product) -> Vec<Row> {
    let random = &mut of.random("category");
    let first = random.below(words::SHELF_COUNT);
    let mut rows = vec![Row::new().plain(of.number).plain(words::shelf(first)).plain(1)];
    if random.percent(14) {
        let second = words::shelf(first + 1 + random.below(words::SHELF_COUNT - 1));
        rows.push(Row::new().plain(of.number).plain(second).plain(2));
    }
    rows
}

fn relations(of: Product) -> Vec<Row> {
    let random = &mut of.random("relation");
    let count = random.below(RELATIONS + 1);
    let row = |k| {
        let related = 1 + random.below(of.size.products);
        let kind = *random.pick(&["goes with", "instead of"]);
        let row = Row::new().plain(of.id(RELATIONS, k)).plain(of.number);
        row.plain(related).text(kind).plain(k + 1)
    };
    (0..count).map(row).collect()
}

/// Few have a window: past, present or far away.
fn variants(of: Product) -> Vec<Row> {
    let random = &mut of.random("variant");
    let row = |k| {
        let is_active = k == 0 || random.percent(95);
        let (from, until) = match random.below(100) {
            0..5 => (Some("2024-01-01 00:00:00"), Some("2024-12-31 23:00:00")),
            5..15 => (Some("2025-01-01 00:00:00"), Some("2095-01-01 00:00:00")),
            15..20 => (Some("2094-06-01 00:00:00"), None),
            _ => (None, None),
        };
        let sku = format!("V-{:07}-{}", of.number, k + 1);
        let row = Row::new().plain(of.id(VARIANTS, k)).plain(of.number).text(sku);
        row.plain(is_active)
            .plain(k + 1)
            .maybe_text(from)
            .maybe_text(until)
    };
    (0..variant_count(&of)).map(row).collect()
}

/// Only variants of a product with several have names of their own.
fn variant_texts(of: Product) -> Vec<Row> {
    let count = variant_count(&of);
    if count == 1 {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for k in 0..count {
        for (locale, language) in [(1, Language::German), (2, Language::English)] {
            let name = words::product_name(&mut of.random("name"), of.number, language);
            let name = format!("{name}, {}", words::SIZES[(k % 5) as usize]);
            rows.push(Row::new().plain(of.id(VARIANTS, k)).plain(locale).text(name));
        }
    }
    rows
}

fn variant_options(of: Product) -> Vec<Row> {
    let random = &mut of.random("option");
    let mut rows = Vec::new();
    for k in 0..variant_count(&of) {
        for (attribute, _, _, _, options, _) in CHOICES {
            if attribute == 1 || random.percent(70) {
                let option = option(attribute, 1 + random.below(options.len() as u32));
                rows.push(Row::new().plain(of.id(VARIANTS, k)).plain(option));
            }
        }
    }
    rows
}

fn variant_numbers(of: Product) -> Vec<Row> {
    let random = &mut of.random("number");
    let mut rows = Vec::new();
    for k in 0..variant_count(&of) {
        for (attribute, _, _, _, least, most) in NUMBERS {
            if random.percent(80) {
                let amount = least + random.below(most - least + 1);
                rows.push(
                    Row::new()
                        .plain(of.id(VARIANTS, k))
                        .plain(attribute)
                        .plain(amount),
                );
            }
        }
    }
    rows
}

fn image_count(of: &Product) -> u32 {
    5 + of.random("images").below(7)
}

fn images(of: Product) -> Vec<Row> {
    let address = |k: u32, size: &str| format!("https://img.example/{}/{}-{size}.jpg", of.number, k + 1);
    let row = |k| {
        let row = Row::new().plain(of.id(IMAGES, k));
        row.text(address(k, "s")).text(address(k, "l"))
    };
    (0..image_count(&of)).map(row).collect()
}

/// Whether German pages show other images.
fn has_german_set(of: &Product) -> bool {
    of.random("set").percent(20)
}

fn image_sets(of: Product) -> Vec<Row> {
    let set = |k| Row::new().plain(of.id(SETS, k)).plain(of.number);
    let mut rows = vec![set(0).null().text("default")];
    if has_german_set(&of) {
        // Every second one stands over the set for all languages, the others beside it.
        let name = if of.number.is_multiple_of(2) {
            "default"
        } else {
            "extra"
        };
        rows.push(set(1).plain(1).text(name));
    }
    rows
}

fn images_of_sets(of: Product) -> Vec<Row> {
    let row = |set, k| {
        let row = Row::new().plain(of.id(SETS, set)).plain(of.id(IMAGES, k));
        row.plain(k + 1)
    };
    let mut rows: Vec<Row> = (0..image_count(&of)).map(|k| row(0, k)).collect();
    if has_german_set(&of) {
        rows.extend((0..2).map(|k| row(1, k)));
    }
    rows
}
