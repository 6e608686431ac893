//! The rows of `examples/feeds`: texts in typed attribute tables, every eighth product configurable.

mod products;
mod sales;
mod shop;

use crate::Size;
use crate::rows::Table;

/// The default scope, and the views of the websites: id, website, code, name.
const VIEWS: [(u32, Option<u32>, &str, &str); 4] = [
    (0, None, "admin", "Default"),
    (1, Some(1), "base_de", "Deutsch"),
    (2, Some(1), "base_en", "English"),
    (3, Some(2), "outlet_en", "Outlet"),
];
const WEBSITES: [(u32, &str, &str); 2] = [(1, "base", "Main shop"), (2, "outlet", "Outlet")];
const GROUPS: [(u32, &str); 4] = [
    (1, "not-logged-in"),
    (2, "general"),
    (3, "wholesale"),
    (4, "retailer"),
];

pub fn tables(size: Size) -> Vec<Table> {
    let mut tables = shop::tables();
    tables.extend(products::tables(size));
    tables.extend(sales::tables(size));
    tables
}
