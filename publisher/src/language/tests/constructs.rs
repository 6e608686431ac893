//! What each construct becomes.

use super::catalogue::{postgres, sqlite};
use super::render::{body, filters, key, sources};
use super::*;
use pubsync_schema::shape::Template;

/// Body and sources of a document over `product`.
pub(super) fn check_product(text: &str, expected_body: &str, expected_sources: &str) {
    check_document("product", text, expected_body, expected_sources);
}

pub(super) fn check_document(root: &str, text: &str, expected_body: &str, expected_sources: &str) {
    let document = good(&document(root, text));
    assert_eq!(body(&document), expected_body, "{text}");
    let all = sources(&document);
    let nodes = all.split_once('\n').map_or("", |(_, nodes)| nodes);
    let expected: Vec<_> = expected_sources
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(nodes, expected.join("\n"), "{text}");
}

#[test]
fn the_example_of_the_language() {
    let document = good(include_str!("product.yaml"));
    assert_eq!(
        sources(&document),
        "\
0 root product
1 via from 0: product_store on product_id = 0.id
2 scope store via 1: store on id = 1.store_id
3 via from 2: store_locale on store_id = 2.id
4 scope locale via 3: locale on id = 3.locale_id
5 scope? text: product_text on product_id = 0.id and locale_id = 4.id
6 node in 0: brand on id = 0.brand_id
7 via from 0: product_category on product_id = 0.id
8 node in 0 via 7: category on id = 7.category_id order 7.position
9 node in 0: price on product_id = 0.id where 9.store_id = 2.id
10 node in 0: image on product_id = 0.id order 10.position limit 20
11 node in 0: review on product_id = 0.id"
    );
    assert_eq!(
        body(&document),
        "{id: 0.id, sku: 0.sku, name: first [5.name, 0.name], attributes: 0.attributes, \
         brand: one 6 {name: 6.name, logo: 6.logo_url}, categories: many 8 {id: 8.id, name: 8.name}, \
         prices: many 9 by 9.currency by 9.kind 9.amount, images: many 10 10.url, reviews: count 11}"
    );
    assert_eq!(key(&document), "product:<2.code>:<4.code>:<0.id>");
    assert_eq!(filters(&document), ["0.is_active = 'true'"]);
    assert_eq!(
        (document.name.as_str(), document.scopes.as_slice()),
        ("product", &[2, 4, 5][..])
    );
    assert_eq!(document.root_id, [0]);
    let targets = document.targets.unwrap();
    let targets: Vec<_> = targets
        .iter()
        .map(|(name, binding)| {
            (
                name.as_str(),
                binding.index.as_ref().and_then(|index| index.fixed()),
            )
        })
        .collect();
    assert_eq!(targets, [("storage", None), ("search", Some("product"))]);
}

#[test]
fn columns_by_every_kind_of_name() {
    check_product("id: id", "{id: 0.id}", "");
    check_product("id: root.id", "{id: 0.id}", "");
    check_product("'null': \"name\"\nn: 'name'", "{null: 0.name, n: 0.name}", "");
    check_product("a: { b: { c: sku } }", "{a: {b: {c: 0.sku}}}", "");
    check_product(
        "r: { many: review, body: { s: stars, up: parent.sku, top: root.id } }",
        "{r: many 1 {s: 1.stars, up: 0.sku, top: 0.id}}",
        "1 node in 0: review on product_id = 0.id",
    );
    check_document(
        "odd",
        "x: '\"a b\"'\ny: 'root.\"c.d\"'",
        "{x: 0.a b, y: 0.c.d}",
        "",
    );
    check_product(
        "i: { many: sales.invoice, body: total }",
        "{i: many 1 1.total}",
        "1 node in 0: invoice on product_id = 0.id",
    );
    check_product(
        "i: { many: public.review, body: stars }",
        "{i: many 1 1.stars}",
        "1 node in 0: review on product_id = 0.id",
    );
}

#[test]
fn parent_is_the_enclosing_row() {
    check_product(
        "b: { one: brand, body: { c: { one: country, body: { c: name, b: parent.name, p: root.name } } } }",
        "{b: one 1 {c: one 2 {c: 2.name, b: 1.name, p: 0.name}}}",
        "1 node in 0: brand on id = 0.brand_id\n2 node in 1: country on id = 1.country_id",
    );
}

#[test]
fn keyword_members_in_plain_objects() {
    check_product("text: sku\none: name", "{text: 0.sku, one: 0.name}", "");
    check_product(
        "o: { body: { text: sku, many: name } }",
        "{o: {text: 0.sku, many: 0.name}}",
        "",
    );
    check_product(
        "o: { body: { body: { text: sku } } }",
        "{o: {body: text 0.sku}}",
        "",
    );
    check_product("o: { body: sku }", "{o: {body: 0.sku}}", "");
    check_product(
        "o: { where: sku, limit: id }",
        "{o: {where: 0.sku, limit: 0.id}}",
        "",
    );
    check_product("body: { id: id }", "{body: {id: 0.id}}", "");
    check_product(
        "r: { many: review, body: { body: { text: id } } }",
        "{r: many 1 {text: 1.id}}",
        "1 node in 0: review on product_id = 0.id",
    );
}

#[test]
fn constants_text_and_first() {
    check_product("x: { text: id }", "{x: text 0.id}", "");
    check_product(
        "x: { value: { a: [1, -2.50, true, null, ~, yes, '3', 0x1, ''], b: { c: d.e } } }",
        r#"{x: value {"a":[1,-2.50,true,null,null,"yes","3","0x1",""],"b":{"c":"d.e"}}}"#,
        "",
    );
    check_product(
        "x: { value: [1e400, 123456789012345678901234567890.10, 1.2.3] }",
        "{x: value [1e400,123456789012345678901234567890.10,\"1.2.3\"]}",
        "",
    );
    check_product(
        "x: { first: [name, root.sku, { value: none }, { one: brand, body: name }] }",
        "{x: first [0.name, 0.sku, value \"none\", one 1 1.name]}",
        "1 node in 0: brand on id = 0.brand_id",
    );
}

#[test]
fn one_by_foreign_key_match_and_junction() {
    check_product(
        "b: { one: brand, body: name }",
        "{b: one 1 1.name}",
        "1 node in 0: brand on id = 0.brand_id",
    );
    check_product(
        "b: { one: brand, where: { name: Acme }, body: { one: country, body: name } }",
        "{b: one 1 one 2 2.name}",
        "1 node in 0: brand on id = 0.brand_id where 1.name = 'Acme'\n2 node in 1: country on id = 1.country_id",
    );
    check_product(
        "i: { one: image, match: { product_id: id }, order: [position, -id], body: url }",
        "{i: one 1 1.url}",
        "1 node in 0: image on product_id = 0.id order 1.position order -1.id limit 1",
    );
    check_product(
        "c: { one: category, via: product_category, order: [\"-via.position\"], body: { n: name, p: via.position } }",
        "{c: one 2 {n: 2.name, p: 1.position}}",
        "1 via from 0: product_category on product_id = 0.id
         2 node in 0 via 1: category on id = 1.category_id order -1.position limit 1",
    );
    check_document(
        "employee",
        "boss: { one: employee, body: name }\nstaff: { many: employee, body: name }",
        "{boss: one 1 1.name, staff: many 2 2.name}",
        "1 node in 0: employee on id = 0.reports_to\n2 node in 0: employee on reports_to = 0.id",
    );
}

#[test]
fn many_joins() {
    check_product(
        "r: { many: related, match: { product_id: id }, body: other_id }",
        "{r: many 1 1.other_id}",
        "1 node in 0: related on product_id = 0.id",
    );
    check_product(
        "r: { many: product, via: { table: related, from: product_id, to: other_id }, body: { n: name, r: via.rank } }",
        "{r: many 2 {n: 2.name, r: 1.rank}}",
        "1 via from 0: related on product_id = 0.id\n2 node in 0 via 1: product on id = 1.other_id",
    );
    check_product(
        "r: { many: product, via: { table: related, to: [product_id] }, body: name }",
        "{r: many 2 2.name}",
        "1 via from 0: related on other_id = 0.id\n2 node in 0 via 1: product on id = 1.product_id",
    );
    check_product(
        "p: { many: price, match: { product_id: parent.id, kind: { value: gross }, currency: root.sku }, limit: 3, body: amount }",
        "{p: many 1 1.amount}",
        "1 node in 0: price on product_id = 0.id and kind = 'gross' and currency = 0.sku limit 3",
    );
    check_product(
        "c: { many: category, via: product_category, by: [via.position, name], where: { via.position: 1 }, body: id }",
        "{c: many 2 by 1.position by 2.name 2.id}",
        "1 via from 0: product_category on product_id = 0.id
         2 node in 0 via 1: category on id = 1.category_id where 1.position = '1'",
    );
    check_product(
        "c: { count: category, via: product_category, where: { name: x } }",
        "{c: count 2}",
        "1 via from 0: product_category on product_id = 0.id
         2 node in 0 via 1: category on id = 1.category_id where 2.name = 'x'",
    );
}

#[test]
fn match_compares_columns_of_one_family() {
    check_product(
        "p: { many: product, match: { created: day, price: id, mood: mood, attributes: attributes }, body: id }",
        "{p: many 1 1.id}",
        "1 node in 0: product on created = 0.day and price = 0.id and mood = 0.mood and attributes = 0.attributes",
    );
}

#[test]
fn composite_keys_join_over_all_columns() {
    let document = |body: &str| {
        good(&format!(
            "document: d\nroot: line\nkey: \"{{order_id}}:{{number}}\"\nbody:\n{}",
            indented(body)
        ))
    };
    let lines = document("e: { many: line_event, body: id }");
    assert_eq!(
        sources(&lines),
        "0 root line\n1 node in 0: line_event on order_id = 0.order_id and number = 0.number"
    );
    assert_eq!(lines.root_id, [0, 1]);
    let tags =
        "t: { many: country, via: { table: line_tag, from: [number, order_id], to: tag_id }, body: name }";
    assert_eq!(
        sources(&document(tags)),
        "0 root line\n1 via from 0: line_tag on order_id = 0.order_id and number = 0.number\n\
         2 node in 0 via 1: country on id = 1.tag_id"
    );
}

#[test]
fn where_takes_constants_null_and_columns() {
    check_product(
        "p: { many: price, where: { kind: 12, currency: null, amount: 1.50, id: +7, store_id: parent.id }, body: id }",
        "{p: many 1 1.id}",
        "1 node in 0: price on product_id = 0.id where 1.kind = '12' and 1.currency is null and 1.amount = '1.50' \
         and 1.id = '7' and 1.store_id = 0.id",
    );
    check_product(
        "p: { many: price, where: { kind: { value: a.b }, currency: 'null', id: { value: null } }, body: id }",
        "{p: many 1 1.id}",
        "1 node in 0: price on product_id = 0.id where 1.kind = 'a.b' and 1.currency = 'null' and 1.id is null",
    );
    let text = "document: d\nroot: product\nkey: \"{id}\"\nwhere: { is_active: false, root.name: null, name: root.sku, \
                created: 2024-01-31T10:00:00.5, token: 01234567-89ab-cdef-0123-456789abcdef, mood: sad, day: 2024-02-29, opens: 08:30 }\n\
                body: { id: id }";
    assert_eq!(
        filters(&good(text)),
        [
            "0.is_active = 'false'",
            "0.name is null",
            "0.name = 0.sku",
            "0.created = '2024-01-31T10:00:00.5'",
            "0.token = '01234567-89ab-cdef-0123-456789abcdef'",
            "0.mood = 'sad'",
            "0.day = '2024-02-29'",
            "0.opens = '08:30'",
        ]
    );
}

fn scoped(each: &str, key: &str) -> String {
    format!(
        "document: d\nroot: product\neach:\n{}key: \"{key}\"\nbody: {{ id: id }}",
        indented(each)
    )
}

#[test]
fn scopes_find_their_joins() {
    for (each, key, expected) in [
        (
            "b: { table: brand }",
            "{id}",
            "1 scope b: brand on id = 0.brand_id",
        ),
        (
            "r: { table: review }",
            "{id}:{r.id}",
            "1 scope r: review on product_id = 0.id",
        ),
        ("s: { table: log }", "{id}:{s.entry}", "1 scope s: log"),
        (
            "s: { table: store, where: { code: DE } }",
            "{id}",
            "1 scope s: store where 1.code = 'DE'",
        ),
        (
            "p: { table: profile }",
            "{id}",
            "1 scope p: profile on product_id = 0.id",
        ),
        (
            "x: { table: image, match: { product_id: id, position: { value: 1 } }, optional: true }",
            "{id}:{x.id}",
            "1 scope? x: image on product_id = 0.id and position = '1'",
        ),
        (
            "b: { table: brand }\nc: { table: country }",
            "{id}",
            "1 scope b: brand on id = 0.brand_id\n2 scope c: country on id = 1.country_id",
        ),
        (
            "s: { table: store, via: product_store }\nt: { table: product_text, match: { product_id: root.id }, where: { locale_id: s.id } }",
            "{id}:{s.id}",
            "1 via from 0: product_store on product_id = 0.id\n2 scope s via 1: store on id = 1.store_id\n\
             3 scope t: product_text on product_id = 0.id where 3.locale_id = 2.id",
        ),
        (
            "s: { table: store, via: product_store, where: { via.product_id: 3, via.store_id: 4 } }",
            "{id}",
            "1 via from 0: product_store on product_id = 0.id\n\
             2 scope s via 1: store on id = 1.store_id where 1.product_id = '3' and 1.store_id = '4'",
        ),
    ] {
        assert_eq!(
            sources(&good(&scoped(each, key))),
            format!("0 root product\n{expected}"),
            "{each}"
        );
    }
}

#[test]
fn identity_by_unique_index() {
    let text = |id: &str, key: &str| {
        format!("document: d\nroot: feed\nid: [{id}]\nkey: \"{{{key}}}\"\nbody: {{ t: title }}")
    };
    assert_eq!(good(&text("sku", "sku")).root_id, [0]);
    let product = "document: d\nroot: product\nid: [sku]\nkey: \"{sku}\"\nbody: { id: id }";
    assert_eq!(good(product).root_id, [1]);
    let line =
        "document: d\nroot: line\nid: [number, order_id]\nkey: \"{number}-{order_id}\"\nbody: { n: note }";
    assert_eq!(good(line).root_id, [1, 0]);
}

#[test]
fn the_rest_of_the_top_level() {
    let rest = "sync: direct\nqueue: slow\ninline_limit: 65536\ntargets: { search: { index: p-1.x_y } }\n";
    let document = good(&format!("{rest}{}", product("id: id")));
    assert_eq!(document.sync, Some(pubsync_schema::shape::SyncMode::Direct));
    assert_eq!(
        (document.queue.as_deref(), document.inline_limit),
        (Some("slow"), Some(65536))
    );
    assert_eq!(
        document.targets.unwrap()[0].1.index,
        Some(Template::text("p-1.x_y"))
    );
    let plain = good(&product("id: id"));
    assert!(
        plain.targets.is_none()
            && plain.sync.is_none()
            && plain.queue.is_none()
            && plain.inline_limit.is_none()
    );
}

#[test]
fn key_patterns() {
    let document = good("document: d\nroot: product\nkey: \"{{d}}:{sku}-{id}\"\nbody: { id: id }");
    assert_eq!(key(&document), "{d}:<0.sku>-<0.id>");
    let pattern = key_pattern(&document);
    assert!(pattern.matches("{d}:a-7") && !pattern.matches("{d}:a") && pattern.prefix() == "{d}:");
    let columns: Vec<_> = pattern.columns().collect();
    assert_eq!(columns, ["root.sku", "root.id"]);
}

#[test]
fn sqlite_names_are_found_in_any_case_and_postgres_names_are_not() {
    let tables = "Product: Id int pk, Name text\nReview: Id int pk, ProductId int -> Product, Stars text";
    let text = "document: d\nroot: product\nkey: \"{ID}\"\nbody: { n: NAME, r: { many: REVIEW, where: { stars: 5, ID: parent.NAME }, body: stars } }";
    // Foreign keys name the column `id` here, the table says `Id`.
    let documents = check(&files(&[text]), &sqlite(tables), &TARGETS).unwrap();
    assert_eq!(
        sources(&documents[0]),
        "0 root Product\n1 node in 0: Review on ProductId = 0.Id where 1.Stars = '5' and 1.Id = 0.Name"
    );
    let problems = check(&files(&[text]), &postgres(tables), &TARGETS).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "a.yaml:2:7: no table \"product\"; did you mean \"Product\"?"
    );
}

#[test]
fn aliases_are_copies() {
    check_product(
        "a: &x { first: [name, sku] }\nb: *x",
        "{a: first [0.name, 0.sku], b: first [0.name, 0.sku]}",
        "",
    );
}

#[test]
fn two_documents_may_share_keys_on_different_targets() {
    let text = |name: &str, target: &str| {
        format!(
            "document: {name}\nroot: product\nkey: \"x:{{id}}\"\ntargets: {{ {target}: }}\nbody: {{ id: id }}"
        )
    };
    assert_eq!(
        documents(&[&text("a", "storage"), &text("b", "search")])
            .unwrap()
            .len(),
        2
    );
}
