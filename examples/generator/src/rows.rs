//! Rows as the text of VALUES items. Pure: no database here.

use std::fmt::{Display, Write as _};

use crate::Size;
use crate::random::Random;

/// The rows of one table.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    /// Each as one VALUES item: `(1,'de')`.
    pub rows: Box<dyn Iterator<Item = String> + Send>,
}

/// A table and its rows.
pub fn table<R: Into<String> + 'static>(
    name: &'static str,
    columns: &'static str,
    rows: impl IntoIterator<Item = R, IntoIter: Send + 'static>,
) -> Table {
    Table {
        name,
        columns,
        rows: Box::new(rows.into_iter().map(Into::into)),
    }
}

/// A table of which each product has some rows.
pub fn of_products(
    size: Size,
    name: &'static str,
    columns: &'static str,
    rows: fn(Product) -> Vec<Row>,
) -> Table {
    let product = move |number| Product { number, size };
    table(
        name,
        columns,
        (1..=size.products).flat_map(move |number| rows(product(number))),
    )
}

/// One product, by its number from 1, which is its id.
#[derive(Clone, Copy)]
pub struct Product {
    pub number: u32,
    pub size: Size,
}

impl Product {
    /// The same numbers for the same name, whichever table asks.
    pub fn random(&self, name: &str) -> Random {
        Random::new(self.size.seed, name, self.number)
    }

    /// An id of one of its rows, where a product has at most `most`: from 1, and the same whoever asks.
    pub fn id(&self, most: u32, row: u32) -> u64 {
        (u64::from(self.number) - 1) * u64::from(most) + 1 + u64::from(row)
    }
}

/// A VALUES item in the making.
#[derive(Default)]
pub struct Row(String);

impl Row {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A number, a boolean: as SQL writes it.
    #[must_use]
    pub fn plain(mut self, value: impl Display) -> Self {
        self.comma();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
        self
    }

    #[must_use]
    pub fn text(self, value: impl AsRef<str>) -> Self {
        let quoted = quote(value.as_ref());
        self.plain(quoted)
    }

    #[must_use]
    pub fn null(self) -> Self {
        self.plain("NULL")
    }

    #[must_use]
    pub fn maybe(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.plain(value),
            None => self.null(),
        }
    }

    #[must_use]
    pub fn maybe_text(self, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// An amount of money of this many cents.
    #[must_use]
    pub fn cents(self, cents: u32) -> Self {
        self.plain(format_args!("{}.{:02}", cents / 100, cents % 100))
    }

    fn comma(&mut self) {
        self.0.push(if self.0.is_empty() { '(' } else { ',' });
    }
}

impl From<Row> for String {
    fn from(mut row: Row) -> Self {
        row.0.push(')');
        row.0
    }
}

/// A text as SQL writes it.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
