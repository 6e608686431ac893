//! Prices and stock.

use super::products::{VARIANTS, variant_count};
use crate::Size;
use crate::rows::{Product, Row, Table, of_products};

/// The most prices of one product; a power of two, so that ids are easily read.
const PRICES: u32 = 64;
const WAREHOUSES: u32 = 3;

/// Store, currency, price level in percent, tax in percent.
const LEVELS: [(u32, u32, u32, u32); 4] = [(1, 1, 100, 19), (1, 2, 96, 8), (2, 1, 103, 20), (3, 3, 110, 0)];

pub fn tables(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    vec![
        of(
            "price",
            "id, product_id, variant_id, store_id, currency_id, price_kind_id, mode, amount",
            price_rows,
        ),
        of("price_volume", "price_id, quantity, amount", volumes),
        of(
            "stock",
            "id, variant_id, warehouse_id, quantity, is_endless",
            stock,
        ),
    ]
}

struct Price {
    variant: Option<u64>,
    store: u32,
    currency: u32,
    kind: u32,
    mode: &'static str,
    cents: u32,
}

/// Eight of the product; the gross ones once more where it was dearer before; those of variants that cost more.
fn prices(of: &Product) -> Vec<Price> {
    let random = &mut of.random("price");
    let cents = 300 + random.below(49_700);
    let was_dearer = random.percent(25);
    let mut all = Vec::new();
    for (store, currency, level, tax) in LEVELS {
        let net = cents * level / 100;
        let gross = (net * (100 + tax) + 50) / 100;
        let mut push = |kind, mode, cents| {
            all.push(Price {
                variant: None,
                store,
                currency,
                kind,
                mode,
                cents,
            });
        };
        push(1, "net", net);
        push(1, "gross", gross);
        if was_dearer {
            push(2, "gross", gross + gross / 5);
        }
    }
    for k in 1..variant_count(of) {
        if random.percent(30) {
            let dearer = cents + 100 * (1 + random.below(20));
            all.extend(LEVELS.map(|(store, currency, level, tax)| Price {
                variant: Some(of.id(VARIANTS, k)),
                store,
                currency,
                kind: 1,
                mode: "gross",
                cents: (dearer * level / 100 * (100 + tax) + 50) / 100,
            }));
        }
    }
    all.truncate(PRICES as usize);
    all
}

fn price_rows(of: Product) -> Vec<Row> {
    let row = |(k, price): (u32, Price)| {
        let row = Row::new().plain(of.id(PRICES, k)).plain(of.number);
        let row = row.maybe(price.variant).plain(price.store).plain(price.currency);
        row.plain(price.kind).text(price.mode).cents(price.cents)
    };
    (0..).zip(prices(&of)).map(row).collect()
}

/// One product in ten is cheaper from 10 and from 50 pieces on.
fn volumes(of: Product) -> Vec<Row> {
    if !of.random("volume").percent(10) {
        return Vec::new();
    }
    let has = |price: &Price| price.kind == 1 && price.mode == "gross";
    let with = (0..).zip(prices(&of)).filter(|(_, price)| has(price));
    let rows = with.flat_map(|(k, price)| {
        let id = of.id(PRICES, k);
        [(10, 95), (50, 88)].map(move |(quantity, percent)| {
            let row = Row::new().plain(id).plain(quantity);
            row.cents(price.cents * percent / 100)
        })
    });
    rows.collect()
}

/// Of each variant in one to three warehouses; one in ten is sold out, one in fifty never.
fn stock(of: Product) -> Vec<Row> {
    let random = &mut of.random("stock");
    let mut rows = Vec::new();
    for k in 0..variant_count(&of) {
        for warehouse in 1..=WAREHOUSES {
            if warehouse == 1 || random.percent(50) {
                let quantity = if random.percent(10) {
                    0
                } else {
                    1 + random.below(500)
                };
                let id = of.id(VARIANTS * WAREHOUSES, k * WAREHOUSES + warehouse - 1);
                let row = Row::new().plain(id).plain(of.id(VARIANTS, k)).plain(warehouse);
                rows.push(row.plain(quantity).plain(random.percent(2)));
            }
        }
    }
    rows
}
