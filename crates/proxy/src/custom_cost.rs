//! The caller's own prices: the header `cf-aig-custom-cost`, in dollars a token. They decide what a
//! request on the caller's or the gateway's key is reported to cost, and what it counts in spending
//! limits. What is taken from credits, they do not decide.

use model::Picos;
use providers::prices::{Price, TokenPrices};
use serde::Deserialize;

use crate::refusal::Refusal;

/// Reads the header. A price that is left out for cached tokens is that of input.
pub(crate) fn custom_cost(header: &[u8]) -> Result<Price, Refusal> {
    let refused = Refusal::InvalidHeader {
        name: "cf-aig-custom-cost",
        expected: "a JSON object of dollars a token: `per_token_in` and `per_token_out`, and if there are \
                   such prices `per_cache_read_token` and `per_cache_write_token`",
    };
    let said = serde_json::from_slice::<Said>(header).ok();
    let prices = said.and_then(|said| {
        let Said { per_token_in, per_token_out, per_cache_read_token, per_cache_write_token } = said;
        let given = |dollars: Option<f64>| dollars.map_or(Some(None), |dollars| picos(dollars).map(Some));
        Some(TokenPrices {
            input: Some(picos(per_token_in)?),
            output: Some(picos(per_token_out)?),
            cached_input: given(per_cache_read_token)?,
            cache_write: given(per_cache_write_token)?,
            ..TokenPrices::default()
        })
    });
    prices.map(|tokens| Price { tokens, ..Price::default() }).ok_or(refused)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    per_token_in: f64,
    per_token_out: f64,
    per_cache_read_token: Option<f64>,
    per_cache_write_token: Option<f64>,
}

/// The wire has dollars as floating-point numbers, up to a thousand a token.
fn picos(dollars: f64) -> Option<Picos> {
    const MOST: f64 = 1000.0;
    (0.0..=MOST).contains(&dollars).then(|| Picos((dollars * 1e12).round() as i64))
}

#[cfg(test)]
mod tests {
    use model::Nanos;
    use model::usage::Tokens;
    use providers::prices::Tier;

    use super::*;

    #[test]
    fn tokens_are_priced_by_the_dollar_and_cached_ones_apart() {
        let tokens = Tokens { input: 10, cached_input: 4, cache_write: 2, output: 3, ..Tokens::default() };
        let price = custom_cost(br#"{"per_token_in":0.00000015,"per_token_out":6e-7}"#).unwrap();
        assert_eq!(price.rate(&tokens, Tier::Standard), Some(Nanos(16 * 150 + 3 * 600)));
        let price = custom_cost(
            br#"{"per_token_in":1,"per_token_out":0,"per_cache_read_token":0.5,"per_cache_write_token":2}"#,
        )
        .unwrap();
        assert_eq!(price.rate(&tokens, Tier::Standard), Some(Nanos(16_000_000_000)));
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
            r#"{"per_token_in":1,"per_token_out":1,"per_cache_read_token":-1}"#,
            r#"{"per_token_in":1,"per_token_out":1,"per_token":1}"#,
        ] {
            assert!(custom_cost(header.as_bytes()).is_err(), "{header}");
        }
    }
}
