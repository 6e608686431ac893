//! The rows of `examples/storefront`: per product 1.4 variants, 9 prices, 8 images, two texts.

mod content;
mod offers;
mod products;
mod shop;

use crate::Size;
use crate::rows::Table;

const LOCALES: [(u32, &str); 2] = [(1, "de_DE"), (2, "en_US")];

/// Store, code, name, default currency.
const STORES: [(u32, &str, &str, u32); 3] = [
    (1, "de", "Germany", 1),
    (2, "at", "Austria", 1),
    (3, "us", "United States", 3),
];

pub fn tables(size: Size) -> Vec<Table> {
    let mut tables = shop::tables();
    tables.extend(content::pages(size));
    tables.extend(products::tables(size));
    tables.extend(offers::tables(size));
    tables.extend(content::addresses_and_menus(size));
    tables
}
