//! Decimals as people and JSON write them, read into integers without a float in between.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The number times 10 to the power of `places`: `None` for what is no JSON number, has more decimals
/// than that, or does not fit.
pub fn scaled(text: &str, places: u32) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, mantissa),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    if digits == 0 {
        return Some(0);
    }
    let shift = i64::from(places) + i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    let factor = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
    let scaled = match shift {
        0.. => digits.checked_mul(factor)?,
        _ => (digits % factor == 0).then_some(digits / factor)?,
    };
    i64::try_from(sign * scaled).ok()
}

/// The inverse of [`scaled`]: the shortest decimal, without trailing zeros.
pub fn written(number: i64, places: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (one, places) = (10_u64.saturating_pow(places), places as usize);
    let (whole, rest) = (number.unsigned_abs() / one, number.unsigned_abs() % one);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{rest:0places$}").trim_end_matches('0'))
}

/// The text of a JSON number, or of a string in its place.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    serde_json::from_str(raw.get()).or_else(|_| Ok(raw.get().to_owned()))
}

/// Dollars as a JSON number with up to nine decimals, exactly: `#[serde(with = "decimal::dollars")]`.
pub mod dollars {
    use serde::{Deserializer, Serialize as _, Serializer, de, ser};
    use serde_json::value::RawValue;

    use crate::money::Nanos;

    /// Writes the amount.
    pub fn serialize<S: Serializer>(amount: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(amount.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }

    /// Reads an amount that was written as a number or as a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        let amount = super::scaled(&super::text(deserializer)?, 9);
        amount.map(Nanos).ok_or_else(|| de::Error::custom("expected dollars with at most nine decimals"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        for (text, expected) in [
            ("0.1", Some(100_000_000)),
            ("3", Some(3_000_000_000)),
            ("1e-9", Some(1)),
            ("-2.50E+0", Some(-2_500_000_000)),
            ("123456789.123456789", Some(123_456_789_123_456_789)),
            ("1000e-12", Some(1)),
            ("0e999999999", Some(0)),
            ("1e-10", None),
            ("9223372036.854775808", None),
            ("1e999999999", None),
            ("", None),
            (".5", None),
            ("1.", None),
            ("+1", None),
            ("1_0", None),
            ("NaN", None),
        ] {
            assert_eq!(scaled(text, 9), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for (number, text) in [(0, "0"), (-3_000_000, "-3"), (12_500, "0.0125"), (1, "0.000001")] {
            assert_eq!(written(number, 6), text);
            assert_eq!(scaled(text, 6), Some(number));
        }
        assert_eq!(scaled(&written(i64::MIN, 12), 12), Some(i64::MIN));
    }
}
