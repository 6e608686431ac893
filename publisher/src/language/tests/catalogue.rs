//! Catalogues in a few lines: `product: id int pk, name text?, brand_id int? -> brand, unique(sku, store_id)`.
//! A type with `?` may be null; `-> table` is a foreign key to the column `id`; `pk(…)`, `unique(…)` and
//! `fk(a b -> table c d)` are over several columns.

use std::sync::Arc;

use crate::catalogue::{Catalogue, Column, ColumnKind, ForeignKey, Table};

/// What most tests are about.
pub fn shop() -> Catalogue {
    postgres(
        "product: id int pk, sku text, name text?, attributes jsonb?, price numeric?, is_active bool, brand_id int? -> brand, created timestamp, token uuid, mood enum, day date, photo bytea, opens time, unique(sku)
         brand: id int pk, name text, logo_url text?, country_id int? -> country
         country: id int pk, name text
         category: id int pk, name text, parent_id int? -> category
         product_category: product_id int -> product, category_id int -> category, position int, pk(product_id category_id)
         related: product_id int -> product, other_id int -> product, rank int, pk(product_id other_id)
         price: id int pk, product_id int -> product, store_id int -> store, currency text, kind text, amount numeric
         image: id int pk, product_id int -> product, url text, position int
         review: id int pk, product_id int -> product, stars int
         store: id int pk, code text, unique(code)
         locale: id int pk, code text, unique(code)
         product_store: product_id int -> product, store_id int -> store, pk(product_id store_id)
         store_locale: store_id int -> store, locale_id int -> locale, pk(store_id locale_id)
         product_text: id int pk, product_id int -> product, locale_id int -> locale, name text?, unique(product_id locale_id)
         employee: id int pk, name text, reports_to int? -> employee
         address: id int pk, city text
         sale: id int pk, billing_id int -> address, shipping_id int -> address, product_id int? -> product
         profile: product_id int pk -> product, text text
         line: order_id int, number int, note text?, pk(order_id number)
         line_event: id int pk, order_id int, number int, fk(order_id number -> line order_id number)
         line_tag: order_id int, number int, tag_id int -> country, fk(order_id number -> line order_id number)
         feed: sku text, ean text, store_id int?, title text, unique(sku), unique(ean store_id)
         log: entry text
         sales.invoice: id int pk, total numeric, product_id int -> product
         odd: id int pk, a b text, c.d text, text text, body text, o oid, net inet",
    )
}

pub fn postgres(text: &str) -> Catalogue {
    catalogue(text, Some("public"))
}

pub fn sqlite(text: &str) -> Catalogue {
    catalogue(text, None)
}

fn catalogue(text: &str, schema: Option<&str>) -> Catalogue {
    let tables = text.lines().map(|line| {
        let (key, columns) = line.trim().split_once(": ").unwrap();
        let (schema, name) = match key.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (schema, key),
        };
        (key.to_owned(), Arc::new(table(schema, name, columns)))
    });
    Catalogue {
        tables: tables.collect(),
        statements: std::collections::BTreeMap::new(),
    }
}

fn table(schema: Option<&str>, name: &str, text: &str) -> Table {
    let mut table = Table {
        schema: schema.map(ToOwned::to_owned),
        name: name.to_owned(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
    };
    for item in text.split(", ") {
        match item.trim_end_matches(')').split_once('(') {
            Some(("pk", columns)) => table.primary_key = indexes(&table, columns),
            Some(("unique", columns)) => {
                let columns = indexes(&table, columns);
                table.unique.push(columns);
            }
            Some(("fk", text)) => {
                let (columns, named) = text.split_once(" -> ").unwrap();
                let (named, references) = named.split_once(' ').unwrap();
                let columns = indexes(&table, columns);
                table.foreign_keys.push(foreign_key(columns, named, references));
            }
            _ => column(&mut table, item),
        }
    }
    table
}

fn column(table: &mut Table, text: &str) {
    let (text, named) = match text.split_once(" -> ") {
        Some((text, named)) => (text, Some(named)),
        None => (text, None),
    };
    let index = table.columns.len();
    let (text, key) = text
        .strip_suffix(" pk")
        .map_or((text, false), |text| (text, true));
    if key {
        table.primary_key.push(index);
    }
    if let Some(named) = named {
        table.foreign_keys.push(foreign_key(vec![index], named, "id"));
    }
    let (name, sql_type) = text.rsplit_once(' ').unwrap();
    let bare = sql_type.trim_end_matches('?');
    table.columns.push(Column {
        name: name.to_owned(),
        sql_type: bare.to_owned(),
        kind: kind(bare),
        nullable: bare != sql_type,
    });
}

fn foreign_key(columns: Vec<usize>, table: &str, references: &str) -> ForeignKey {
    let references = references.split(' ').map(ToOwned::to_owned).collect();
    ForeignKey {
        columns,
        table: table.to_owned(),
        references,
    }
}

fn indexes(table: &Table, columns: &str) -> Vec<usize> {
    columns
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| table.column(name).unwrap())
        .collect()
}

fn kind(sql_type: &str) -> ColumnKind {
    match sql_type {
        "int" | "oid" => ColumnKind::Integer,
        "bool" => ColumnKind::Boolean,
        "numeric" => ColumnKind::Numeric { scale: Some(2) },
        "text" => ColumnKind::Text,
        "uuid" => ColumnKind::Uuid,
        "enum" => ColumnKind::Enum,
        "date" => ColumnKind::Date,
        "timestamp" => ColumnKind::Timestamp,
        "time" => ColumnKind::Time,
        "json" | "jsonb" => ColumnKind::Json,
        "bytea" => ColumnKind::Bytes,
        "inet" => ColumnKind::Other,
        other => panic!("no type {other}"),
    }
}
