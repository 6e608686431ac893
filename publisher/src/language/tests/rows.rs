//! Which rows a construct takes: what conditions, columns through foreign keys and joins become.

use super::constructs::check_product;
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
