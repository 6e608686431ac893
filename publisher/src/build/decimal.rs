//! Decimal numbers as text, of any length.

/// Digits of a mean past those of the sum (docs/adr/0004-averages.md).
const DIGITS: usize = 6;

/// The mean of `count` values with this sum: rounded half away from zero to [`DIGITS`] digits past those of the sum,
/// without trailing zeros. `None` where the sum is no decimal number (`NaN`), or is of nothing.
pub(super) fn mean(sum: &str, count: u64) -> Option<String> {
    if count == 0 {
        return None;
    }
    let (negative, unsigned) = match sum.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, sum),
    };
    let (mut digits, scale) = digits(unsigned)?;
    digits.extend([0; DIGITS]);
    let (mut quotient, rest) = divide(&digits, count);
    if u128::from(rest) * 2 >= u128::from(count) {
        add_one(&mut quotient);
    }
    Some(written(negative, &quotient, scale + DIGITS))
}

/// All digits, and how many of them stand after the point.
fn digits(text: &str) -> Option<(Vec<u8>, usize)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte.is_ascii_digit().then(|| byte - b'0'))
        .collect::<Option<_>>()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        digits.resize(digits.len() + scale.unsigned_abs() as usize, 0);
    }
    (!digits.is_empty()).then_some((digits, usize::try_from(scale).unwrap_or(0)))
}

/// Quotient and rest.
fn divide(digits: &[u8], by: u64) -> (Vec<u8>, u64) {
    let mut rest = 0_u128;
    let quotient = digits
        .iter()
        .map(|digit| {
            rest = rest * 10 + u128::from(*digit);
            let (one, left) = (rest / u128::from(by), rest % u128::from(by));
            rest = left;
            one as u8
        })
        .collect();
    (quotient, rest as u64)
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

fn written(negative: bool, digits: &[u8], scale: usize) -> String {
    let all: String = digits.iter().map(|digit| char::from(digit + b'0')).collect();
    let all = format!("{}{all}", "0".repeat((scale + 1).saturating_sub(all.len())));
    let (whole, fraction) = all.split_at(all.len() - scale);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let text = match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    };
    if negative && text != "0" {
        format!("-{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_rounded_the_same_everywhere() {
        for (sum, count, expected) in [
            ("10", 4, "2.5"),
            ("10", 3, "3.333333"),
            ("20", 3, "6.666667"),
            ("-20", 3, "-6.666667"),
            ("29.80", 3, "9.93333333"),
            ("1", 2_000_000, "0.000001"),
            ("-1", 2_000_000, "-0.000001"),
            ("-1", 2_000_001, "0"),
            ("0.00", 7, "0"),
            ("0", 7, "0"),
            ("99.99999999999", 10, "9.999999999999"),
            ("2999999.9999999999999999", 3, "999999.9999999999999999666667"),
            (
                "123456789012345678901234567890.10",
                2,
                "61728394506172839450617283945.05",
            ),
            ("1.5e+3", 2, "750"),
            ("1.5e-3", 2, "0.00075"),
            ("1e20", 1, "100000000000000000000"),
        ] {
            assert_eq!(mean(sum, count).as_deref(), Some(expected), "{sum} / {count}");
        }
        for sum in ["NaN", "Infinity", "-Infinity", "", "-", "1.2.3", "Inf", "1e", "."] {
            assert_eq!(mean(sum, 2), None, "{sum}");
        }
        assert_eq!(mean("1", 0), None);
    }
}
