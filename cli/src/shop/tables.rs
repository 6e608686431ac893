//! The rows of every table, each as the text of one VALUES item. Pure: no database here.

use pubsync_examples::random::Random;
use pubsync_examples::rows::{Table, quote, table};
use pubsync_examples::words::{self, Language};

use super::Shop;

const STORES: u32 = 3;
const LOCALES: u32 = 2;
const PRODUCTS_OF_A_BRAND: u32 = 50;
const IMAGES: u32 = 5;

/// Store, currency, price level in percent, tax in percent.
const PRICES: [(u32, &str, u32, u32); 4] = [
    (1, "EUR", 100, 19),
    (1, "CHF", 96, 8),
    (2, "EUR", 103, 20),
    (3, "USD", 110, 0),
];

/// All tables, in an order that foreign keys allow.
pub fn all(shop: Shop) -> Vec<Table> {
    let sizes = Sizes {
        brands: (shop.products / PRODUCTS_OF_A_BRAND).max(4),
        departments: words::DEPARTMENTS.len() as u32,
        categories: (words::DEPARTMENTS.len() * (1 + words::SHELVES.len())) as u32,
    };
    let mut tables = around_products(sizes);
    tables.extend(of_products(shop, sizes));
    tables
}

fn around_products(sizes: Sizes) -> Vec<Table> {
    let categories = (1..=sizes.categories).map(move |id| category(id, sizes.departments));
    vec![
        table(
            "store",
            "id, code",
            ["(1,'DE')", "(2,'AT')", "(3,'US')"].map(String::from).into_iter(),
        ),
        table(
            "locale",
            "id, code",
            ["(1,'de_DE')", "(2,'en_US')"].map(String::from).into_iter(),
        ),
        table("store_locale", "store_id, locale_id", store_locales()),
        table("brand", "id, name, logo_url", (1..=sizes.brands).map(brand)),
        table("category", "id, name, parent_id, position", categories),
    ]
}

fn of_products(shop: Shop, sizes: Sizes) -> Vec<Table> {
    let each = move |name, columns, rows: fn(Of) -> Vec<String>| {
        let of = move |product| Of {
            seed: shop.seed,
            product,
            sizes,
        };
        table(
            name,
            columns,
            (1..=shop.products).flat_map(move |product| rows(of(product))),
        )
    };
    let columns = "id, sku, name, description, brand_id, is_active, attributes, created_at";
    vec![
        each("product", columns, product),
        each(
            "product_category",
            "product_id, category_id, position",
            product_categories,
        ),
        each("product_store", "product_id, store_id", product_stores),
        each(
            "product_text",
            "product_id, locale_id, name, description",
            product_texts,
        ),
        each(
            "price",
            "id, product_id, store_id, currency, kind, amount",
            prices,
        ),
        each("image", "id, product_id, url, position", images),
        each("stock", "product_id, quantity", stock),
    ]
}

#[derive(Clone, Copy)]
struct Sizes {
    brands: u32,
    /// Categories without one above them.
    departments: u32,
    /// Departments included.
    categories: u32,
}

/// One product, and what it must know of the shop around it.
struct Of {
    seed: u64,
    product: u32,
    sizes: Sizes,
}

impl Of {
    fn random(&self, name: &str) -> Random {
        Random::new(self.seed, name, self.product)
    }
}

fn store_locales() -> impl Iterator<Item = String> + Send {
    (1..=STORES).flat_map(|store| (1..=LOCALES).map(move |locale| format!("({store},{locale})")))
}

fn brand(id: u32) -> String {
    let names = words::BRANDS.len() as u32;
    let (name, series) = (words::BRANDS[((id - 1) % names) as usize], (id - 1) / names);
    let name = if series == 0 {
        name.to_owned()
    } else {
        format!("{name} {}", series + 1)
    };
    let logo = if id.is_multiple_of(7) {
        "NULL".to_owned()
    } else {
        quote(&format!("https://img.example/brand/{id}.svg"))
    };
    format!("({id},{},{logo})", quote(&name))
}

/// Departments first, then the shelves of each.
fn category(id: u32, departments: u32) -> String {
    if id <= departments {
        return format!(
            "({id},{},NULL,{id})",
            quote(words::DEPARTMENTS[(id - 1) as usize])
        );
    }
    let shelves = words::SHELVES.len() as u32;
    let (department, shelf) = ((id - departments - 1) / shelves, (id - departments - 1) % shelves);
    let name = format!(
        "{}: {}",
        words::DEPARTMENTS[department as usize],
        words::SHELVES[shelf as usize]
    );
    format!("({id},{},{},{})", quote(&name), department + 1, shelf + 1)
}

fn product(of: Of) -> Vec<String> {
    let random = &mut of.random("product");
    let id = of.product;
    let name = words::product_name(&mut of.random("name"), id, Language::English);
    let description = words::description(&mut of.random("description"), Language::English);
    let brand = if random.percent(5) {
        "NULL".to_owned()
    } else {
        (1 + random.below(of.sizes.brands)).to_string()
    };
    let is_active = random.percent(97);
    let attributes = attributes(random);
    let (month, day, hour, minute) = (
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60),
    );
    let created_at = format!("2025-{month:02}-{day:02} {hour:02}:{minute:02}:00");
    let (name, description, attributes) = (quote(&name), quote(&description), quote(&attributes));
    vec![format!(
        "({id},'SKU-{id:07}',{name},{description},{brand},{is_active},{attributes},'{created_at}')"
    )]
}

/// A JSON object of 4 to 6 members.
fn attributes(random: &mut Random) -> String {
    let mut out = format!(
        r#"{{"colour": "{}", "material": "{}", "weight_g": {}, "size_cm": [{}, {}]"#,
        random.pick(&words::COLOURS),
        random.pick(&words::MATERIALS),
        50 + random.below(9_950),
        5 + random.below(195),
        5 + random.below(195),
    );
    if random.percent(50) {
        out.push_str(&format!(r#", "organic": {}"#, random.percent(50)));
    }
    if random.percent(40) {
        out.push_str(&format!(
            r#", "energy_class": "{}""#,
            random.pick(&["A", "B", "C", "D"])
        ));
    }
    out.push('}');
    out
}

/// A shelf, and for one product in seven a second one.
fn product_categories(of: Of) -> Vec<String> {
    let random = &mut of.random("category");
    let shelves = of.sizes.categories - of.sizes.departments;
    let first = random.below(shelves);
    let mut rows = vec![format!("({},{},1)", of.product, of.sizes.departments + 1 + first)];
    if random.percent(14) {
        let second = (first + 1 + random.below(shelves - 1)) % shelves;
        rows.push(format!(
            "({},{},2)",
            of.product,
            of.sizes.departments + 1 + second
        ));
    }
    rows
}

/// The first store sells everything, the others nearly everything.
fn product_stores(of: Of) -> Vec<String> {
    let random = &mut of.random("store");
    (1..=STORES)
        .filter(|store| *store == 1 || random.percent(95))
        .map(|store| format!("({},{store})", of.product))
        .collect()
}

/// German for nearly all, English for those whose own text is not good enough.
fn product_texts(of: Of) -> Vec<String> {
    let random = &mut of.random("text");
    [(1, Language::German, 95), (2, Language::English, 50)]
        .into_iter()
        .filter(|(_, _, chance)| random.percent(*chance))
        .map(|(locale, language, _)| {
            let name = words::product_name(&mut of.random("name"), of.product, language);
            let description = words::description(&mut of.random("translation"), language);
            format!(
                "({},{locale},{},{})",
                of.product,
                quote(&name),
                quote(&description)
            )
        })
        .collect()
}

fn prices(of: Of) -> Vec<String> {
    let cents = 300 + of.random("price").below(49_700);
    let first = (of.product - 1) * PRICES.len() as u32 * 2;
    let mut rows = Vec::new();
    for (i, (store, currency, level, tax)) in (0..).zip(PRICES) {
        let net = cents * level / 100;
        let gross = (net * (100 + tax) + 50) / 100;
        for (k, kind, cents) in [(1, "net", net), (2, "gross", gross)] {
            let (id, amount) = (first + i * 2 + k, format!("{}.{:02}", cents / 100, cents % 100));
            rows.push(format!(
                "({id},{},{store},'{currency}','{kind}',{amount})",
                of.product
            ));
        }
    }
    rows
}

fn images(of: Of) -> Vec<String> {
    let id = of.product;
    let row = |k| {
        format!(
            "({},{id},'https://img.example/product/{id}/{k}.jpg',{k})",
            (id - 1) * IMAGES + k
        )
    };
    (1..=IMAGES).map(row).collect()
}

fn stock(of: Of) -> Vec<String> {
    let random = &mut of.random("stock");
    let quantity = if random.percent(10) {
        0
    } else {
        1 + random.below(500)
    };
    vec![format!("({},{quantity})", of.product)]
}
