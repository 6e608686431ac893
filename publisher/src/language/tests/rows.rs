//! Which rows a construct takes: what conditions, columns through foreign keys and joins become.

use super::catalogue::{postgres, sqlite};
use super::constructs::{check_document, check_product};
use super::render::filters;
use super::*;

#[test]
fn conditions_test_columns_in_many_ways() {
    check_product(
        "r: { many: review, where: { id: [1, +2, root.id], stars: { not: 3 } }, body: id }",
        "{r: many 1 1.id}",
        "1 node in 0: review on product_id = 0.id where 1.id one of ('1', '2', 0.id) and 1.stars none of ('3')",
    );
    check_product(
        "r: { many: review, where: { id: { not: null }, stars: { not: [parent.id, { value: 5 }] } }, body: id }",
        "{r: many 1 1.id}",
        "1 node in 0: review on product_id = 0.id where 1.id is not null and 1.stars none of (0.id, '5')",
    );
    check_product(
        "r: { many: review, where: { id: { gt: 1, lte: 9, not: 5 }, stars: { gte: { value: 2 }, lt: root.price } }, body: id }",
        "{r: many 1 1.id}",
        "1 node in 0: review on product_id = 0.id where 1.id Greater '1' and 1.id LessOrEqual '9' and 1.id none of ('5') \
         and 1.stars GreaterOrEqual '2' and 1.stars Less 0.price",
    );
    let text = "document: d\nroot: product\neach: { s: { table: store, where: { code: [DE, AT], id: { lt: root.id } } } }\n\
                key: \"{id}:{s.id}\"\nwhere: { mood: [sad, null.x], day: { gte: 2024-02-29 }, name: { not: { value: ~ } } }\n\
                body: { id: id }";
    let text = text.replace("null.x", "{ value: null.x }");
    let document = good(&text);
    assert_eq!(
        filters(&document),
        [
            "0.mood one of ('sad', 'null.x')",
            "0.day GreaterOrEqual '2024-02-29'",
            "0.name is not null",
        ]
    );
    assert_eq!(
        super::render::sources(&document),
        "0 root product\n1 scope s: store where 1.code one of ('DE', 'AT') and 1.id Less 0.id"
    );
}

#[test]
fn columns_through_foreign_keys() {
    check_product(
        "b: brand.name\nc: { text: brand.country.name }\nd: brand_id.logo_url\ne: root.brand_id.country_id.name\nf: { first: [brand.name, name] }",
        "{b: 1.name, c: text 2.name, d: 1.logo_url, e: 2.name, f: first [1.name, 0.name]}",
        "1 lookup from 0: brand on id = 0.brand_id
         2 lookup from 1: country on id = 1.country_id",
    );
    // In a node, of its own row, of the junction's, of the enclosing one's.
    check_product(
        "r: { many: review, where: { product.name: { not: parent.brand.name }, stars: { gt: product.price } },
             order: [-product.brand.name], by: [product.sku], body: { a: product.name, b: parent.brand.name } }",
        "{r: many 1 by 2.sku {a: 2.name, b: 3.name}}",
        "1 node in 0: review on product_id = 0.id where 2.name none of (3.name) and 1.stars Greater 2.price order -4.name
         2 lookup from 1: product on id = 1.product_id
         3 lookup from 0: brand on id = 0.brand_id
         4 lookup from 2: brand on id = 2.brand_id",
    );
    check_product(
        "c: { many: category, via: product_category, where: { via.product.sku: x }, order: [via.product.name], body: via.product.id }",
        "{c: many 2 3.id}",
        "1 via from 0: product_category on product_id = 0.id
         2 node in 0 via 1: category on id = 1.category_id where 3.sku = 'x' order 3.name
         3 lookup from 1: product on id = 1.product_id",
    );
    // What a match equals stands in the enclosing row; the lookup comes after the node that asked for it.
    check_product(
        "c: { many: store, match: { code: brand.country.name }, body: id }",
        "{c: many 1 1.id}",
        "1 node in 0: store on code = 3.name
         2 lookup from 0: brand on id = 0.brand_id
         3 lookup from 2: country on id = 2.country_id",
    );
    check_document(
        "sale",
        "a: billing_id.city\nb: shipping_id.city\nc: product.brand.name",
        "{a: 1.city, b: 2.city, c: 4.name}",
        "1 lookup from 0: address on id = 0.billing_id
         2 lookup from 0: address on id = 0.shipping_id
         3 lookup from 0: product on id = 0.product_id
         4 lookup from 3: brand on id = 3.brand_id",
    );
    check_document(
        "line_event",
        "a: line.note\nb: order_id.note",
        "{a: 1.note, b: 1.note}",
        "1 lookup from 0: line on order_id = 0.order_id and number = 0.number",
    );
    check_document(
        "employee",
        "boss: reports_to.employee.name",
        "{boss: 2.name}",
        "1 lookup from 0: employee on id = 0.reports_to\n2 lookup from 1: employee on id = 1.reports_to",
    );
}

#[test]
fn scopes_and_the_root_have_foreign_keys_too() {
    let text = "document: d\nroot: product\nwhere: { brand.country.name: [DE, root.brand.name] }\n\
                each: { b: { table: brand, where: { country.name: country.name } }, r: { table: review, match: { id: b.country.id } } }\n\
                key: \"{id}:{r.id}\"\nbody: { a: b.country.name, c: brand.name }";
    let document = good(text);
    assert_eq!(
        super::render::sources(&document),
        "0 root product\n\
         1 scope b: brand on id = 0.brand_id where 2.name = 2.name\n\
         2 lookup from 1: country on id = 1.country_id\n\
         3 scope r: review on id = 2.id\n\
         4 lookup from 0: brand on id = 0.brand_id\n\
         5 lookup from 4: country on id = 4.country_id"
    );
    assert_eq!(filters(&document), ["5.name one of ('DE', 4.name)"]);
    assert_eq!(super::render::body(&document), "{a: 2.name, c: 4.name}");
}

/// A scope comes before a table, and either name of a foreign key reaches what the other hides.
#[test]
fn names_hide_each_other_in_one_order() {
    let text = "document: d\nroot: product\neach: { brand: { table: store, where: { code: DE } } }\n\
                key: \"{id}\"\nbody: { a: brand.code, b: brand_id.name }";
    let document = good(text);
    assert_eq!(super::render::body(&document), "{a: 1.code, b: 2.name}");
    let tables = "a: id int pk, x int -> b, b int -> c, y int -> b, z int -> d\nb: id int pk, n text\nc: id int pk, m text\n\
                  d: id int pk, o text\ns.e: id int pk, p text, q int -> s.e";
    let names = |root: &str, body: &str| {
        let text = format!("document: d\nroot: {root}\nkey: \"{{id}}\"\nbody: {{ v: {body} }}");
        let documents = check(&files(&[&text]), &postgres(tables), &TARGETS);
        documents
            .map(|documents| {
                super::render::sources(&documents[0])
                    .lines()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join("; ")
            })
            .map_err(|problems| problems[0].to_string())
    };
    // Two foreign keys lead to b: the column b tells its own apart.
    assert_eq!(names("a", "b.m"), Ok("1 lookup from 0: c on id = 0.b".to_owned()));
    assert_eq!(names("a", "z.o"), Ok("1 lookup from 0: d on id = 0.z".to_owned()));
    assert_eq!(
        names("s.e", "s.e.p"),
        Ok("1 lookup from 0: e on id = 0.q".to_owned())
    );
    assert_eq!(
        names("s.e", "q.s.e.p"),
        Ok("1 lookup from 0: e on id = 0.q; 2 lookup from 1: e on id = 1.q".to_owned())
    );
    let tables = "a: id int pk, x int -> b, b int -> c\nb: id int pk, n text\nc: id int pk, m text";
    let text = "document: d\nroot: a\nkey: \"{id}\"\nbody: { v: b.n }";
    let problems = check(&files(&[text]), &postgres(tables), &TARGETS).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "a.yaml:4:12: \"b.n\" can follow 2 foreign keys of \"a\"; write one of: x.n or c.n"
    );
    let problems = check(
        &files(&[text]),
        &sqlite("a: id int pk, b int -> c\nc: code int pk, id int, n text"),
        &TARGETS,
    );
    assert_eq!(
        problems.unwrap_err()[0].to_string(),
        "a.yaml:4:12: \"b.n\" could be of several rows: no key of \"c\" is over id; a unique index makes it one row; \
         { one: c, match: … } takes the first"
    );
}

#[test]
fn rows_that_stand_or_do_not() {
    check_product(
        "r: { many: review, where: { stars: 5, exists: { table: product, where: { is_active: true } }, missing: { table: image, match: { product_id: product_id, id: parent.stars }, where: { position: { gt: root.id } } } }, body: id }",
        "{r: many 1 1.id}",
        "1 node in 0: review on product_id = 0.id where 1.stars = '5' and exists 2 and missing 3
         2 asked from 1: product on id = 1.product_id where 2.is_active = 'true'
         3 asked from 1: image on product_id = 1.product_id and id = 1.stars where 3.position Greater 0.id",
    );
    check_product(
        "r: { count: brand, match: { id: brand_id }, where: { exists: [{ table: country }, { table: product, where: { missing: { table: category, via: product_category, where: { via.position: 1, name: brand.x } } } }] } }"
            .replace("brand.x", "root.brand.name")
            .as_str(),
        "{r: count 1}",
        "1 node in 0: brand on id = 0.brand_id where exists 2 and exists 3
         2 asked from 1: country on id = 1.country_id
         3 asked from 1: product on brand_id = 1.id where missing 5
         4 via from 3: product_category on product_id = 3.id
         5 asked from 3 via 4: category on id = 4.category_id where 4.position = '1' and 5.name = 6.name
         6 lookup from 0: brand on id = 0.brand_id",
    );
    let text = "document: d\nroot: product\nwhere: { exists: { table: review }, missing: { table: price, where: { amount: { lt: root.price } } } }\n\
                each: { s: { table: store, via: product_store, where: { exists: { table: price, match: { store_id: id, product_id: root.id } } } } }\n\
                key: \"{id}:{s.id}\"\nbody: { id: id }";
    let document = good(text);
    assert_eq!(filters(&document), ["exists 4", "missing 5"]);
    assert_eq!(
        super::render::sources(&document),
        "0 root product\n\
         1 via from 0: product_store on product_id = 0.id\n\
         2 scope s via 1: store on id = 1.store_id where exists 3\n\
         3 asked from 2: price on store_id = 2.id and product_id = 0.id\n\
         4 asked from 0: review on product_id = 0.id\n\
         5 asked from 0: price on product_id = 0.id where 5.amount Less 0.price"
    );
}

/// A scalar is what a column of that name equals.
#[test]
fn a_column_may_be_called_exists() {
    let tables = "a: id int pk, exists int, missing text";
    let text =
        "document: d\nroot: a\nkey: \"{id}\"\nwhere: { exists: 1, '\"missing\"': [x] }\nbody: { id: id }";
    let documents = check(&files(&[text]), &postgres(tables), &TARGETS).unwrap();
    assert_eq!(
        filters(&documents[0]),
        ["0.exists = '1'", "0.missing one of ('x')"]
    );
}

#[test]
fn several_hops_lead_along_one_foreign_key_each() {
    check_product(
        "l: { many: locale, via: [product_store, store, store_locale], where: { via.store_id: 7 }, order: [via.locale_id], body: code }",
        "{l: many 4 4.code}",
        "1 via from 0: product_store on product_id = 0.id
         2 via from 1: store on id = 1.store_id
         3 via from 2: store_locale on store_id = 2.id
         4 node in 0 via 3: locale on id = 3.locale_id where 3.store_id = '7' order 3.locale_id",
    );
    // Up, down, and straight back where nothing else leads there.
    check_product(
        "a: { one: country, via: [brand], body: name }\nb: { count: product, via: [brand] }",
        "{a: one 2 2.name, b: count 4}",
        "1 via from 0: brand on id = 0.brand_id
         2 node in 0 via 1: country on id = 1.country_id limit 1
         3 via from 0: brand on id = 0.brand_id
         4 node in 0 via 3: product on brand_id = 3.id",
    );
    check_product(
        "r: { many: product, via: [{ table: related, from: product_id }], where: { exists: { table: address, via: [{ table: sale, to: billing_id }] } }, body: id }",
        "{r: many 2 2.id}",
        "1 via from 0: related on product_id = 0.id
         2 node in 0 via 1: product on id = 1.other_id where exists 4
         3 via from 2: sale on product_id = 2.id
         4 asked from 2 via 3: address on id = 3.billing_id",
    );
    // Columns on either side tell the foreign keys apart, the hop's own first.
    check_document(
        "sale",
        "a: { many: sale, via: [{ table: address, from: shipping_id, to: billing_id }], body: id }",
        "{a: many 2 2.id}",
        "1 via from 0: address on id = 0.shipping_id
         2 node in 0 via 1: sale on billing_id = 1.id",
    );
    check_document(
        "employee",
        "peers: { many: employee, via: [{ table: employee, from: id, to: id }], body: id }\n\
         top: { many: employee, via: [{ table: employee, from: id }], body: id }\n\
         below: { many: employee, via: [{ table: employee, from: reports_to }, { table: employee, from: reports_to, to: id }], body: id }",
        "{peers: many 2 2.id, top: many 4 4.id, below: many 7 7.id}",
        "1 via from 0: employee on id = 0.reports_to
         2 node in 0 via 1: employee on reports_to = 1.id
         3 via from 0: employee on id = 0.reports_to
         4 node in 0 via 3: employee on id = 3.reports_to
         5 via from 0: employee on reports_to = 0.id
         6 via from 5: employee on reports_to = 5.id
         7 node in 0 via 6: employee on reports_to = 6.id",
    );
    let text = "document: d\nroot: product\neach: { b: { table: country, via: [brand] }, l: { table: locale, via: [product_store, store, store_locale] } }\n\
                key: \"{id}:{l.id}\"\nbody: { id: id }";
    assert_eq!(
        super::render::sources(&good(text)),
        "0 root product\n\
         1 via from 0: brand on id = 0.brand_id\n\
         2 scope b via 1: country on id = 1.country_id\n\
         3 via from 0: product_store on product_id = 0.id\n\
         4 via from 3: store on id = 3.store_id\n\
         5 via from 4: store_locale on store_id = 4.id\n\
         6 scope l via 5: locale on id = 5.locale_id"
    );
}
