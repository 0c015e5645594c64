//! Exact numbers as text.

use tiberius::numeric::Numeric;

/// The largest precision of a `decimal`.
const MAX_PRECISION: usize = 38;

/// The scale of `money` and `smallmoney`.
const MONEY_SCALE: u8 = 4;

/// The text of a number, with all digits of its scale.
pub(crate) fn format(number: Numeric) -> String {
    let scale = usize::from(number.scale());
    let sign = if number.value() < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", number.value().unsigned_abs(), width = scale + 1);
    match digits.split_at_checked(digits.len() - scale) {
        Some((whole, fraction)) if scale > 0 => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// The text of an amount in ten-thousandths.
pub(crate) fn format_money(ten_thousandths: i64) -> String {
    format(Numeric::new_with_scale(ten_thousandths.into(), MONEY_SCALE))
}

/// The number of a text such as `-0.50`, with as many digits as it has. `None` if it is not a
/// number, or has more digits than a `decimal`.
pub(crate) fn parse(text: &str) -> Option<Numeric> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    let precision = all.trim_start_matches('0').len().max(fraction.len());
    let is_number =
        !all.is_empty() && !digits.ends_with('.') && all.bytes().all(|byte| byte.is_ascii_digit());
    // `tiberius` declares a digit before the point too.
    if !is_number || precision > MAX_PRECISION || fraction.len() >= MAX_PRECISION {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    let scale = u8::try_from(fraction.len()).ok()?;
    Some(Numeric::new_with_scale(if negative { -value } else { value }, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

    #[test]
    fn a_number_keeps_its_digits() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (-5, 1, "-0.5"),
            (1230, 2, "12.30"),
            (7, 38, "0.00000000000000000000000000000000000007"),
            (LARGEST, 0, "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(format(Numeric::new_with_scale(value, scale)), text);
        }
    }

    #[test]
    fn a_parsed_number_has_the_digits_of_its_text() {
        for (text, value, scale) in [
            ("0", 0, 0),
            ("-0.50", -50, 2),
            ("+12", 12, 0),
            ("007.1", 71, 1),
            (".5", 5, 1),
            ("99999999999999999999999999999999999999", LARGEST, 0),
        ] {
            let number = parse(text).unwrap();
            assert_eq!((number.value(), number.scale()), (value, scale), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_decimal_is_rejected() {
        let too_long = "9".repeat(39);
        for text in ["", "-", ".", "1.", "1e3", "0x1", "1,5", " 1", "--1", &too_long] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
