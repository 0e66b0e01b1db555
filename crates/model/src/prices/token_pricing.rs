//! `token_pricing`: prices as Cloudflare's price table writes them, in dollars per million tokens, and
//! per piece for images. Members that Cloudflare has no word for are ours, named in the same manner.

use serde_json::{Map, Value};

use super::decimal::{self, EACH, PER_MILLION};
use super::{Price, TokenPrices};

/// Cloudflare's member, and our class of token.
const CLASSES: [(&str, &str); 12] = [
    ("input_tokens", "input"),
    ("output_tokens", "output"),
    ("input_cached_tokens", "cached_input"),
    ("input_cache_creation_tokens", "cache_write"),
    ("input_audio_tokens", "audio_input"),
    ("input_image_tokens", "image_input"),
    ("output_reasoning_tokens", "reasoning"),
    ("input_cache_creation_1h_tokens", "cache_write_long"),
    ("input_cached_audio_tokens", "cached_audio_input"),
    ("input_cached_image_tokens", "cached_image_input"),
    ("output_audio_tokens", "audio_output"),
    ("output_image_tokens", "image_output"),
];

/// Cloudflare's member, our unit, and whether it is priced by the million.
const UNITS: [(&str, &str, bool); 3] = [
    ("input_image_count", "input_per_image", false),
    ("output_image_count", "output_per_image", false),
    ("input_video_tokens", "input_per_video_token", true),
];

/// Reads the object, or a text that holds it, which is how answers carry it. Takes the place of all
/// prices of tokens that `price` has.
///
/// `input_text_tokens` is the price of text where `input_tokens` is that of everything read, and
/// `total_tokens` the price of all tokens that have no other.
pub fn read(value: &Value, price: &mut Price) -> Result<(), String> {
    let parsed;
    let object = match value {
        Value::Object(object) => object,
        Value::String(text) => {
            parsed = serde_json::from_str::<Map<String, Value>>(text)
                .map_err(|_| "must be an object of prices, or a string that holds one".to_owned())?;
            &parsed
        }
        _ => return Err("must be an object of prices".to_owned()),
    };
    let (mut tokens, mut text, mut total) = (TokenPrices::default(), None, None);
    for (member, value) in object {
        let dollars = |places| {
            decimal::read_json(value, places)
                .ok_or_else(|| format!("must have a price of 0 or more in `{member}`"))
        };
        let class = CLASSES.iter().find(|(name, _)| name == member);
        let unit = UNITS.iter().find(|(name, ..)| name == member);
        match (class.and_then(|(_, class)| tokens.class_mut(class)), unit, member.as_str()) {
            (Some(class), ..) => *class = Some(dollars(PER_MILLION)?),
            (_, Some((_, unit, by_million)), _) => {
                let picos = dollars(if *by_million { PER_MILLION } else { EACH })?;
                price.units.insert((*unit).to_owned(), picos);
            }
            (.., "input_text_tokens") => text = Some(dollars(PER_MILLION)?),
            (.., "total_tokens") => total = Some(dollars(PER_MILLION)?),
            _ => return Err(format!("has no member `{member}`")),
        }
    }
    tokens.input = tokens.input.or(total);
    tokens.output = tokens.output.or(total);
    if text.is_some() {
        // What is read as sound or as an image costs what everything read costs.
        tokens.audio_input = tokens.audio_input.or(tokens.input);
        tokens.image_input = tokens.image_input.or(tokens.input);
        tokens.input = text;
    }
    price.tokens = tokens;
    Ok(())
}

/// Writes the regular prices as the text that answers carry: an object with exact decimals.
pub fn write(price: &Price) -> String {
    let mut members = Vec::new();
    let by_class: Vec<_> = price.tokens.by_class().collect();
    for (member, class) in CLASSES {
        if let Some((_, picos)) = by_class.iter().find(|(name, _)| *name == class) {
            members.push(format!("\"{member}\":{}", decimal::write(*picos, PER_MILLION)));
        }
    }
    for (member, unit, by_million) in UNITS {
        if let Some(picos) = price.unit(unit) {
            let places = if by_million { PER_MILLION } else { EACH };
            members.push(format!("\"{member}\":{}", decimal::write(picos, places)));
        }
    }
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::money::Picos;

    fn price(value: Value) -> Result<Price, String> {
        let mut price = Price::default();
        read(&value, &mut price).map(|()| price)
    }

    #[test]
    fn every_member_has_its_class() {
        let read = price(json!({
            "input_tokens": 2.5, "output_tokens": "10", "input_cached_tokens": 1.25,
            "input_cache_creation_tokens": 3.125, "input_audio_tokens": 40, "input_image_tokens": 5,
            "input_image_count": 0.01, "output_image_count": 0.04, "output_reasoning_tokens": 12,
            "input_video_tokens": 1,
        }))
        .unwrap();
        assert_eq!(read.tokens.input, Some(Picos(2_500_000)));
        assert_eq!(read.tokens.output, Some(Picos(10_000_000)));
        assert_eq!(read.tokens.cached_input, Some(Picos(1_250_000)));
        assert_eq!(read.tokens.cache_write, Some(Picos(3_125_000)));
        assert_eq!(read.tokens.audio_input, Some(Picos(40_000_000)));
        assert_eq!(read.tokens.image_input, Some(Picos(5_000_000)));
        assert_eq!(read.tokens.reasoning, Some(Picos(12_000_000)));
        assert_eq!(read.unit("input_per_image"), Some(Picos(10_000_000_000)));
        assert_eq!(read.unit("output_per_image"), Some(Picos(40_000_000_000)));
        assert_eq!(read.unit("input_per_video_token"), Some(Picos(1_000_000)));
    }

    #[test]
    fn the_price_of_text_is_not_that_of_sound() {
        let read = price(json!({"input_tokens": 5, "input_text_tokens": 1, "total_tokens": 7})).unwrap();
        let millions = |price: Option<Picos>| price.map(|price| price.0 / 1_000_000);
        let TokenPrices { input, output, audio_input, image_input, .. } = read.tokens;
        assert_eq!(
            [input, output, audio_input, image_input].map(millions),
            [Some(1), Some(7), Some(5), Some(5)]
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let all = json!({
            "input_tokens": 0.075, "output_tokens": 4.5, "input_cache_creation_1h_tokens": 6,
            "input_cached_audio_tokens": 0.4, "output_image_count": 0.167,
        });
        let written = write(&price(all.clone()).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), all);
        assert_eq!(price(Value::from(written.clone())).unwrap(), price(all).unwrap());
        assert_eq!(write(&Price::default()), "{}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(price(json!({"smell_tokens": 1})).unwrap_err().contains("smell_tokens"));
        assert!(price(json!({"input_tokens": -1})).unwrap_err().contains("input_tokens"));
        assert!(price(json!([])).is_err() && price(json!("{")).is_err());
    }
}
