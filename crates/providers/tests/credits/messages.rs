//! Anthropic's messages on credits, as a property.

use bytes::Bytes;
use model::prices::Tier;
use model::usage::Tokens;
use model::{AccountId, Nanos};
use proptest::prelude::*;
use providers::credits::Unbounded;
use providers::prices::Catalogue;
use providers::splice::Splices;
use providers::{Endpoint, catalog};
use serde_json::{Value, json};

use super::{NOW, RICH, allowed_at, bounded_at};

/// Messages with all that the bound depends on, and how many lifetimes the cache may be written for.
fn messages() -> impl Strategy<Value = (Value, usize)> {
    let models = Catalogue::current().models("anthropic").filter(|(_, price)| price.mode == "chat");
    let models: Vec<_> = models.map(|(name, _)| name).collect();
    let parts = prop::collection::vec((0..5_u8, "[a-zé你 ]{0,60}", 0..3_usize), 1..5);
    let (limit, budget) = (1..200_000_u64, prop::option::of(1..40_000_u64));
    (prop::sample::select(models), parts, limit, budget, any::<bool>(), any::<bool>()).prop_map(
        |(model, parts, limit, budget, has_tools, stream)| {
            let mut cached = 0;
            let part = |(kind, text, cache): &(u8, String, usize)| {
                let mut part = match kind {
                    0 => json!({"type": "image", "source": {"type": "url", "url": text}}),
                    1 => json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}}),
                    2 => json!({"type": "document", "source": {"type": "base64", "data": text}}),
                    _ => json!({"type": "text", "text": text}),
                };
                cached = cached.max(*cache);
                if *cache > 0 {
                    let ttl = ["5m", "1h"][cache - 1];
                    part["cache_control"] = json!({"type": "ephemeral", "ttl": ttl});
                }
                part
            };
            let content: Vec<Value> = parts.iter().map(part).collect();
            let messages = [json!({"role": "user", "content": content})];
            let mut body = json!({"model": model, "max_tokens": limit, "messages": messages, "stream": stream});
            if let Some(budget) = budget {
                body["thinking"] = json!({"type": "enabled", "budget_tokens": budget});
            }
            if has_tools {
                body["tools"] = json!([{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]);
            }
            (body, cached)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_message_costs_more_than_was_held(
        (body, cached) in messages(), shares: [u32; 5], share in 0..=100_u8,
    ) {
        let provider = catalog::find("anthropic").unwrap();
        let text = Bytes::from(body.to_string());
        let facts = allowed_at(provider, Endpoint::Messages, &text);
        // What thinks more than it may say is refused.
        let Ok(facts) = facts else { return Ok(()) };
        let whole = bounded_at(provider, &facts, RICH).unwrap();
        let affordable = Nanos((i128::from(whole.whole.0) * i128::from(share) / 100) as i64);
        let bound = match bounded_at(provider, &facts, affordable) {
            Ok(bound) => bound,
            Err(Unbounded::TooLittle { .. }) => whole.clone(),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert!(bound.hold == bound.whole && bound.whole <= whole.whole);
        let shares = shares.map(u128::from);
        let mut writes = [0; 2];
        writes[..cached].copy_from_slice(&shares[2..2 + cached]);
        let all = (shares[0] + shares[1] + writes[0] + writes[1]).max(1);
        let read = |share: u128| u64::try_from(u128::from(bound.input_tokens) * share / all).unwrap();
        let used = Tokens {
            input: read(shares[0]),
            cached_input: read(shares[1]),
            cache_write: read(writes[0]),
            cache_write_long: read(writes[1]),
            reasoning: bound.output_tokens / 2,
            output: bound.output_tokens - bound.output_tokens / 2,
            ..Tokens::default()
        };
        let found = Catalogue::current().price(AccountId::INSTALLATION, "anthropic", facts.model(), NOW);
        let cost = found.unwrap().price.rate(&used, Tier::Standard).unwrap();
        prop_assert!(cost <= bound.whole, "{cost} of {} for {body}", bound.whole);
        // It may be sent as it is prepared, with room for what is said after what is thought.
        let mut splices = Splices::default();
        bound.splice(&facts, &text, &mut splices);
        let prepared = splices.apply(&text);
        prop_assert!(allowed_at(provider, Endpoint::Messages, &prepared).is_ok());
        let prepared: Value = serde_json::from_slice(&prepared).unwrap();
        prop_assert_eq!(&prepared["max_tokens"], &json!(bound.output_tokens));
    }
}
