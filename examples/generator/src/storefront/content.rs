//! Pages, addresses, translations and menus.

use super::{LOCALES, STORES};
use crate::Size;
use crate::random::Random;
use crate::rows::{Product, Row, Table, of_products, table};
use crate::words::{self, Category, Language};

const BLOCKS: [&str; 3] = ["top", "body", "bottom"];
/// Nodes of the menu in the footer come behind those of the main menu.
const FOOTER: u32 = 1_000;

fn page_count(size: Size) -> u32 {
    (size.products / 500).clamp(6, 40)
}

fn phrase_count(size: Size) -> u32 {
    (size.products / 5).clamp(40, 3_000)
}

fn page_code(page: u32) -> String {
    let names = ["imprint", "privacy", "delivery", "about-us", "summer", "archive"];
    match names.get(page as usize - 1) {
        Some(name) => (*name).to_owned(),
        None => format!("page-{page}"),
    }
}

pub fn pages(size: Size) -> Vec<Table> {
    let pages = 1..=page_count(size);
    let page = |page: u32| {
        // The fifth is there for a season, the sixth was.
        let (from, until) = match page % 10 {
            5 => (Some("2025-06-01 00:00:00"), Some("2095-09-01 00:00:00")),
            6 => (Some("2019-01-01 00:00:00"), Some("2020-01-01 00:00:00")),
            _ => (None, None),
        };
        let row = Row::new().plain(page).text(page_code(page));
        let row = row.text(if page.is_multiple_of(3) {
            "two-columns"
        } else {
            "plain"
        });
        row.plain(!page.is_multiple_of(13))
            .maybe_text(from)
            .maybe_text(until)
    };
    let stores = pages.clone().flat_map(|page| {
        let shown = STORES
            .into_iter()
            .filter(move |(store, ..)| page % 4 != 0 || *store == 1);
        shown.map(move |(store, ..)| Row::new().plain(page).plain(store))
    });
    let texts = pages.clone().flat_map(|page| {
        LOCALES.map(|(locale, code)| {
            let title = format!("{} ({})", page_code(page), &code[..2]);
            let summary = (page % 2 == 0).then(|| format!("All about {}", page_code(page)));
            Row::new()
                .plain(page)
                .plain(locale)
                .text(title)
                .maybe_text(summary)
        })
    });
    let block = |page: u32, k: u32| (page - 1) * BLOCKS.len() as u32 + k + 1;
    let blocks = pages.clone().flat_map(move |page| {
        (0..).zip(BLOCKS).map(move |(k, placeholder)| {
            let row = Row::new().plain(block(page, k)).plain(page);
            row.text(placeholder).plain(k)
        })
    });
    let block_texts = pages.clone().flat_map(move |page| {
        (0..BLOCKS.len() as u32).flat_map(move |k| {
            [(1, Language::German), (2, Language::English)].map(|(locale, language)| {
                let content =
                    words::description(&mut Random::new(size.seed, "block", block(page, k)), language);
                Row::new().plain(block(page, k)).plain(locale).text(content)
            })
        })
    });
    vec![
        table(
            "page",
            "id, code, template, is_active, valid_from, valid_until",
            pages.map(page),
        ),
        table("page_store", "page_id, store_id", stores),
        table("page_text", "page_id, locale_id, title, summary", texts),
        table("page_block", "id, page_id, placeholder, position", blocks),
        table("page_block_text", "block_id, locale_id, content", block_texts),
    ]
}

pub fn addresses_and_menus(size: Size) -> Vec<Table> {
    let mut tables = addresses(size);
    tables.extend(phrases(size));
    tables.extend(menus(size));
    tables
}

/// The most addresses of one product: one a language, and one that it had before.
const ADDRESSES: u32 = 4;

fn addresses(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    vec![
        of("url", "id, path, locale_id, product_id", product_addresses),
        table(
            "url",
            "id, path, locale_id, category_id",
            category_addresses(size),
        ),
        table("url", "id, path, locale_id, page_id", page_addresses(size)),
        of("redirect", "url_id, to_path, status", redirects),
    ]
}

fn product_address(of: &Product, locale: u32) -> String {
    let language = if locale == 1 {
        Language::German
    } else {
        Language::English
    };
    let name = words::product_name(&mut of.random("name"), of.number, language);
    format!("/{}/{}", &LOCALES[locale as usize - 1].1[..2], words::slug(&name))
}

fn was_renamed(of: &Product) -> bool {
    of.random("renamed").percent(5)
}

fn product_addresses(of: Product) -> Vec<Row> {
    let row = |k: u32, path: String, locale: u32| {
        let row = Row::new().plain(of.id(ADDRESSES, k)).text(path);
        row.plain(locale).plain(of.number)
    };
    let mut rows = vec![
        row(0, product_address(&of, 1), 1),
        row(1, product_address(&of, 2), 2),
    ];
    if was_renamed(&of) {
        rows.push(row(2, format!("/de/alt/{}", of.number), 1));
    }
    rows
}

fn redirects(of: Product) -> Vec<Row> {
    if !was_renamed(&of) {
        return Vec::new();
    }
    let row = Row::new()
        .plain(of.id(ADDRESSES, 2))
        .text(product_address(&of, 1));
    vec![row.plain(301)]
}

/// The first id behind the addresses of products.
fn behind_products(size: Size) -> u64 {
    u64::from(size.products) * u64::from(ADDRESSES) + 1
}

fn category_addresses(size: Size) -> impl Iterator<Item = Row> + Send {
    let first = behind_products(size);
    words::categories().into_iter().flat_map(move |c: Category| {
        LOCALES.map(|(locale, code)| {
            let id = first + u64::from(c.id) * 2 + u64::from(locale) - 1;
            let name = if locale == 1 { &c.german } else { &c.english };
            let path = format!("/{}/c/{}", &code[..2], words::slug(name));
            Row::new().plain(id).text(path).plain(locale).plain(c.id)
        })
    })
}

fn page_addresses(size: Size) -> impl Iterator<Item = Row> + Send {
    let first = behind_products(size) + 1_000;
    (1..=page_count(size)).flat_map(move |page| {
        LOCALES.map(|(locale, code)| {
            let id = first + u64::from(page) * 2 + u64::from(locale) - 1;
            let path = format!("/{}/{}", &code[..2], page_code(page));
            Row::new().plain(id).text(path).plain(locale).plain(page)
        })
    })
}

fn phrases(size: Size) -> Vec<Table> {
    let phrases = 1..=phrase_count(size);
    let name = |phrase: u32| {
        let place = ["cart", "checkout", "product", "account", "search"][phrase as usize % 5];
        let kind = ["button", "title", "hint", "error"][phrase as usize / 5 % 4];
        format!("{place}.{kind}.{phrase}")
    };
    let translations = phrases.clone().flat_map(|phrase| {
        // One in twenty is not translated into English.
        let into = LOCALES
            .into_iter()
            .filter(move |(locale, _)| *locale == 1 || phrase % 20 != 0);
        into.map(move |(locale, code)| {
            let row = Row::new()
                .plain(phrase * 2 + locale - 2)
                .plain(phrase)
                .plain(locale);
            row.text(format!("Word {phrase} ({})", &code[..2]))
        })
    });
    vec![
        table(
            "phrase",
            "id, name, is_active",
            phrases.map(move |phrase| {
                Row::new()
                    .plain(phrase)
                    .text(name(phrase))
                    .plain(phrase % 50 != 0)
            }),
        ),
        table("translation", "id, phrase_id, locale_id, content", translations),
    ]
}

/// The main menu holds the categories, the footer the pages and one address elsewhere.
fn menus(size: Size) -> Vec<Table> {
    let node = "id, navigation_id, parent_id, position, is_active, category_id, page_id, link";
    let main = words::categories().into_iter().map(|c| {
        let row = Row::new().plain(c.id).plain(1).maybe(c.parent).plain(c.position);
        row.plain(c.id != 9).plain(c.id).null().null()
    });
    let footer = (1..=page_count(size)).map(|page| {
        let row = Row::new().plain(FOOTER + page).plain(2).null().plain(page);
        row.plain(true).null().plain(page).null()
    });
    let elsewhere = Row::new().plain(FOOTER).plain(2).null().plain(0);
    let elsewhere = elsewhere.plain(true).null().null().text("https://blog.example/");
    let titles = words::categories().into_iter().flat_map(|c| {
        [(1, &c.german), (2, &c.english)]
            .map(|(locale, name)| Row::new().plain(c.id).plain(locale).text(name))
    });
    let footer_titles = (1..=page_count(size)).flat_map(|page| {
        LOCALES.map(|(locale, _)| {
            Row::new()
                .plain(FOOTER + page)
                .plain(locale)
                .text(page_code(page))
        })
    });
    let blog = LOCALES.map(|(locale, _)| Row::new().plain(FOOTER).plain(locale).text("Blog"));
    vec![
        table(
            "navigation",
            "id, code, is_active",
            ["(1,'MAIN',true)", "(2,'FOOTER',true)"],
        ),
        table("navigation_node", node, main.chain([elsewhere]).chain(footer)),
        table(
            "navigation_node_text",
            "node_id, locale_id, title",
            titles.chain(blog).chain(footer_titles),
        ),
    ]
}
