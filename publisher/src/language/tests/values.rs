//! Constructs that make one value of several.

use super::constructs::{check_document, check_product};

#[test]
fn aggregates_take_a_column_with_its_table() {
    for keyword in ["sum", "avg", "min", "max"] {
        check_product(
            &format!("r: {{ {keyword}: review.stars, where: {{ stars: 5 }} }}"),
            &format!("{{r: {keyword} 1 1.stars}}"),
            "1 node in 0: review on product_id = 0.id where 1.stars = '5'",
        );
    }
    check_product(
        "r: { all: product.is_active, via: { table: related, from: product_id, to: other_id } }",
        "{r: all 2 2.is_active}",
        "1 via from 0: related on product_id = 0.id\n2 node in 0 via 1: product on id = 1.other_id",
    );
    check_product(
        "r: { any: product.is_active, match: { brand_id: brand_id } }",
        "{r: any 1 1.is_active}",
        "1 node in 0: product on brand_id = 0.brand_id",
    );
    check_product(
        "a: { sum: sales.invoice.total }\nb: { max: '\"review\".\"stars\"' }",
        "{a: sum 1 1.total, b: max 2 2.stars}",
        "1 node in 0: invoice on product_id = 0.id\n2 node in 0: review on product_id = 0.id",
    );
    check_product(
        "a: { min: product.mood, match: { id: id } }\nb: { max: product.created, match: { id: id } }",
        "{a: min 1 1.mood, b: max 2 2.created}",
        "1 node in 0: product on id = 0.id\n2 node in 0: product on id = 0.id",
    );
}

#[test]
fn lists_merge_flat_and_distinct() {
    check_product(
        "a: [name, { value: 1 }, { count: review }, [sku], { x: id }]",
        "{a: [0.name, value 1, count 1, [0.sku], {x: 0.id}]}",
        "1 node in 0: review on product_id = 0.id",
    );
    check_product("a: []", "{a: []}", "");
    check_product(
        "a: { merge: [attributes, { x: id }, { first: [attributes, { value: {} }] }] }",
        "{a: merge [0.attributes, {x: 0.id}, first [0.attributes, value {}]]}",
        "",
    );
    check_product(
        "a: { merge: [{ many: review, body: stars }, [id], { value: null }, attributes] }",
        "{a: merge [many 1 1.stars, [0.id], value null, 0.attributes]}",
        "1 node in 0: review on product_id = 0.id",
    );
    check_product(
        "a: { many: review, flat: true, distinct: true, body: [stars] }\nb: { many: review, distinct: true, flat: false, body: stars }",
        "{a: many 1 flat distinct [1.stars], b: many 2 distinct 2.stars}",
        "1 node in 0: review on product_id = 0.id\n2 node in 0: review on product_id = 0.id",
    );
}

#[test]
fn expressions_name_their_columns() {
    check_product(
        "a: { sql: \"lower({sku}) || '{{}}' || {root.name}\" }\nb: { many: review, body: { sql: '{stars} + {parent.id}' } }",
        "{a: sql lower(<0.sku>) || '{}' || <0.name>, b: many 1 sql <1.stars> + <0.id>}",
        "1 node in 0: review on product_id = 0.id",
    );
    check_product("a: { sql: 5 }", "{a: sql 5}", "");
}

#[test]
fn ancestors_and_trees() {
    check_document(
        "category",
        "a: { ancestors: category, parent: parent_id, body: { n: name, of: parent.name } }",
        "{a: ancestors 1 {n: 1.name, of: 0.name}}",
        "1 node in 0: category on id = 0.parent_id up by parent_id = id",
    );
    check_product(
        "a: { ancestors: category, parent: [parent_id], match: { id: brand_id, name: { value: x } }, body: name }",
        "{a: ancestors 1 1.name}",
        "1 node in 0: category on id = 0.brand_id and name = 'x' up by parent_id = id limit 1",
    );
    check_document(
        "category",
        "a: { tree: category, parent: parent_id, where: { name: x }, order: [-name], body: { n: name } }",
        "{a: tree 1 {n: 1.name} below a}",
        "1 node in 0: category on parent_id = 0.id where 1.name = 'x' order -1.name down by parent_id = id",
    );
    check_product(
        "o: { first: [{ tree: category, parent: parent_id, start: { where: { id: root.brand_id, parent_id: null } }, body: { body: { n: name } } }] }",
        "{o: first [tree 1 {n: 1.name} below o]}",
        "1 node in 0: category on id = 0.brand_id down by parent_id = id start 1.parent_id is null",
    );
    // Without a foreign key the primary key is named.
    check_product(
        "a: { tree: price, parent: store_id, start: { where: { product_id: parent.id } }, body: { b: { c: amount } } }",
        "{a: tree 1 {b: {c: 1.amount}} below a}",
        "1 node in 0: price on product_id = 0.id down by store_id = id",
    );
}
