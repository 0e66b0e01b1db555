//! What a request cost: its usage against the price that holds for it.

use model::money::Unrounded;
use model::prices::{Price, Tier};
use model::usage::Unit;
use model::{AccountId, Nanos};
use time::OffsetDateTime;

use crate::answer::{Answer, Premium};
use crate::anthropic;
use crate::catalog::Dialect;
use crate::endpoint::Endpoint;
use crate::google;
use crate::openai::units::{self, Asked};
use crate::prices::{Catalogue, Found};

/// A request, as far as its price depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Whose it is.
    pub account: AccountId,
    /// The provider's slug.
    pub provider: &'a str,
    /// The operation.
    pub endpoint: Endpoint,
    /// The model that was asked for, as the provider knows it.
    pub model: &'a str,
    /// The service tier that was asked for, if any.
    pub service_tier: Option<&'a str>,
    /// What was asked for in units.
    pub asked: &'a Asked,
    /// When it arrived.
    pub at: OffsetDateTime,
}

/// What a request cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// What the provider bills.
    pub cost: Nanos,
    /// What was used beside tokens.
    pub units: Vec<Unit>,
    /// The price list that served.
    pub tier: Tier,
    /// The name in the catalogue that was rated by.
    pub name: String,
    /// The list's version, or the rule's id.
    pub version: String,
}

impl Served<'_> {
    /// Rates an answer; `None` if nothing that prices it is known.
    ///
    /// The model that served counts if it is priced, else the one asked for; pictures without reported
    /// tokens are priced by their size and quality where the catalogue has such prices.
    pub fn rated(&self, catalogue: &Catalogue, answer: &Answer) -> Option<Rated> {
        let served = answer.model.as_deref().unwrap_or_default();
        let found = catalogue.served(self.account, self.provider, served, self.model, self.at);
        found
            .filter(|found| knows(found.price, answer.premium))
            .and_then(|found| self.by(&found, answer))
            .or_else(|| {
                let Asked { quality, size, .. } = self.asked;
                let found = catalogue.picture(self.provider, self.model, quality, size, self.at)?;
                self.by(&found, answer)
            })
    }

    /// Rates an answer by a price that is known already, such as a caller's own.
    pub fn by(&self, found: &Found<'_>, answer: &Answer) -> Option<Rated> {
        let price: &Price = found.price;
        let said = answer.service_tier.as_deref().or(self.service_tier).map(Tier::from_word);
        let tier = match answer.premium {
            Some(Premium::Speed) => Tier::Priority,
            _ => said.unwrap_or_default(),
        };
        let mut units = units::units(self.endpoint, price, self.asked, answer);
        // What is billed by units is not billed by tokens, should somebody have counted some.
        let tokens = answer.tokens.filter(|_| units.is_empty()).unwrap_or_default();
        let mut cost = price.cost(&tokens, &units, tier)?;
        // Nothing reported and nothing counted has not cost nothing.
        if answer.tokens.is_none() && units.is_empty() {
            return None;
        }
        // Nor has speech whose words were counted and whose sound nobody could.
        let is_heard = answer.tokens.is_some_and(|tokens| tokens.audio_output > 0);
        if self.endpoint == Endpoint::Speech && price.tokens.audio_output.is_some() && !is_heard {
            return None;
        }
        // Searches are billed beside the tokens, at one price for all models, which the list does not have.
        if answer.searches > 0 {
            let own = price.unit(anthropic::WEB_SEARCH);
            let listed = (self.provider == "anthropic").then_some(anthropic::WEB_SEARCH_PRICE);
            let mut searches = Unrounded::default();
            searches.add(answer.searches, own.or(listed)?);
            cost = Nanos(cost.0.saturating_add(searches.round().0));
            units.push(Unit { name: anthropic::WEB_SEARCH.to_owned(), quantity: answer.searches });
        }
        Some(Rated { cost, units, tier, name: found.name.to_owned(), version: found.version.to_owned() })
    }
}

/// Whether a list's price says what such an answer costs. What does not is as if it had none: the usual prices
/// would be too low.
fn knows(price: &Price, premium: Option<Premium>) -> bool {
    match premium {
        None => true,
        Some(Premium::Speed) => price.variants.iter().any(|variant| variant.tier == Tier::Priority),
        Some(Premium::Place) => false,
        Some(Premium::Video) => price
            .unit("input_per_video_token")
            .is_none_or(|video| price.tokens.image_input.or(price.tokens.input) == Some(video)),
    }
}

/// The member of a question because of which nobody here knows what its answer will cost, whatever its model
/// costs else.
pub fn unpriced(endpoint: Endpoint, question: &[u8]) -> Option<&'static str> {
    match endpoint.dialect()? {
        Dialect::Anthropic => anthropic::unpriced(question),
        Dialect::Google => google::request::unpriced(question),
        Dialect::OpenAi => None,
    }
}

#[cfg(test)]
mod tests {
    use model::Picos;
    use model::prices::{TokenPrices, Variant};
    use model::usage::Tokens;
    use uuid::Uuid;

    use super::*;

    fn rated(endpoint: Endpoint, model: &str, body: &str, answer: &Answer) -> Option<Rated> {
        let asked = Asked::read(endpoint, body.as_bytes());
        let served = Served {
            account: AccountId(Uuid::nil()),
            provider: "openai",
            endpoint,
            model,
            service_tier: None,
            asked: &asked,
            at: time::macros::datetime!(2026-12-01 00:00 UTC),
        };
        served.rated(Catalogue::current(), answer)
    }

    #[test]
    fn pictures_without_tokens_are_priced_by_their_size() {
        let body = r#"{"n":2,"size":"1536x1024","quality":"low"}"#;
        let found = rated(Endpoint::ImageGenerations, "gpt-image-1-mini", body, &Answer::default()).unwrap();
        // Two at 0.6 cents.
        assert_eq!(
            (found.cost, found.name.as_str()),
            (Nanos(12_000_000), "low/1536-x-1024/gpt-image-1-mini")
        );
        let tokens = Tokens { input: 10, image_output: 408, ..Tokens::default() };
        let answer = Answer { tokens: Some(tokens), ..Answer::default() };
        let found = rated(Endpoint::ImageGenerations, "gpt-image-1-mini", body, &answer).unwrap();
        // 10 at 2 and 408 at 8 dollars a million.
        assert_eq!((found.cost, found.name.as_str()), (Nanos(3_284_000), "gpt-image-1-mini"));
    }

    #[test]
    fn the_tier_that_served_is_the_one_that_is_billed() {
        let tokens = Tokens { input: 1000, output: 100, ..Tokens::default() };
        let answer = Answer {
            model: Some("gpt-4o-2024-08-06".to_owned()),
            tokens: Some(tokens),
            service_tier: Some("priority".to_owned()),
            ..Answer::default()
        };
        let found = rated(Endpoint::ChatCompletions, "gpt-4o", "", &answer).unwrap();
        // 1000 at 4.25 and 100 at 17 dollars a million.
        assert_eq!((found.cost, found.tier), (Nanos(5_950_000), Tier::Priority));
        assert_eq!((found.name.as_str(), found.version.as_str()), ("gpt-4o-2024-08-06", "2026-10-01"));
    }

    #[test]
    fn every_class_of_a_message_has_its_price_and_searches_have_one_beside_it() {
        let tokens = Tokens {
            input: 10,
            cached_input: 1_000,
            cache_write: 100,
            cache_write_long: 200,
            output: 50,
            ..Tokens::default()
        };
        let answer = Answer {
            model: Some("claude-haiku-4-5-20251001".to_owned()),
            tokens: Some(tokens),
            searches: 2,
            ..Answer::default()
        };
        let asked = Asked::default();
        let served = Served {
            account: AccountId(Uuid::nil()),
            provider: "anthropic",
            endpoint: Endpoint::Messages,
            model: "claude-haiku-4-5",
            service_tier: Some("standard_only"),
            asked: &asked,
            at: time::macros::datetime!(2026-12-01 00:00 UTC),
        };
        let found = served.rated(Catalogue::current(), &answer).unwrap();
        // 10 × 1 + 1,000 × 0.10 + 100 × 1.25 + 200 × 2 + 50 × 5 = 885 millionths, and twice a cent.
        assert_eq!((found.cost, found.tier), (Nanos(885_000 + 20_000_000), Tier::Standard));
        assert_eq!((found.units[0].name.as_str(), found.units[0].quantity), ("web_search", 2));
    }

    #[test]
    fn what_is_dearer_than_the_list_says_has_no_price() {
        let asked = Asked::default();
        let cost = |provider, model, answer: &Answer| {
            let served = Served {
                account: AccountId(Uuid::nil()),
                provider,
                endpoint: Endpoint::Messages,
                model,
                service_tier: None,
                asked: &asked,
                at: time::macros::datetime!(2026-12-01 00:00 UTC),
            };
            served.rated(Catalogue::current(), answer).map(|rated| rated.cost)
        };
        let tokens = Tokens { input: 100, image_input: 10, ..Tokens::default() };
        let of = |premium| Answer { tokens: Some(tokens), premium, ..Answer::default() };
        for premium in [Premium::Speed, Premium::Place] {
            assert_eq!(cost("anthropic", "claude-opus-5-5", &of(Some(premium))), None);
        }
        // 110 at 4 dollars a million.
        assert_eq!(cost("anthropic", "claude-opus-5-5", &of(None)), Some(Nanos(440_000)));
        // Moving pictures cost 27 times as much as others there, and as much as text elsewhere.
        assert_eq!(cost("google-ai-studio", "gemini-embedding-2", &of(Some(Premium::Video))), None);
        // 110 at 1.25 dollars a million.
        let video = of(Some(Premium::Video));
        assert_eq!(cost("google-ai-studio", "gemini-2.5-pro", &video), Some(Nanos(137_500)));
    }

    #[test]
    fn a_faster_answer_costs_what_the_operator_says() {
        let price = Price {
            tokens: TokenPrices { input: Some(Picos(1_000_000)), ..TokenPrices::default() },
            variants: vec![Variant {
                tier: Tier::Priority,
                above_input_tokens: 0,
                tokens: TokenPrices { input: Some(Picos(6_000_000)), ..TokenPrices::default() },
            }],
            ..Price::default()
        };
        assert!(knows(&price, Some(Premium::Speed)));
        let asked = Asked::default();
        let served = Served {
            account: AccountId(Uuid::nil()),
            provider: "anthropic",
            endpoint: Endpoint::Messages,
            model: "m",
            service_tier: Some("standard_only"),
            asked: &asked,
            at: time::macros::datetime!(2026-12-01 00:00 UTC),
        };
        let answer = Answer {
            tokens: Some(Tokens { input: 10, ..Tokens::default() }),
            service_tier: Some("standard".to_owned()),
            premium: Some(Premium::Speed),
            ..Answer::default()
        };
        let rated = served.by(&Found::of(&price, "m", "rule"), &answer).unwrap();
        assert_eq!((rated.cost, rated.tier), (Nanos(60_000), Tier::Priority));
    }

    #[test]
    fn nothing_said_is_not_nothing_used() {
        assert_eq!(rated(Endpoint::ChatCompletions, "gpt-4o", "", &Answer::default()), None);
        assert_eq!(rated(Endpoint::Transcriptions, "whisper-1", "", &Answer::default()), None);
        let tokens = |tokens| Answer { tokens: Some(tokens), ..Answer::default() };
        let counted = tokens(Tokens { input: 100, ..Tokens::default() });
        assert_eq!(rated(Endpoint::Speech, "gpt-4o-mini-tts", "", &counted), None);
        let reported = tokens(Tokens { input: 100, audio_output: 100, ..Tokens::default() });
        // 100 at 0.60 and 100 at 12 dollars a million.
        let found = rated(Endpoint::Speech, "gpt-4o-mini-tts", "", &reported).unwrap();
        assert_eq!(found.cost, Nanos(1_260_000));
        // Where characters are billed, counted words change nothing.
        for answer in [counted, Answer::default()] {
            let found = rated(Endpoint::Speech, "tts-1", r#"{"input":"Hello"}"#, &answer).unwrap();
            assert_eq!(found.cost, Nanos(75_000));
        }
    }
}
