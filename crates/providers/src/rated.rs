//! What a request cost: its usage against the price that holds for it.

use model::money::Unrounded;
use model::prices::{Price, Tier};
use model::usage::Unit;
use model::{AccountId, Nanos};
use time::OffsetDateTime;

use crate::answer::Answer;
use crate::anthropic;
use crate::endpoint::Endpoint;
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
        found.and_then(|found| self.by(&found, answer)).or_else(|| {
            let Asked { quality, size, .. } = self.asked;
            let found = catalogue.picture(self.provider, self.model, quality, size, self.at)?;
            self.by(&found, answer)
        })
    }

    /// Rates an answer by a price that is known already, such as a caller's own.
    pub fn by(&self, found: &Found<'_>, answer: &Answer) -> Option<Rated> {
        let price: &Price = found.price;
        let tier =
            answer.service_tier.as_deref().or(self.service_tier).map(Tier::from_word).unwrap_or_default();
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

#[cfg(test)]
mod tests {
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
