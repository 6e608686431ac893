//! Names and descriptions of products, in two languages.

use super::random::Random;

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
