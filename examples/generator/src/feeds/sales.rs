//! Prices, stock and orders.

use super::WEBSITES;
use crate::Size;
use crate::random::Random;
use crate::rows::{Product, Row, Table, of_products, table};

const DISCOUNTS: u32 = 4;
const LINES: u32 = 4;

pub fn tables(size: Size) -> Vec<Table> {
    let of = |name, columns, rows| of_products(size, name, columns, rows);
    let mut tables = vec![
        of("price", "product_id, website_id, regular", prices),
        of(
            "price_discount",
            "id, product_id, website_id, customer_group_id, kind, amount, percent",
            discounts,
        ),
        of(
            "price_tier",
            "product_id, website_id, customer_group_id, quantity, amount",
            tiers,
        ),
        of(
            "stock_item",
            "stock_id, product_id, quantity, threshold, is_managed",
            stock,
        ),
    ];
    tables.extend(orders(size));
    tables
}

fn cents(of: &Product) -> u32 {
    300 + of.random("price").below(49_700)
}

/// Cheaper in the outlet. A few have no price there, and so no price feed.
fn prices(of: Product) -> Vec<Row> {
    let priced = WEBSITES
        .into_iter()
        .filter(|(website, ..)| *website == 1 || !of.number.is_multiple_of(40));
    priced
        .map(|(website, ..)| {
            let cents = if website == 1 {
                cents(&of)
            } else {
                cents(&of) * 7 / 10
            };
            Row::new().plain(of.number).plain(website).cents(cents)
        })
        .collect()
}

fn discounts(of: Product) -> Vec<Row> {
    let random = &mut of.random("discount");
    let mut rows = Vec::new();
    let row = |k| Row::new().plain(of.id(DISCOUNTS, k)).plain(of.number).plain(1);
    if random.percent(15) {
        rows.push(row(0).null().text("special").cents(cents(&of) * 9 / 10).null());
    }
    if random.percent(10) {
        rows.push(row(1).plain(3).text("rule").null().plain("12.50"));
    }
    rows
}

/// For wholesalers and retailers, of one product in four.
fn tiers(of: Product) -> Vec<Row> {
    if !of.random("tier").percent(25) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for group in [3, 4] {
        for (quantity, percent) in [(10, 95), (100, 85)] {
            let row = Row::new().plain(of.number).plain(1).plain(group);
            rows.push(row.plain(quantity).cents(cents(&of) * percent / 100));
        }
    }
    rows
}

fn stock(of: Product) -> Vec<Row> {
    let random = &mut of.random("stock");
    let mut rows = Vec::new();
    for (stock, chance) in [(1, 100), (2, 60)] {
        if random.percent(chance) {
            let quantity = if random.percent(10) {
                0
            } else {
                1 + random.below(300)
            };
            let row = Row::new().plain(stock).plain(of.number).plain(quantity);
            rows.push(row.plain(5).plain(!random.percent(5)));
        }
    }
    rows
}

/// One order for every second product.
fn orders(size: Size) -> Vec<Table> {
    let count = (size.products / 2).max(20);
    let random = move |order| Random::new(size.seed, "order", order);
    let order = move |order: u32| {
        let random = &mut random(order);
        let website = 1 + u32::from(random.percent(20));
        let status = *random.pick(&["pending", "processing", "complete", "closed"]);
        let day = format!(
            "2025-{:02}-{:02} {:02}:30:00",
            1 + random.below(12),
            1 + random.below(28),
            random.below(24)
        );
        let row = Row::new()
            .plain(order)
            .text(format!("{}", 100_000_000 + u64::from(order)));
        row.plain(website).text(status).text(day)
    };
    let lines = (1..=count).flat_map(move |order| {
        let random = &mut Random::new(size.seed, "lines", order);
        let count = 1 + random.below(LINES);
        let line = |k| {
            let of = Product {
                number: 1 + random.below(size.products),
                size,
            };
            let quantity = 1 + random.below(3);
            let id = (u64::from(order) - 1) * u64::from(LINES) + 1 + u64::from(k);
            let row = Row::new().plain(id).plain(order);
            let row = row.text(format!("{}-MB{:02}", of.number, of.number % 97));
            row.plain(quantity).cents(quantity * cents(&of))
        };
        (0..count).map(line).collect::<Vec<_>>()
    });
    vec![
        table(
            "sales_order",
            "id, number, website_id, status, placed_at",
            (1..=count).map(order),
        ),
        table(
            "sales_order_line",
            "id, order_id, sku, quantity, row_total",
            lines,
        ),
    ]
}
