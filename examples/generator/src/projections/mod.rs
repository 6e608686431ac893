//! The rows of `examples/projections`: offers of one or more items, a twentieth of them bundles.

mod catalogue;
mod offers;

use crate::Size;
use crate::rows::Table;

/// Store, code, currency.
const STORES: [(u32, &str, &str); 3] = [(1, "NORTH", "EUR"), (2, "SOUTH", "EUR"), (3, "ONLINE", "USD")];
const LANGUAGES: [(u32, &str); 3] = [(1, "de"), (2, "en"), (3, "fr")];
const OFFERS_OF_A_BRAND: u32 = 50;

fn brand_count(size: Size) -> u32 {
    (size.products / OFFERS_OF_A_BRAND).max(4)
}

pub fn tables(size: Size) -> Vec<Table> {
    let mut tables = catalogue::tables(size);
    tables.extend(offers::tables(size));
    tables
}
