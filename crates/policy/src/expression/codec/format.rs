//! `'%s is %d'.format([…])`

use std::fmt::Write;

use crate::expression::error::Failure;
use crate::value::Value;

/// How many places a number may have behind the point.
pub(crate) const MOST_PLACES: usize = 32;

/// Puts values into a pattern, each in the place of one `%`.
pub(crate) fn format(pattern: &str, values: &[Value]) -> Result<String, Failure> {
    let mut out = String::with_capacity(pattern.len());
    let mut values = values.iter();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let (places, behind) = precision(behind)?;
        let mut characters = behind.chars();
        match characters.next() {
            Some('%') => out.push('%'),
            Some(verb) => {
                let value =
                    values.next().ok_or(Failure::BadArgument("the pattern has more places than values"))?;
                write(&mut out, verb, places, value)?;
            }
            None => return Err(Failure::BadArgument("the pattern ends in `%`")),
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// `.3` before the letter.
fn precision(text: &str) -> Result<(usize, &str), Failure> {
    let Some(text) = text.strip_prefix('.') else { return Ok((6, text)) };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let places = text[..digits].parse().ok().filter(|places| *places <= MOST_PLACES);
    Ok((places.ok_or(Failure::BadArgument("the number of places means nothing"))?, &text[digits..]))
}

fn write(out: &mut String, verb: char, places: usize, value: &Value) -> Result<(), Failure> {
    let wrong = |expected| Failure::wrong_type(expected, value);
    let outcome = match (verb, value) {
        ('s', value) => write!(out, "{}", value.to_text()?.as_str()),
        ('d', Value::Int(number)) => write!(out, "{number}"),
        ('d', Value::Uint(number)) => write!(out, "{number}"),
        ('f', value) => write!(out, "{:.places$}", fraction(value).ok_or_else(|| wrong("number"))?),
        ('e', value) => {
            let text = format!("{:.places$e}", fraction(value).ok_or_else(|| wrong("number"))?);
            // Elsewhere exponents have a sign and two digits.
            let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            write!(out, "{number}e{sign}{digits:0>2}")
        }
        ('b', Value::Bool(value)) => write!(out, "{}", u8::from(*value)),
        ('b' | 'o' | 'x' | 'X', Value::Int(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            out.push_str(sign);
            based(out, verb, number.unsigned_abs())
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(number)) => based(out, verb, *number),
        ('x' | 'X', Value::Text(text)) => hexadecimal(out, verb, text.as_str().as_bytes()),
        ('x' | 'X', Value::Bytes(bytes)) => hexadecimal(out, verb, bytes),
        ('d', _) => return Err(wrong("int")),
        ('b' | 'o' | 'x' | 'X', _) => return Err(wrong("int, string or bytes")),
        _ => return Err(Failure::BadArgument("the pattern has a letter behind `%` that means nothing")),
    };
    outcome.map_err(|_| Failure::TooLarge)
}

fn fraction(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        _ => None,
    }
}

fn based(out: &mut String, verb: char, number: u64) -> std::fmt::Result {
    match verb {
        'b' => write!(out, "{number:b}"),
        'o' => write!(out, "{number:o}"),
        'x' => write!(out, "{number:x}"),
        _ => write!(out, "{number:X}"),
    }
}

fn hexadecimal(out: &mut String, verb: char, bytes: &[u8]) -> std::fmt::Result {
    out.push_str(&if verb == 'x' { hex::encode(bytes) } else { hex::encode_upper(bytes) });
    Ok(())
}
