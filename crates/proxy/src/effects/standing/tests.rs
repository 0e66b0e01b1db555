use policy::facts::Tokens;
use uuid::Uuid;

use super::window::How;
use super::*;

const NOW: u64 = 1_790_000_000_000;
const ONE: (AccountId, GatewayInternalId) =
    (AccountId(Uuid::from_u128(1)), GatewayInternalId(Uuid::from_u128(11)));
/// Another gateway of the same account.
const SECOND: (AccountId, GatewayInternalId) = (ONE.0, GatewayInternalId(Uuid::from_u128(12)));
const STRANGER: (AccountId, GatewayInternalId) =
    (AccountId(Uuid::from_u128(2)), GatewayInternalId(Uuid::from_u128(21)));

fn attempt(how: How) -> Attempt {
    let tokens = Tokens { provider_input: 10, ..Tokens::default() };
    Attempt { how, own: 1_000, upstream: 200_000, first_token: None, per_token: None, tokens }
}

/// What an attempt of a gateway's is counted under.
fn count(standing: &Standing, whose: (AccountId, GatewayInternalId), model: ModelAt, how: How) {
    if model.is_shared {
        standing.note(Owner::Everybody, By::Everybody, Some(model), &attempt(how), NOW);
    }
    standing.note(Owner::Account(whose.0), By::Account, Some(model), &attempt(how), NOW);
    standing.note(Owner::Account(whose.0), By::Gateway(whose.1), Some(model), &attempt(how), NOW);
}

#[test]
fn everybody_the_account_and_the_gateway_are_told_apart() {
    let standing = Standing::default();
    let model = ModelAt::of("openai", "gpt-4o", true);
    for whose in [ONE, ONE, SECOND, STRANGER] {
        count(&standing, whose, model, How::Well);
    }
    count(&standing, ONE, ModelAt::of("openai", "gpt-4o-mini", true), How::Provider);
    let counted = |whose, of| standing.metrics(whose, model, of, NOW).request_count;
    assert_eq!(counted(ONE, MetricsOf::Everybody), 4);
    assert_eq!(counted(ONE, MetricsOf::Region), 4);
    assert_eq!(counted(ONE, MetricsOf::Account), 3);
    assert_eq!(counted(ONE, MetricsOf::Endpoint), 2);
    assert_eq!(counted(SECOND, MetricsOf::Endpoint), 1);
    assert_eq!(counted(STRANGER, MetricsOf::Account), 1);
    // What others use is nobody's business.
    assert_eq!(standing.metrics(ONE, model, MetricsOf::Everybody, NOW).token, None);
    assert!(standing.metrics(ONE, model, MetricsOf::Account, NOW).token.is_some());
}

#[test]
fn what_is_at_an_address_of_a_policys_own_is_not_everybodys() {
    let standing = Standing::default();
    let model = ModelAt::of("ollama", "llama3.2:1b", false);
    count(&standing, ONE, model, How::Provider);
    assert_eq!(standing.metrics(ONE, model, MetricsOf::Everybody, NOW).request_count, 1);
    assert_eq!(standing.metrics(STRANGER, model, MetricsOf::Everybody, NOW).request_count, 0);
}

#[test]
fn a_quota_is_that_of_a_key_with_a_model_and_good_for_a_minute() {
    let standing = Standing::default();
    let (model, other) = (ModelAt::of("openai", "gpt-4o", true), ModelAt::of("openai", "gpt-4o-mini", true));
    let quota = catalog::Quota { remaining_requests: Some(0), ..catalog::Quota::default() };
    standing.told(ONE.0, "key_a", Some(model), quota, NOW);
    let left = |whose: (AccountId, _), key, model, now| {
        standing.key(whose.0, key, Some(model), now).0.remaining_requests
    };
    assert_eq!(left(ONE, "key_a", model, NOW + 59_999), Some(0));
    assert_eq!(left(ONE, "key_a", model, NOW + 60_000), None);
    assert_eq!(left(ONE, "key_a", other, NOW), None);
    assert_eq!(left(ONE, "key_b", model, NOW), None);
    assert_eq!(left(STRANGER, "key_a", model, NOW), None);
    // An answer that says nothing takes nothing back.
    standing.told(ONE.0, "key_a", Some(model), catalog::Quota::default(), NOW);
    assert_eq!(left(ONE, "key_a", model, NOW), Some(0));
}

#[test]
fn a_key_that_fails_with_one_model_is_known_to_fail() {
    let standing = Standing::default();
    let model = ModelAt::of("openai", "gpt-4o", true);
    let owner = Owner::Account(ONE.0);
    standing.note(owner, By::Key("key_a"), None, &attempt(How::Caller), NOW);
    let rates = standing.key(ONE.0, "key_a", Some(model), NOW).1;
    assert_eq!((rates.total, rates.client), (1.0, 1.0));
    assert_eq!(standing.key(STRANGER.0, "key_a", Some(model), NOW).1, ErrorRates::default());
}

#[test]
fn an_account_cannot_have_what_is_others_forgotten() {
    let standing = Standing::default();
    let model = ModelAt::of("openai", "gpt-4o", true);
    // Two of one shard.
    let stranger = (AccountId(Uuid::from_u128(0x100 + 1)), STRANGER.1);
    assert_eq!(stranger.0.shard(), ONE.0.shard());
    count(&standing, stranger, model, How::Well);
    for number in 0..5_000 {
        count(&standing, ONE, ModelAt::of("openai", &format!("model-{number}"), true), How::Well);
    }
    assert_eq!(standing.metrics(stranger, model, MetricsOf::Account, NOW).request_count, 1);
    let first = ModelAt::of("openai", "model-0", true);
    assert_eq!(standing.metrics(ONE, first, MetricsOf::Account, NOW).request_count, 0);
    let last = ModelAt::of("openai", "model-4999", true);
    assert_eq!(standing.metrics(ONE, last, MetricsOf::Account, NOW).request_count, 1);
}

#[test]
fn an_attempt_is_counted_as_the_provider_was_heard() {
    let standing = Standing::default();
    let model = ModelAt::of("openai", "gpt-4o", true);
    let key: Arc<str> = "key_a".into();
    let planned = || Watched::new(ONE, Some(model), Some(Arc::clone(&key)));
    let mut record = model::samples::usage_record(Uuid::from_u128(5), ONE.0);
    record.timings.upstream_last_byte = 0;
    let end = |watched: &Watched| standing.ended(watched, &record, Duration::from_millis(70), NOW);
    let heard = |status: u16| {
        let mut watched = planned();
        let status = http::StatusCode::from_u16(status).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("x-ratelimit-remaining-requests", http::HeaderValue::from_static("3"));
        watched.answered(&standing, catalog::QuotaHeaders::OPENAI, status, &headers, NOW);
        watched
    };
    // Nobody was asked.
    end(&planned());
    for status in [200, 429, 401, 503] {
        end(&heard(status));
    }
    let mut broke_off = heard(200);
    broke_off.refused(&crate::refusal::Refusal::ProviderStill { provider: "openai".into(), seconds: 1 });
    end(&broke_off);
    // What we refuse ourselves says nothing of the provider.
    let mut refused = planned();
    refused.refused(&crate::refusal::Refusal::Stopping);
    end(&refused);
    let metrics = standing.metrics(ONE, model, MetricsOf::Key("key_a"), NOW);
    let rates = ErrorRates { total: 0.8, timeout: 0.2, rate_limit: 0.2, client: 0.2, server: 0.2 };
    assert_eq!((metrics.request_count, metrics.error_rate), (5, rates));
    assert_eq!(metrics.latency.upstream.0, 70);
    assert_eq!(metrics.quota.and_then(|quota| quota.remaining_requests), Some(3));
    assert_eq!(standing.keys(ONE.0, model), [key]);
    assert_eq!(standing.metrics(ONE, model, MetricsOf::Key("key_b"), NOW).request_count, 0);
}
