//! What stands around the products: websites, views, groups, attributes, categories, stocks.

use super::{GROUPS, VIEWS, WEBSITES};
use crate::rows::{Row, Table, table};
use crate::words::{self, Category};

/// Attribute, code, table of its values, input, is visible.
pub const ATTRIBUTES: [(u32, &str, &str, &str, bool); 15] = [
    (NAME, "name", "varchar", "text", true),
    (META_TITLE, "meta_title", "varchar", "text", true),
    (URL_KEY, "url_key", "varchar", "text", true),
    (SUPPLIER, "supplier_code", "varchar", "text", false),
    (DESCRIPTION, "description", "text", "textarea", true),
    (SHORT_DESCRIPTION, "short_description", "text", "textarea", true),
    (COLOUR, "colour", "int", "select", true),
    (SIZE, "size", "int", "select", true),
    (MATERIAL, "material", "int", "select", true),
    (PIECES, "pieces", "int", "text", true),
    (WARRANTY, "warranty_years", "int", "text", true),
    (WEIGHT, "weight", "decimal", "text", true),
    (WIDTH, "width", "decimal", "text", true),
    (NEWS_FROM, "news_from", "datetime", "date", true),
    (NEWS_TO, "news_to", "datetime", "date", true),
];
pub const NAME: u32 = 1;
pub const META_TITLE: u32 = 2;
pub const URL_KEY: u32 = 3;
pub const SUPPLIER: u32 = 4;
pub const DESCRIPTION: u32 = 5;
pub const SHORT_DESCRIPTION: u32 = 6;
pub const COLOUR: u32 = 7;
pub const SIZE: u32 = 8;
pub const MATERIAL: u32 = 9;
pub const PIECES: u32 = 10;
pub const WARRANTY: u32 = 11;
pub const WEIGHT: u32 = 12;
pub const WIDTH: u32 = 13;
pub const NEWS_FROM: u32 = 14;
pub const NEWS_TO: u32 = 15;

/// Attribute, its options in English and in German.
const OPTIONS: [(u32, &[&str], &[&str]); 3] = [
    (COLOUR, &words::COLOURS, &words::FARBEN),
    (SIZE, &words::SIZES, &words::SIZES),
    (MATERIAL, &words::MATERIALS, &words::STOFFE),
];
const OPTIONS_OF_AN_ATTRIBUTE: u32 = 100;

/// The id of one of an attribute's options.
pub fn option(attribute: u32, number: u32) -> u32 {
    let count = OPTIONS
        .iter()
        .find(|(id, ..)| *id == attribute)
        .map_or(1, |(_, english, _)| english.len());
    attribute * OPTIONS_OF_AN_ATTRIBUTE + 1 + number % count as u32
}

pub fn tables() -> Vec<Table> {
    let mut tables = vec![
        table(
            "website",
            "id, code, name",
            WEBSITES.map(|(id, code, name)| Row::new().plain(id).text(code).text(name)),
        ),
        table(
            "store_view",
            "id, website_id, code, name",
            VIEWS.map(|(id, website, code, name)| Row::new().plain(id).maybe(website).text(code).text(name)),
        ),
        table(
            "customer_group",
            "id, code",
            GROUPS.map(|(id, code)| Row::new().plain(id).text(code)),
        ),
        table("stock", "id, code", ["(1,'default')", "(2,'shops')"]),
    ];
    tables.extend(attributes());
    tables.extend(categories());
    tables
}

fn attributes() -> Vec<Table> {
    let attribute = |(id, code, kind, input, visible)| {
        let row = Row::new().plain(id).text(code).text(kind).text(input);
        row.plain(visible).plain(id)
    };
    // A label for all views, and one in four has its own in the German one.
    let labels = ATTRIBUTES.into_iter().flat_map(|(id, code, ..)| {
        let label = code.replace('_', " ");
        let german = (id % 4 == 3).then(|| Row::new().plain(id).plain(1).text(format!("{label} (de)")));
        [Row::new().plain(id).plain(0).text(label)]
            .into_iter()
            .chain(german)
    });
    let options = || {
        OPTIONS.into_iter().flat_map(|(attribute, english, german)| {
            (0..)
                .zip(english.iter().zip(german))
                .map(move |(k, (english, german))| (attribute, k, *english, *german))
        })
    };
    let option_labels = options().flat_map(|(attribute, k, english, german)| {
        let id = option(attribute, k);
        let own = (english != german).then(|| Row::new().plain(id).plain(1).text(german));
        [Row::new().plain(id).plain(0).text(english)]
            .into_iter()
            .chain(own)
    });
    vec![
        table(
            "attribute",
            "id, code, kind, input, is_visible, position",
            ATTRIBUTES.map(attribute),
        ),
        table("attribute_label", "attribute_id, store_view_id, label", labels),
        table(
            "attribute_option",
            "id, attribute_id, code, position",
            options().map(|(attribute, k, english, _)| {
                let row = Row::new().plain(option(attribute, k)).plain(attribute);
                row.text(words::slug(english)).plain(k)
            }),
        ),
        table(
            "attribute_option_label",
            "option_id, store_view_id, label",
            option_labels,
        ),
    ]
}

/// The last department is off, the one before is in no menu.
fn categories() -> Vec<Table> {
    let category = |c: Category| {
        let row = Row::new()
            .plain(c.id)
            .maybe(c.parent)
            .text(&c.path)
            .plain(c.position);
        row.plain(c.id != 9).plain(c.id != 8)
    };
    let labels = words::categories().into_iter().flat_map(|c| {
        let german = Row::new().plain(c.id).plain(1).text(&c.german);
        [Row::new().plain(c.id).plain(0).text(&c.english), german]
    });
    vec![
        table(
            "category",
            "id, parent_id, url_path, position, is_active, is_in_menu",
            words::categories().into_iter().map(category),
        ),
        table("category_label", "category_id, store_view_id, label", labels),
    ]
}
