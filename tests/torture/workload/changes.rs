//! Statements of the application: 70 % updates, 15 % inserts, 10 % deletes, 5 % deleted and made again. Half of the writes to
//! products go to one product in a hundred.

use std::sync::atomic::{AtomicI64, Ordering};

use pubsync_tests::Random;

use crate::shop::Sizes;

/// Makes the statements of one session.
pub(super) struct Changes {
    pub(super) random: Random,
    sizes: Sizes,
}

impl Changes {
    pub(super) fn new(random: Random, sizes: Sizes) -> Self {
        Self { random, sizes }
    }

    /// A kind and its statement. A calm one spares the rows that all sessions want.
    pub(super) fn next(&mut self, stamp: i64, ids: &AtomicI64, calm: bool) -> (&'static str, String) {
        match self.random.up_to(100) {
            1..=70 => self.update(stamp, calm),
            71..=85 => self.insert(stamp, ids),
            86..=95 => self.delete(calm),
            _ => self.again(stamp, calm),
        }
    }

    fn update(&mut self, stamp: i64, calm: bool) -> (&'static str, String) {
        let product = self.product(calm);
        match self.random.up_to(100) {
            1..=25 => {
                let (big, price) = (self.big(), self.random.up_to(1_000_000));
                let sql = format!(
                    "UPDATE product SET stamp = {stamp}, big = {big}, price = {price} / 100.0 WHERE id = {product}"
                );
                ("product edited", sql)
            }
            26..=35 => {
                let notes = self.notes();
                let sql = format!("UPDATE product SET stamp = {stamp}, notes = {notes} WHERE id = {product}");
                ("notes of every length", sql)
            }
            36..=45 => {
                let sku = self.sku();
                let sql = format!("UPDATE product SET stamp = {stamp}, sku = {sku} WHERE id = {product}");
                ("key changed", sql)
            }
            46..=60 => {
                let (name, locale) = (self.words(), self.random.up_to(2));
                let sql = format!(
                    "INSERT INTO product_text SELECT id, {locale}, {name}, {stamp} FROM product WHERE id = {product} \
                     ON CONFLICT (product_id, locale_id) DO UPDATE SET name = excluded.name, stamp = excluded.stamp"
                );
                ("text written", sql)
            }
            61..=70 => {
                let sql = format!("UPDATE stock SET amount = amount + 1 WHERE product_id = {product}");
                ("stock counted", sql)
            }
            71..=78 => ("child moved", self.moved(product)),
            79..=84 => {
                let brand = self.random.up_to(self.sizes.brands.unsigned_abs());
                let sql =
                    format!("UPDATE product SET stamp = {stamp}, brand_id = {brand} WHERE id = {product}");
                ("product to another brand", sql)
            }
            85..=86 => {
                let (brand, name) = (self.random.up_to(self.sizes.brands.unsigned_abs()), self.words());
                let sql = format!("UPDATE brand SET stamp = {stamp}, name = {name} WHERE id = {brand}");
                ("brand renamed", sql)
            }
            87 => {
                let (category, name) = (self.random.up_to(40), self.words());
                (
                    "category renamed",
                    format!("UPDATE category SET name = {name} WHERE id = {category}"),
                )
            }
            _ => {
                let (order, number) = (self.order(), self.words());
                let sql = format!("UPDATE orders SET stamp = {stamp}, number = {number} WHERE id = {order}");
                ("order edited", sql)
            }
        }
    }

    /// A child leaves its parent for another one.
    fn moved(&mut self, product: u64) -> String {
        let order = self.order();
        match self.random.up_to(3) {
            1 => format!(
                "UPDATE stock SET product_id = {product} WHERE id = {} \
                 AND EXISTS (SELECT 1 FROM product WHERE id = {product})",
                self.product(true) * 2
            ),
            2 => format!(
                "UPDATE line SET order_id = {order} WHERE id = {} AND EXISTS (SELECT 1 FROM orders WHERE id = {order})",
                self.order() * 3
            ),
            _ => format!(
                "UPDATE product_category SET category_id = 1 + (category_id + 17) % 40 WHERE product_id = {product} \
                 AND position = 1"
            ),
        }
    }

    fn insert(&mut self, stamp: i64, ids: &AtomicI64) -> (&'static str, String) {
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let (product, order) = (self.product(false), self.order());
        match self.random.up_to(4) {
            1 => ("new product", self.product_row(&id.to_string(), stamp)),
            2 => {
                let sql = format!("INSERT INTO stock SELECT {id}, id, 5 FROM product WHERE id = {product}");
                ("new stock", sql)
            }
            3 => {
                let number = self.words();
                let sql = format!(
                    "WITH o AS (INSERT INTO orders VALUES ({id}, {number}, {stamp}) RETURNING id) \
                     INSERT INTO line SELECT {id}, o.id, p.id, 7 FROM o, product p WHERE p.id = {product}"
                );
                ("new order", sql)
            }
            _ => {
                let sql = format!("INSERT INTO line SELECT {id}, id, NULL, 3 FROM orders WHERE id = {order}");
                ("new line", sql)
            }
        }
    }

    fn delete(&mut self, calm: bool) -> (&'static str, String) {
        // What was inserted lately goes as well, so that the shop does not grow for ever.
        match self.random.up_to(4) {
            1 => {
                let product = self.product(true);
                (
                    "product deleted",
                    format!("DELETE FROM product WHERE id = {product}"),
                )
            }
            2 => {
                let order = self.order();
                ("order deleted", format!("DELETE FROM orders WHERE id = {order}"))
            }
            3 => {
                let product = self.product(calm);
                (
                    "children deleted",
                    format!("DELETE FROM stock WHERE product_id = {product} AND amount % 3 = 0"),
                )
            }
            _ => {
                let newest =
                    "SELECT id FROM product WHERE id >= 10000000 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
                (
                    "new product deleted",
                    format!("DELETE FROM product WHERE id IN ({newest})"),
                )
            }
        }
    }

    /// Gone and there again in one transaction, in one statement sent as two.
    fn again(&mut self, stamp: i64, calm: bool) -> (&'static str, String) {
        if self.random.one_in(2) {
            let product = self.product(calm);
            let row = self.product_row(&product.to_string(), stamp);
            return (
                "product deleted and made again",
                format!("DELETE FROM product WHERE id = {product}; {row}"),
            );
        }
        let (order, number) = (self.order(), self.words());
        let sql = format!(
            "DELETE FROM orders WHERE id = {order}; INSERT INTO orders VALUES ({order}, {number}, {stamp})"
        );
        ("order deleted and made again", sql)
    }

    fn product_row(&mut self, id: &str, stamp: i64) -> String {
        let (sku, big, notes) = (self.sku(), self.big(), self.notes());
        let brand = self.random.up_to(self.sizes.brands.unsigned_abs());
        format!("INSERT INTO product VALUES ({id}, {sku}, {brand}, 9.90, {big}, {notes}, {stamp})")
    }

    fn product(&mut self, calm: bool) -> u64 {
        let all = self.sizes.products.unsigned_abs();
        if !calm && self.random.one_in(2) {
            self.random.up_to((all / 100).max(1))
        } else {
            self.random.up_to(all)
        }
    }

    fn order(&mut self) -> u64 {
        self.random.up_to(self.sizes.orders.unsigned_abs())
    }

    /// Few enough to be taken now and then, with what breaks careless encoding.
    fn sku(&mut self) -> String {
        let odd = [
            "S-", "it''s ", "a:b", "{x}", "100%", "%3A", "\"q\"", "back\\", "😀", "日本 ",
        ];
        format!("'{}{}'", self.random.pick(&odd), self.random.up_to(5_000))
    }

    fn words(&mut self) -> String {
        let odd = [
            "plain",
            "it''s",
            "\"quoted\"",
            "back\\slash",
            "Æøå 日本",
            "a\nb\tc",
            "😀",
            "{brace}: [x]",
            "<b>&amp;",
            "\u{1}\u{7f}",
            "\"stamp\":0",
        ];
        format!("'{} {}'", self.random.pick(&odd), self.random.up_to(1_000_000))
    }

    fn big(&mut self) -> String {
        let odd = [
            "9007199254740993",
            "9223372036854775807",
            "(-9223372036854775807 - 1)",
            "0",
            "NULL",
        ];
        self.random.pick(&odd).to_owned()
    }

    /// From no byte to some 100 KB, mostly short.
    fn notes(&mut self) -> String {
        match self.random.up_to(20) {
            1 => "''".to_owned(),
            2 => "NULL".to_owned(),
            3 => format!("repeat('0123456789abcdef', {})", self.random.up_to(6_400)),
            4..=6 => format!("repeat('x', {})", self.random.up_to(4_000)),
            _ => self.words(),
        }
    }
}
