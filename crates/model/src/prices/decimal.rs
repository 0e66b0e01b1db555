//! Prices as decimal dollars, read and written digit by digit: no figure passes through binary
//! floating point. Other than amounts, prices that are too fine are rounded and not refused: clients
//! compute them, and send what binary floating point made of `1.1 / 1e6`.

use serde_json::Value;

use crate::money::Picos;

/// Dollars per piece: a token, an image.
pub const EACH: u8 = 12;
/// Dollars per million tokens.
pub const PER_MILLION: u8 = 6;

/// Reads a decimal of dollars, rounded half up to the pico-dollar, which is the finest price there is;
/// `places` is [`EACH`] or [`PER_MILLION`]. Exponents are read, as `1.5e-07` is how clients write
/// small prices. `None` for what is no decimal, below zero, or beyond nine million dollars a piece.
pub fn read(text: &str, places: u8) -> Option<Picos> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits[leading..].trim_end_matches('0');
    if significant.is_empty() {
        return Some(Picos(0));
    }
    // How many digits stand before the pico-dollar's point.
    let integral = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?
        + i64::from(exponent)
        + i64::from(places);
    if integral < 0 {
        return Some(Picos(0));
    }
    let integral = usize::try_from(integral).ok().filter(|integral| *integral <= 18)?;
    let kept = &significant[..integral.min(significant.len())];
    let picos: i64 = format!("0{kept:0<integral$}").parse().ok()?;
    let rounds_up = significant.as_bytes().get(integral).is_some_and(|digit| *digit >= b'5');
    Some(Picos(picos + i64::from(rounds_up)))
}

/// Reads a JSON number or a text. A number of up to fifteen digits is exact: it is read by the shortest
/// text that stands for it, which is what was sent.
pub fn read_json(value: &Value, places: u8) -> Option<Picos> {
    match value {
        Value::Number(number) => read(&number.to_string(), places),
        Value::String(text) => read(text, places),
        _ => None,
    }
}

/// Writes a price in decimal dollars, without trailing zeros.
pub fn write(price: Picos, places: u8) -> String {
    crate::decimal::written(price.0, places.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_they_stand() {
        let each = |text| read(text, EACH).map(|price| price.0);
        assert_eq!(each("0.0000025"), Some(2_500_000));
        assert_eq!(each("2.5e-06"), Some(2_500_000));
        assert_eq!(each("2.5E-6"), Some(2_500_000));
        assert_eq!(each("1e-12"), Some(1));
        assert_eq!(each("0.000"), Some(0));
        assert_eq!(each("12"), Some(12_000_000_000_000));
        assert_eq!(each("1e+3"), Some(1_000_000_000_000_000));
        assert_eq!(read("3.2", PER_MILLION), Some(Picos(3_200_000)));
    }

    #[test]
    fn what_is_finer_than_a_pico_dollar_is_rounded_half_up() {
        let each = |text| read(text, EACH).map(|price| price.0);
        assert_eq!((each("4e-13"), each("5e-13"), each("1.4999e-12")), (Some(0), Some(1), Some(1)));
        // What 1.1 / 1e6 is in binary floating point.
        assert_eq!(each("1.1000000000000001e-06"), Some(1_100_000));
        assert_eq!(each("0.9999999999995"), Some(1_000_000_000_000));
        assert_eq!(each("1e-400"), Some(0));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in
            ["", "-1", "+1", ".5", "1.", "1e", "NaN", "Infinity", "1,5", " 1", "0x1", "1e7", "9e99999999999"]
        {
            assert_eq!(read(text, EACH), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for picos in [0, 1, 2_500_000, 999_999_999_999, 1_000_000_000_000, 75_000_000_000_000] {
            for places in [EACH, PER_MILLION] {
                assert_eq!(read(&write(Picos(picos), places), places), Some(Picos(picos)));
            }
        }
        assert_eq!(write(Picos(2_500_000), PER_MILLION), "2.5");
        assert_eq!(write(Picos(2_500_000), EACH), "0.0000025");
    }
}
