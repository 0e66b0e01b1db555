//! Limits on calls, money and tokens: who is stopped by them, and what callers are told.

mod support;

use model::gateway::Technique;
use model::gateway::{Budget, GatewaySettings};
use model::limits::Period;
use model::terms::{AccountTerms, LimitDuration, SpendingLimit, Terms};
use model::usage::Outcome;
use model::{Nanos, Secret};
use serde_json::{Value, json};
use support::provider::Provider;
use support::{COMPLETION, Gateway, QUESTION, Setup, Told};

const DOLLAR: i64 = 1_000_000_000;
/// What a caller says who knows how long an answer he wants.
const SHORT: &str =
    r#"{"model":"gpt-4o-mini","max_tokens":10,"messages":[{"role":"user","content":"Hello, world!"}]}"#;

async fn gateway(shard: u8, setup: Setup) -> (Provider, Gateway) {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, shard, setup).await;
    (provider, gateway)
}

fn settings(settings: Value) -> GatewaySettings {
    serde_json::from_value(settings).unwrap_or_default()
}

fn rules(rules: Value) -> GatewaySettings {
    settings(json!({"spend_limits": {"enabled": true, "rules": rules}}))
}

/// An account without credits, which the desk has told Redis of.
fn own_keys(settings: GatewaySettings) -> Setup {
    Setup { settings, balance: Some(Nanos::ZERO), ..Setup::default() }
}

fn told_code(told: &Told) -> (u16, Option<u64>) {
    (told.status, told.json()["error"]["internal_code"].as_u64())
}

#[tokio::test]
async fn a_rate_limit_stops_callers_on_any_key_and_says_when_to_come_again() {
    let calls = settings(json!({"rate_limiting_limit": 2, "rate_limiting_interval": 3600}));
    let (provider, mut gateway) = gateway(100, Setup { settings: calls, ..Setup::on_credits(DOLLAR) }).await;
    let told = gateway.chat(QUESTION).await;
    assert_eq!((told.status, told.header("ratelimit-limit")), (200, "2"), "{}", told.text());
    assert_eq!(told.header("ratelimit-remaining"), "1");
    let reset: u64 = told.header("ratelimit-reset").parse().unwrap_or_default();
    assert!((1..=3600).contains(&reset), "{reset}");
    assert_eq!(gateway.on_credits(QUESTION).await.header("ratelimit-remaining"), "0");
    for told in [gateway.chat(QUESTION).await, gateway.on_credits(QUESTION).await] {
        assert_eq!(told_code(&told), (429, Some(2003)));
        assert_eq!(told.json()["error"]["message"], "Rate limited");
        assert_eq!(told.json()["error"]["type"], "rate_limit_error");
        assert_eq!(told.header("ratelimit-remaining"), "0");
        let seconds: u64 = told.header("retry-after").parse().unwrap_or_default();
        assert!((1..=3600).contains(&seconds), "{seconds}");
    }
    let headers = [("authorization", "Bearer sk-own"), ("cf-aig-event-id", "x")];
    let told = gateway.call("POST", &gateway.path("openai/chat/completions"), &headers, QUESTION).await;
    assert_eq!((told.status, &told.json()["error"][0]["code"]), (429, &2003.into()));
    assert_eq!(provider.times_asked(), 2);
    for _ in 0..2 {
        assert_eq!(gateway.record().await.outcome, Outcome::Answered);
    }
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.cause.as_str()), (Outcome::Refused, "rate_limited"));
}

#[tokio::test]
async fn the_operator_bounds_calls_on_credits_and_no_others() {
    let terms = Some(Terms { default_markup_ppm: 0, calls_a_minute: Some(2) });
    let (_provider, gateway) = gateway(101, Setup { terms, ..Setup::on_credits(DOLLAR) }).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let told = gateway.on_credits(QUESTION).await;
        statuses.push(told.status);
        if told.status == 429 {
            assert_eq!(told_code(&told), (429, Some(2018)));
            assert_eq!(told.json()["error"]["message"], "Wholesale Rate limited");
            assert!(!told.header("retry-after").is_empty());
        }
    }
    // A minute may begin in between.
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 2, "{statuses:?}");
    assert_eq!(gateway.chat(QUESTION).await.status, 200);
}

#[tokio::test]
async fn a_spend_rule_is_obeyed_and_told_as_documented() {
    // Two answers at 3,150 nano-dollars, and not a third.
    let limit = json!([{"id": "ab12cd34", "limitType": "cost", "limit": 0.0000175, "window": 86400, "technique": "fixed"}]);
    let (provider, mut gateway) = gateway(102, own_keys(rules(limit))).await;
    let mut passed = 0;
    loop {
        let told = gateway.chat(SHORT).await;
        if told.status == 429 {
            assert_eq!(told_code(&told), (429, Some(2041)));
            assert_eq!(
                told.json()["error"]["message"],
                "Spend limit exceeded: rule 'ab12cd34' (cost limit 0.0000175 per 86400s, fixed) for openai gpt-4o-mini"
            );
            assert!(!told.header("retry-after").is_empty());
            break;
        }
        assert_eq!(told.status, 200, "{}", told.text());
        passed += 1;
        // What was set aside gives way to what it came to.
        assert_eq!(gateway.record().await.cost, Some(Nanos(3150)));
    }
    assert!((2..=5).contains(&passed), "{passed}");
    assert_eq!(provider.times_asked(), passed);
}

#[tokio::test]
async fn a_spend_rule_bounds_what_credits_pay_for_more_closely() {
    let limit = json!([{"id": "a", "limitType": "cost", "limit": 0.0005, "window": 86400}]);
    let setup = Setup { settings: rules(limit), ..Setup::on_credits(DOLLAR) };
    let (_provider, gateway) = gateway(103, setup).await;
    let told = gateway.on_credits(QUESTION).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let bound: u64 = told.header("tollgate-output-limit").parse().unwrap_or_default();
    assert!((256..1000).contains(&bound), "{bound}");
    assert!(told.header("tollgate-budget-remaining").starts_with("0.0"), "{:?}", told.headers);
}

#[tokio::test]
async fn a_caller_who_names_no_length_is_served_while_a_short_answer_fits() {
    // Far less than the longest answer costs.
    let limit =
        json!([{"id": "a", "limitType": "cost", "limit": 0.001, "window": 86400, "technique": "fixed"}]);
    let (_provider, mut gateway) = gateway(104, own_keys(rules(limit))).await;
    for _ in 0..3 {
        let told = gateway.chat(QUESTION).await;
        assert_eq!(told.status, 200, "{}", told.text());
        assert_eq!(gateway.record().await.cost, Some(Nanos(3150)));
    }
}

#[tokio::test]
async fn what_a_rule_tells_apart_is_counted_apart() {
    let limit = json!([{
        "id": "a", "limitType": "cost", "limit": 0.0000175, "window": 86400, "technique": "fixed",
        "metadata": {"team": {"mode": "partition"}},
    }]);
    let (_provider, mut gateway) = gateway(105, own_keys(rules(limit))).await;
    let path = gateway.path("openai/chat/completions");
    let ask = async |gateway: &Gateway, team: &str| {
        let headers = [("authorization", "Bearer sk-own"), ("cf-aig-metadata", team)];
        gateway.call("POST", &path, &headers, SHORT).await.status
    };
    let mut red = 200;
    while red == 200 {
        red = ask(&gateway, r#"{"team":"red"}"#).await;
        gateway.record().await;
    }
    assert_eq!(red, 429);
    assert_eq!(ask(&gateway, r#"{"team":"blue"}"#).await, 200);
}

#[tokio::test]
async fn models_without_a_price_are_served_unless_the_gateway_minds() {
    let rule = json!([{"id": "a", "limitType": "cost", "limit": 1, "window": 60}]);
    let unknown = QUESTION.replace("gpt-4o-mini", "gpt-nobody-knows");
    let (provider, lax) = gateway(106, Setup { settings: rules(rule.clone()), ..Setup::default() }).await;
    assert_eq!(lax.chat(&unknown).await.status, 200);
    let minds = settings(json!({"spend_limits": {"enabled": true, "rules": rule, "unpriced": "refuse"}}));
    let strict = Gateway::start(provider.address, 107, Setup { settings: minds, ..Setup::default() }).await;
    let told = strict.chat(&unknown).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (400, Some("unpriced")));
    assert_eq!(told.json()["error"]["param"], "model");
    assert_eq!(strict.chat(QUESTION).await.status, 200);
    // Nor are what is answered before it is over, and what nobody here knows.
    let headers = [("authorization", "Bearer sk-own")];
    let later = r#"{"model":"gpt-4o-mini","input":"Hello","background":true}"#;
    for (method, rest, body, status, param) in [
        ("POST", "responses", later, 400, Some("background")),
        ("POST", "batches", "{}", 400, None),
        ("POST", "videos", "{}", 400, None),
        ("GET", "responses/resp_1", "", 200, None),
        ("POST", "files", "{}", 200, None),
    ] {
        let told = strict.call(method, &strict.path(&format!("openai/{rest}")), &headers, body).await;
        assert_eq!(told.status, status, "{rest}: {}", told.text());
        assert_eq!(told.json()["error"]["param"].as_str(), param, "{rest}");
        assert!(status == 200 || told.text().contains("'a' refuses what has no price"), "{}", told.text());
    }
    assert_eq!(provider.times_asked(), 4);
}

#[tokio::test]
async fn a_token_budget_stops_hard_or_only_tells() {
    let hard = settings(json!({"token_budget": {"limit": 200, "period": "month", "hard_stop": true}}));
    let (_provider, mut strict) = gateway(108, own_keys(hard)).await;
    let told = strict.chat(SHORT).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let left: i64 = told.header("tollgate-tokens-remaining").parse().unwrap_or_default();
    assert!((0..200).contains(&left), "{left}");
    strict.record().await;
    let long = SHORT.replace("10,", "500,");
    let told = strict.chat(&long).await;
    assert_eq!(told_code(&told), (429, Some(9022)));
    assert!(told.text().contains("200 tokens per month"), "{}", told.text());

    let soft = settings(json!({"token_budget": {"limit": 20, "period": "month", "hard_stop": false}}));
    let (_provider, mut lax) = gateway(109, own_keys(soft)).await;
    for _ in 0..3 {
        assert_eq!(lax.chat(SHORT).await.status, 200);
        lax.record().await;
    }
    assert_eq!(lax.chat(SHORT).await.header("tollgate-tokens-remaining"), "0");
}

#[tokio::test]
async fn an_accounts_own_limit_holds_for_all_of_its_gateways() {
    let limit =
        SpendingLimit { amount: Nanos(17_500), duration: LimitDuration::Daily, strategy: Technique::Fixed };
    let account_terms = AccountTerms { markup_ppm: None, spending_limit: Some(limit) };
    let setup = Setup { account_terms, ..own_keys(GatewaySettings::default()) };
    let (_provider, mut gateway) = gateway(110, setup).await;
    let elsewhere = gateway.path("openai/chat/completions").replace("/demo/", "/other/");
    let mut last = gateway.chat(SHORT).await;
    for _ in 0..6 {
        gateway.record().await;
        if last.status != 200 {
            break;
        }
        last = gateway.call("POST", &elsewhere, &[("authorization", "Bearer sk-own")], SHORT).await;
    }
    assert_eq!(told_code(&last), (429, Some(2041)));
    assert!(
        last.text().contains("the account's (cost limit 0.0000175 per 86400s, fixed)"),
        "{}",
        last.text()
    );
}

#[tokio::test]
async fn while_redis_is_away_own_keys_are_served_under_local_limits_and_credits_wait() {
    let calls = settings(json!({"rate_limiting_limit": 2, "rate_limiting_interval": 3600}));
    // Nobody listens there.
    let redis_url = Some(Secret::new("redis://127.0.0.1:1"));
    let setup = Setup { settings: calls, redis_url, ..Setup::on_credits(DOLLAR) };
    let (provider, gateway) = gateway(111, setup).await;
    let told = gateway.on_credits_once(QUESTION).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
    for status in [200, 200, 429] {
        assert_eq!(gateway.chat(QUESTION).await.status, status);
    }
    assert_eq!(provider.times_asked(), 2);
}

#[tokio::test]
async fn who_has_no_limits_asks_nobody() {
    let redis_url = Some(Secret::new("redis://127.0.0.1:1"));
    let (_provider, gateway) = gateway(112, Setup { redis_url, ..Setup::default() }).await;
    let told = gateway.chat(QUESTION).await;
    assert_eq!((told.status, told.header("ratelimit-limit")), (200, ""));
}

#[tokio::test]
async fn a_tokens_budget_holds_for_its_own_requests_alone() {
    let budget = Budget { limit: Nanos(17_500), period: Period::Month, hard_stop: true };
    let setup = Setup { token_budget: Some(budget), ..own_keys(GatewaySettings::default()) };
    let (_provider, mut gateway) = gateway(113, setup).await;
    let path = gateway.path("openai/chat/completions");
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", "Bearer sk-own"), ("cf-aig-authorization", token.as_str())];
    let mut told = gateway.call("POST", &path, &headers, SHORT).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(!told.header("tollgate-budget-remaining").is_empty());
    for _ in 0..6 {
        gateway.record().await;
        told = gateway.call("POST", &path, &headers, SHORT).await;
        if told.status != 200 {
            break;
        }
    }
    assert_eq!((told.status, &told.json()["error"][0]["code"]), (429, &2041.into()));
    assert!(told.text().contains("the token's (cost limit 0.0000175 per month)"), "{}", told.text());
    assert_eq!(gateway.chat(SHORT).await.status, 200);
}

#[tokio::test]
async fn nobody_gets_around_a_limit_on_spending_with_prices_of_his_own() {
    let budget = Budget { limit: Nanos(17_500), period: Period::Month, hard_stop: true };
    let setup = Setup { token_budget: Some(budget), ..own_keys(GatewaySettings::default()) };
    let (_provider, mut gateway) = gateway(114, setup).await;
    let path = gateway.path("openai/chat/completions");
    let token = format!("Bearer {}", gateway.token);
    let own = [("authorization", "Bearer sk-own"), ("cf-aig-authorization", token.as_str())];
    let priced = |price| [own[0], own[1], ("cf-aig-custom-cost", price)];
    let free = priced(r#"{"per_token_in":0,"per_token_out":0}"#);
    assert_eq!(gateway.call("POST", &path, &free, SHORT).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.custom_cost), (Some(Nanos(3150)), false));
    // Dearer is as he likes: nine tokens at a thousand nano-dollars.
    let dear = priced(r#"{"per_token_in":0.000001,"per_token_out":0}"#);
    assert_eq!(gateway.call("POST", &path, &dear, SHORT).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.custom_cost), (Some(Nanos(9000)), true));
    assert_eq!(gateway.call("POST", &path, &dear, SHORT).await.status, 429);
    gateway.record().await;
    // Where nothing is limited it is a matter of reporting.
    let told = gateway.call("POST", &path, &[own[0], free[2]], SHORT).await;
    assert_eq!(told.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.custom_cost), (Some(Nanos::ZERO), true));
}

#[tokio::test]
async fn what_multiplies_a_request_is_set_aside_or_refused() {
    let limit =
        json!([{"id": "a", "limitType": "cost", "limit": 0.0002, "window": 86400, "technique": "fixed"}]);
    let (provider, gateway) = gateway(115, own_keys(rules(limit))).await;
    // Ten tokens of one answer fit, and of a hundred do not.
    let many = |n: &str| SHORT.replacen('{', &format!("{{{n},"), 1);
    for (body, status) in [
        (SHORT.to_owned(), 200),
        (many(r#""n":100"#), 429),
        (many(r#""n":1,"\u006e":100"#), 400),
        (many(r#""n":1e2"#), 400),
    ] {
        let told = gateway.chat(&body).await;
        assert_eq!(told.status, status, "{body}: {}", told.text());
        assert!(status != 400 || told.json()["error"]["param"] == "n", "{}", told.text());
    }
    // A picture costs what its question says: 272 tokens at 40 dollars a million.
    let picture = r#"{"model":"gpt-image-1","prompt":"A cat","size":"1024x1024","quality":"low"}"#;
    let headers = [("authorization", "Bearer sk-own")];
    let path = gateway.path("openai/images/generations");
    assert_eq!(gateway.call("POST", &path, &headers, picture).await.status, 429);
    assert_eq!(provider.times_asked(), 1);
}
