//! Decimal numbers as exact text, of any length.

use std::cmp::Ordering;

/// A number by its digits; equal numbers are equal values of this type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Without leading zeros.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Number {
    /// `None` where the text is no finite number.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.trim_start_matches(['-', '+']);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all: String = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let point = i32::try_from(whole.len()).ok()? + exponent;
        let (whole, fraction) = match usize::try_from(point) {
            Ok(point) if point <= all.len() => (all[..point].to_owned(), all[point..].to_owned()),
            Ok(point) => (format!("{all:0<point$}"), String::new()),
            Err(_) => (String::new(), "0".repeat(point.unsigned_abs() as usize) + &all),
        };
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let negative = mantissa.starts_with('-') && !(whole.is_empty() && fraction.is_empty());
        Some(Self {
            negative,
            whole,
            fraction,
        })
    }

    /// With so many digits after the point; what is more is rounded, half away from zero.
    pub fn fixed(&self, scale: usize) -> String {
        let mut number = self.clone();
        if number.fraction.len() > scale {
            let up = number.fraction.as_bytes()[scale] >= b'5';
            number.fraction.truncate(scale);
            let mut units = number.units(scale);
            units += i128::from(up) * if self.negative { -1 } else { 1 };
            number = Self::of_units(units, scale);
        }
        let sign = if number.negative { "-" } else { "" };
        let whole = if number.whole.is_empty() {
            "0"
        } else {
            &number.whole
        };
        if scale == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{:0<scale$}", number.fraction)
        }
    }

    /// The one text of this number.
    pub fn to_text(&self) -> String {
        self.fixed(self.scale())
    }

    /// How many digits stand after the point.
    pub fn scale(&self) -> usize {
        self.fraction.len()
    }

    /// The number times ten to the scale; digits beyond are not there.
    ///
    /// # Panics
    /// Where it has more than 38 digits.
    pub fn units(&self, scale: usize) -> i128 {
        let digits = format!("{}{:0<scale$.scale$}", self.whole, self.fraction);
        let units: i128 = match digits.as_str() {
            "" => 0,
            digits => digits.parse().expect("at most 38 digits"),
        };
        if self.negative { -units } else { units }
    }

    pub fn of_units(units: i128, scale: usize) -> Self {
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if units < 0 { "-" } else { "" };
        Self::parse(&format!("{sign}{whole}.{fraction}")).expect("digits")
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || {
            let whole = self.whole.len().cmp(&other.whole.len());
            whole
                .then_with(|| self.whole.cmp(&other.whole))
                .then_with(|| self.fraction.cmp(&other.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
