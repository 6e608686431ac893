//! Products and the values of their attributes.

use super::shop::{
    COLOUR, DESCRIPTION, MATERIAL, META_TITLE, NAME, NEWS_FROM, NEWS_TO, PIECES, SHORT_DESCRIPTION, SIZE,
    SUPPLIER, URL_KEY, WARRANTY, WEIGHT, WIDTH, option,
};
use crate::Size;
use crate::rows::{Product, Row, Table, of_products};
use crate::words::{self, Language};

/// Of so many products in a row the first is configurable.
const FAMILY: u32 = 8;
const IMAGES: u32 = 8;

pub fn tables(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    let value = "product_id, attribute_id, store_view_id, content";
    vec![
        of("product", "id, sku, kind, created_at, updated_at", product),
        of("product_website", "product_id, website_id", websites),
        of("product_varchar", value, varchars),
        of("product_int", value, integers),
        of("product_decimal", value, decimals),
        of("product_text", value, texts),
        of("product_datetime", value, datetimes),
        of("media", "id, product_id, file, position, is_hidden", media),
        of("media_label", "media_id, store_view_id, label", media_labels),
        of("product_variant", "parent_id, child_id, position", variants),
        of("product_axis", "product_id, attribute_id, position", axes),
        of(
            "category_product",
            "category_id, product_id, position",
            categories,
        ),
    ]
}

/// The simple products that a configurable one can become; none of a simple one.
fn children(of: &Product) -> std::ops::RangeInclusive<u32> {
    let count = if of.number % FAMILY == 1 {
        1 + of.random("children").below(4)
    } else {
        0
    };
    let last = (of.number + count).min(of.size.products);
    of.number + 1..=last
}

fn product(of: Product) -> Vec<Row> {
    let random = &mut of.random("product");
    let kind = if children(&of).is_empty() {
        "simple"
    } else {
        "configurable"
    };
    let mut day = |year: u32| {
        let (month, day) = (1 + random.below(12), 1 + random.below(28));
        format!("{year}-{month:02}-{day:02} {:02}:15:00", random.below(24))
    };
    let row = Row::new()
        .plain(of.number)
        .text(format!("{}-MB{:02}", of.number, of.number % 97));
    vec![row.text(kind).text(day(2024)).text(day(2025))]
}

/// The main shop sells everything, the outlet a third.
fn websites(of: Product) -> Vec<Row> {
    let row = |website: u32| Row::new().plain(of.number).plain(website);
    let mut rows = vec![row(1)];
    if of.random("website").percent(33) {
        rows.push(row(2));
    }
    rows
}

fn value(of: &Product, attribute: u32, view: u32) -> Row {
    Row::new().plain(of.number).plain(attribute).plain(view)
}

/// The default is English; nearly all have a German name of their own.
fn varchars(of: Product) -> Vec<Row> {
    let random = &mut of.random("varchar");
    let english = words::product_name(&mut of.random("name"), of.number, Language::English);
    let german = words::product_name(&mut of.random("name"), of.number, Language::German);
    let mut rows = vec![
        value(&of, NAME, 0).text(&english),
        value(&of, URL_KEY, 0).text(words::slug(&english)),
    ];
    if random.percent(95) {
        rows.push(value(&of, NAME, 1).text(&german));
        rows.push(value(&of, URL_KEY, 1).text(words::slug(&german)));
    }
    if random.percent(20) {
        rows.push(value(&of, META_TITLE, 0).text(format!("{english} – buy online")));
    }
    if random.percent(50) {
        rows.push(value(&of, SUPPLIER, 0).text(format!("S{}", random.below(1_000))));
    }
    // Some are renamed in the outlet, some have no name there: a null is no value.
    match random.below(20) {
        0 => rows.push(value(&of, NAME, 3).text(format!("{english} (second choice)"))),
        1 => rows.push(value(&of, NAME, 3).null()),
        _ => {}
    }
    rows
}

fn texts(of: Product) -> Vec<Row> {
    let random = &mut of.random("text");
    let text = |language| words::description(&mut of.random("description"), language);
    let mut rows = vec![value(&of, DESCRIPTION, 0).text(text(Language::English))];
    if random.percent(80) {
        rows.push(value(&of, DESCRIPTION, 1).text(text(Language::German)));
    }
    if random.percent(40) {
        let short: String = text(Language::English).chars().take(80).collect();
        rows.push(value(&of, SHORT_DESCRIPTION, 0).text(short));
    }
    rows
}

fn integers(of: Product) -> Vec<Row> {
    let random = &mut of.random("int");
    let mut rows = Vec::new();
    if children(&of).is_empty() {
        // Neighbours differ, so that variants do.
        rows.push(value(&of, COLOUR, 0).plain(option(COLOUR, of.number)));
        if random.percent(60) {
            rows.push(value(&of, SIZE, 0).plain(option(SIZE, of.number)));
        }
    }
    if random.percent(70) {
        rows.push(value(&of, MATERIAL, 0).plain(option(MATERIAL, random.below(100))));
    }
    if random.percent(30) {
        rows.push(value(&of, PIECES, 0).plain(1 + random.below(12)));
    }
    if random.percent(50) {
        rows.push(value(&of, WARRANTY, 0).plain(2));
        if random.percent(20) {
            rows.push(value(&of, WARRANTY, 3).plain(1));
        }
    }
    rows
}

fn decimals(of: Product) -> Vec<Row> {
    let random = &mut of.random("decimal");
    let mut rows = Vec::new();
    for (attribute, chance) in [(WEIGHT, 90), (WIDTH, 40)] {
        if random.percent(chance) {
            let number = format!("{}.{:04}", random.below(300), random.below(100) * 100);
            rows.push(value(&of, attribute, 0).plain(number));
        }
    }
    rows
}

fn datetimes(of: Product) -> Vec<Row> {
    let random = &mut of.random("datetime");
    if !random.percent(15) {
        return Vec::new();
    }
    let (month, view) = (1 + random.below(12), random.below(2));
    let from = value(&of, NEWS_FROM, 0).text(format!("2025-{month:02}-01 00:00:00"));
    let to = value(&of, NEWS_TO, view).text(format!("2026-{month:02}-28 23:59:59"));
    vec![from, to]
}

fn image_count(of: &Product) -> u32 {
    2 + of.random("images").below(5)
}

fn media(of: Product) -> Vec<Row> {
    let row = |k| {
        let row = Row::new().plain(of.id(IMAGES, k)).plain(of.number);
        row.text(format!("/m/b/{}_{k}.jpg", of.number))
            .plain(k + 1)
            .plain(k == 5)
    };
    (0..image_count(&of)).map(row).collect()
}

/// The first image has a label, one in ten another one in the German view.
fn media_labels(of: Product) -> Vec<Row> {
    let id = of.id(IMAGES, 0);
    let mut rows = vec![Row::new().plain(id).plain(0).text("Front")];
    if of.random("label").percent(10) {
        rows.push(Row::new().plain(id).plain(1).text("Vorderseite"));
    }
    rows
}

fn variants(of: Product) -> Vec<Row> {
    let row = |child| Row::new().plain(of.number).plain(child).plain(child - of.number);
    children(&of).map(row).collect()
}

fn axes(of: Product) -> Vec<Row> {
    if children(&of).is_empty() {
        return Vec::new();
    }
    let axis = |attribute, position: u32| Row::new().plain(of.number).plain(attribute).plain(position);
    vec![axis(COLOUR, 1), axis(SIZE, 2)]
}

/// A shelf, and for two products in five a second one.
fn categories(of: Product) -> Vec<Row> {
    let random = &mut of.random("category");
    let first = random.below(words::SHELF_COUNT);
    let row = |shelf, position: u32| {
        Row::new()
            .plain(words::shelf(shelf))
            .plain(of.number)
            .plain(position)
    };
    let mut rows = vec![row(first, 1)];
    if random.percent(40) {
        rows.push(row(first + 1 + random.below(words::SHELF_COUNT - 1), 2));
    }
    rows
}
