//! Names and descriptions of products, in two languages.

use crate::random::Random;

/// Letters after which a description ends with its sentence: about 500 in the mean.
const DESCRIPTION: usize = 460;

pub const BRANDS: [&str; 20] = [
    "Nordkamm", "Talwind", "Hearth", "O'Hara", "Kiesel", "Lumen", "Arvid", "Brüning", "Castell", "Dorée",
    "Elm", "Fjell", "Granit", "Halden", "Ibex", "Juniper", "Karst", "Linde", "Meridian", "Ostwind",
];

pub const DEPARTMENTS: [&str; 8] = [
    "Outdoor",
    "Kitchen",
    "Office",
    "Garden",
    "Bath",
    "Living room",
    "Workshop",
    "Travel",
];

/// Below every department.
pub const SHELVES: [&str; 4] = ["New", "Classics", "Accessories", "Care & repair"];

pub const COLOURS: [&str; 8] = [
    "black",
    "white",
    "sand",
    "forest green",
    "navy",
    "oak",
    "brick",
    "slate",
];

pub const MATERIALS: [&str; 6] = ["steel", "beech", "linen", "wool", "stoneware", "aluminium"];

/// English and German.
const KINDS: [(&str, &str); 6] = [
    ("Light", "Leichte"),
    ("Folding", "Faltbare"),
    ("Large", "Große"),
    ("Small", "Kleine"),
    ("Weatherproof", "Wetterfeste"),
    ("Hand-made", "Handgemachte"),
];

/// English and German; feminine, so that the kinds fit.
const THINGS: [(&str, &str); 16] = [
    ("lamp", "Lampe"),
    ("pan", "Pfanne"),
    ("cup", "Tasse"),
    ("bag", "Tasche"),
    ("blanket", "Decke"),
    ("bench", "Bank"),
    ("watering can", "Gießkanne"),
    ("box", "Kiste"),
    ("vase", "Vase"),
    ("brush", "Bürste"),
    ("shears", "Schere"),
    ("jacket", "Jacke"),
    ("bottle", "Flasche"),
    ("clock", "Uhr"),
    ("mat", "Matte"),
    ("ladder", "Leiter"),
];

const ENGLISH: [&str; 12] = [
    "Made in small batches by people who use it themselves.",
    "Every part can be replaced, and every part is in stock.",
    "It weighs less than it looks and carries more than it should.",
    "The surface is oiled by hand and may be oiled again in ten years.",
    "Comes assembled; the one key that you will ever need is in the box.",
    "Tested for a winter on a balcony in the north and a summer in the south.",
    "Cleans with water and a cloth, nothing else.",
    "Stacks, hangs, or stands in the corner without falling over.",
    "The seams are double and the corners are round: children have tried.",
    "If it breaks within five years, we repair it or send another one.",
    "Packed in paper; there is no plastic in the parcel.",
    "It's the one that our own kitchen, workshop and garden have used since 1998.",
];

const GERMAN: [&str; 12] = [
    "In kleinen Serien gefertigt, von Leuten, die es selbst benutzen.",
    "Jedes Teil lässt sich ersetzen, und jedes Teil ist auf Lager.",
    "Wiegt weniger, als es aussieht, und trägt mehr, als es müsste.",
    "Die Oberfläche ist von Hand geölt und darf es in zehn Jahren wieder werden.",
    "Kommt fertig montiert; der einzige Schlüssel, den man je braucht, liegt bei.",
    "Einen Winter lang auf einem Balkon im Norden erprobt, einen Sommer lang im Süden.",
    "Wird mit Wasser und einem Tuch sauber, sonst braucht es nichts.",
    "Lässt sich stapeln, aufhängen oder in die Ecke stellen, ohne umzufallen.",
    "Die Nähte sind doppelt, die Ecken rund: Kinder haben es versucht.",
    "Geht es in den ersten fünf Jahren kaputt, wird es repariert oder ersetzt.",
    "In Papier verpackt; im Paket ist kein Kunststoff.",
    "Steht seit 1998 in unserer eigenen Küche, Werkstatt und im Garten.",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

/// The same product has the same name in both languages if `random` is fresh.
pub fn product_name(random: &mut Random, product: u32, language: Language) -> String {
    let (kind, thing) = (random.pick(&KINDS), random.pick(&THINGS));
    match language {
        Language::English => format!("{} {} No. {product}", kind.0, thing.0),
        Language::German => format!("{} {} Nr. {product}", kind.1, thing.1),
    }
}

pub fn description(random: &mut Random, language: Language) -> String {
    let sentences = match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    };
    let (start, step) = (random.below(12) as usize, *random.pick(&[1, 5, 7, 11]));
    let mut out = String::with_capacity(DESCRIPTION + 100);
    for i in 0.. {
        out.push_str(sentences[(start + i * step) % sentences.len()]);
        if out.len() >= DESCRIPTION {
            break;
        }
        out.push(' ');
    }
    out
}

/// German for [`DEPARTMENTS`].
pub const ABTEILUNGEN: [&str; 8] = [
    "Draußen",
    "Küche",
    "Büro",
    "Garten",
    "Bad",
    "Wohnzimmer",
    "Werkstatt",
    "Reise",
];

/// German for [`SHELVES`].
pub const REGALE: [&str; 4] = ["Neu", "Klassiker", "Zubehör", "Pflege & Reparatur"];

/// German for [`COLOURS`].
pub const FARBEN: [&str; 8] = [
    "schwarz",
    "weiß",
    "sand",
    "waldgrün",
    "marine",
    "eiche",
    "ziegelrot",
    "schiefer",
];

/// German for [`MATERIALS`].
pub const STOFFE: [&str; 6] = ["Stahl", "Buche", "Leinen", "Wolle", "Steinzeug", "Aluminium"];

pub const SIZES: [&str; 5] = ["S", "M", "L", "XL", "XXL"];

/// For addresses and codes: small letters and digits, everything else becomes one `-`.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    out.trim_matches('-').to_owned()
}

/// A category of the tree that all sets share: one on top, departments below it, shelves below those. Ids from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    pub id: u32,
    pub parent: Option<u32>,
    pub position: u32,
    pub english: String,
    pub german: String,
    /// `all`, `all/garden`, `all/garden/new`.
    pub path: String,
}

/// The tree, from the top down.
#[must_use]
pub fn categories() -> Vec<Category> {
    let mut all = vec![Category {
        id: 1,
        parent: None,
        position: 1,
        english: "All".to_owned(),
        german: "Alles".to_owned(),
        path: "all".to_owned(),
    }];
    let departments = DEPARTMENTS.len() as u32;
    for ((position, english), german) in (1..).zip(DEPARTMENTS).zip(ABTEILUNGEN) {
        all.push(Category {
            id: 1 + position,
            parent: Some(1),
            position,
            english: english.to_owned(),
            german: german.to_owned(),
            path: format!("all/{}", slug(english)),
        });
    }
    for department in 0..departments {
        for ((position, english), german) in (1..).zip(SHELVES).zip(REGALE) {
            let above = &all[(1 + department) as usize];
            all.push(Category {
                id: 1 + departments + department * SHELVES.len() as u32 + position,
                parent: Some(above.id),
                position,
                english: format!("{}: {english}", above.english),
                german: format!("{}: {german}", above.german),
                path: format!("{}/{}", above.path, slug(english)),
            });
        }
    }
    all
}

/// The ids of the categories that products stand in: the shelves.
#[must_use]
pub fn shelf(number: u32) -> u32 {
    let above = 1 + DEPARTMENTS.len() as u32;
    above + 1 + number % SHELF_COUNT
}

pub const SHELF_COUNT: u32 = (DEPARTMENTS.len() * SHELVES.len()) as u32;

/// How many variants a product has: one in most cases, 1.4 in the mean, at most 11.
pub fn variants(random: &mut Random) -> u32 {
    match random.below(1_000) {
        0..800 => 1,
        800..920 => 2,
        920..970 => 3,
        970..995 => 4 + random.below(3),
        _ => 7 + random.below(5),
    }
}
