//! The shop under torture: its tables, four documents over them, and what each must be by SQL written by hand.

use pubsync_tests::{Expected, World};

/// Products that only the beacons write.
pub const BEACONS: i64 = 64;
pub const FIRST_BEACON: i64 = 1_000_000;
/// Products that cannot be built for a while.
pub const POISONS: i64 = 3;
pub const FIRST_POISON: i64 = 2_000_000;

/// Names, declarations and what they must give.
const DOCUMENTS: [(&str, &str, &str); 4] = [
    (
        "product",
        include_str!("product.yaml"),
        include_str!("product.sql"),
    ),
    ("sku", include_str!("sku.yaml"), include_str!("sku.sql")),
    ("brand", include_str!("brand.yaml"), include_str!("brand.sql")),
    ("order", include_str!("order.yaml"), include_str!("order.sql")),
];

/// How many rows of each root there are at the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub products: i64,
    pub orders: i64,
    pub brands: i64,
}

impl Sizes {
    /// Of so many roots 60 % are products, 35 % orders, 5 % brands.
    pub fn of(roots: i64) -> Self {
        Self {
            products: roots * 60 / 100,
            orders: roots * 35 / 100,
            brands: roots * 5 / 100,
        }
    }
}

pub fn names() -> Vec<&'static str> {
    DOCUMENTS.iter().map(|(name, ..)| *name).collect()
}

/// Makes tables, rows and document files.
pub async fn open(world: &World, sizes: Sizes) {
    let sql = include_str!("tables.sql")
        .replace("$BRANDS", &sizes.brands.to_string())
        .replace("$PRODUCTS", &sizes.products.to_string())
        .replace("$ORDERS", &sizes.orders.to_string())
        .replace("$BEACONS", &BEACONS.to_string());
    world.script(&sql).await;
    for (name, yaml, _) in DOCUMENTS {
        world.document(name, yaml);
    }
}

/// Which declaration of brands is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    First,
    /// With one field more, and fewer products.
    Second,
}

impl Version {
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The file or the query of brands.
    fn of(self, text: &str) -> String {
        let second = [
            ("limit: 3", "limit: 2"),
            ("LIMIT 3", "LIMIT 2"),
            ("  name: name\n", "  name: name\n  label: name\n"),
            ("'name', b.name,", "'name', b.name, 'label', b.name,"),
        ];
        match self {
            Self::First => text.to_owned(),
            Self::Second => second.iter().fold(text.to_owned(), |text, (first, second)| {
                text.replace(first, second)
            }),
        }
    }
}

/// Writes the document file of brands.
pub fn declare(world: &World, version: Version) {
    world.document("brand", &version.of(include_str!("brand.yaml")));
}

/// What must be there now, by document and key.
pub async fn expected(world: &World, version: Version) -> Expected {
    let brand = version.of(include_str!("brand.sql"));
    let queries =
        DOCUMENTS.map(|(name, _, query)| (name, if name == "brand" { brand.as_str() } else { query }));
    world.expected(&queries).await
}
