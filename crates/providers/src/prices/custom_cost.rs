//! The header `cf-aig-custom-cost`: what the caller says that a request costs, in dollars a token.

use model::Picos;
use model::prices::decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Price, TokenPrices};

/// A header that says no prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be a JSON object of dollars a token, none below 0: `per_token_in` and `per_token_out`, and if \
     there are such prices `per_cache_read_token` and `per_cache_write_token`"
)]
pub struct InvalidCustomCost;

/// Reads the header, digit by digit. Cached tokens without a price of their own cost what input costs.
pub fn custom_cost(header: &[u8]) -> Result<Price, InvalidCustomCost> {
    let said: Said<'_> = serde_json::from_slice(header).map_err(|_| InvalidCustomCost)?;
    let input = picos(said.per_token_in)?;
    let or_input = |given: Option<&RawValue>| match given {
        None => Ok(input),
        Some(given) if given.get() == "null" => Ok(input),
        Some(given) => picos(given),
    };
    let cache_write = Some(or_input(said.per_cache_write_token)?);
    let tokens = TokenPrices {
        input: Some(input),
        output: Some(picos(said.per_token_out)?),
        cached_input: Some(or_input(said.per_cache_read_token)?),
        cache_write,
        cache_write_long: cache_write,
        ..TokenPrices::default()
    };
    Ok(Price { tokens, ..Price::default() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    #[serde(borrow)]
    per_token_in: &'a RawValue,
    #[serde(borrow)]
    per_token_out: &'a RawValue,
    #[serde(borrow)]
    per_cache_read_token: Option<&'a RawValue>,
    #[serde(borrow)]
    per_cache_write_token: Option<&'a RawValue>,
}

/// At most a thousand dollars a token, so that no usage is too large for an amount.
fn picos(dollars: &RawValue) -> Result<Picos, InvalidCustomCost> {
    const MOST: Picos = Picos(1_000_000_000_000_000);
    decimal::read(dollars.get(), decimal::EACH).filter(|price| *price <= MOST).ok_or(InvalidCustomCost)
}

#[cfg(test)]
mod tests {
    use model::Nanos;
    use model::prices::Tier;
    use model::usage::Tokens;

    use super::*;

    #[test]
    fn prices_are_read_exactly_and_cached_tokens_apart() {
        let tokens = Tokens { input: 10, cached_input: 4, cache_write: 2, output: 3, ..Tokens::default() };
        let price = custom_cost(br#"{"per_token_in":0.00000015,"per_token_out":6e-07}"#).unwrap();
        assert_eq!(price.rate(&tokens, Tier::Standard), Some(Nanos(16 * 150 + 3 * 600)));
        let price = custom_cost(
            br#"{"per_token_in":1,"per_token_out":0,"per_cache_read_token":0.5,"per_cache_write_token":2}"#,
        );
        assert_eq!(price.unwrap().rate(&tokens, Tier::Standard), Some(Nanos(16_000_000_000)));
        // More digits than a float of 64 bits holds.
        let price = custom_cost(br#"{"per_token_in":123.456789012345,"per_token_out":0}"#).unwrap();
        assert_eq!(price.tokens.input, Some(Picos(123_456_789_012_345)));
        let price =
            custom_cost(br#"{"per_token_in":1,"per_token_out":0,"per_cache_read_token":null}"#).unwrap();
        assert_eq!(price.tokens.cached_input, price.tokens.input);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for header in [
            "",
            "1",
            "[]",
            "{}",
            r#"{"per_token_in":1}"#,
            r#"{"per_token_in":"1","per_token_out":1}"#,
            r#"{"per_token_in":-1,"per_token_out":1}"#,
            r#"{"per_token_in":1,"per_token_out":1e300}"#,
            r#"{"per_token_in":1,"per_token_out":1001}"#,
            r#"{"per_token_in":1,"per_token_out":1,"per_cache_read_token":-1}"#,
            r#"{"per_token_in":1,"per_token_out":1,"per_token":1}"#,
            r#"{"per_token_in":1,"per_token_out":1,"per_token_in":2}"#,
        ] {
            assert_eq!(custom_cost(header.as_bytes()), Err(InvalidCustomCost), "{header}");
        }
    }
}
