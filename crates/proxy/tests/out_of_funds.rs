//! What a provider tells as the caller's fault, although it is the operator's: that his key is not served any
//! more. No tenant can do anything about that.

mod support;

use model::Nanos;
use model::usage::Outcome;
use support::provider::{Provider, whole};
use support::{Gateway, Operators, Setup};

const QUESTION: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":50,"messages":[{"role":"user","content":"Hello"}]}"#;
const OUT_OF_FUNDS: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}"#;
const WRONG: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages: your credit balance is too low"}}"#;
const MESSAGE: &str = r#"{"type":"message","model":"claude-haiku-4-5-20251001","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":9,"output_tokens":3}}"#;
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// A provider for which the first of two keys is not paid any more.
async fn half_paid() -> Provider {
    Provider::answering(|asked| {
        let is_paid = asked.headers["x-api-key"] != "sk-unpaid";
        let answer = match is_paid {
            true => whole(200, "application/json", MESSAGE),
            false => whole(400, "application/json", OUT_OF_FUNDS),
        };
        Box::pin(async { answer })
    })
    .await
}

async fn gateway(provider: &Provider, shard: u8, keys: &[&'static str]) -> Gateway {
    let key = |(priority, secret): (u32, &&'static str)| Operators { secret, priority, cancel: None };
    let operator_keys = (0..).zip(keys).map(key).collect();
    let others = vec![("anthropic", provider.address)];
    let setup = Setup { operator_keys, sold: "anthropic", others, ..Setup::on_credits(1_000_000_000) };
    Gateway::start(provider.address, shard, setup).await
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)]) -> support::Told {
    let path = gateway.path("anthropic/v1/messages");
    gateway.call("POST", &path, &[headers, &[VERSION]].concat(), QUESTION).await
}

#[tokio::test]
async fn an_operator_who_has_not_paid_is_no_fault_of_the_callers() {
    let provider = half_paid().await;
    let mut gateway = gateway(&provider, 0xda, &["sk-unpaid", "sk-paid"]).await;
    let token = [("x-api-key", gateway.token.clone())];
    let token = token.each_ref().map(|(name, value)| (*name, value.as_str()));
    let told = ask(&gateway, &token).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (502, Some("operator_key_refused")));
    assert!(!told.text().contains("balance"), "{}", told.text());
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.charge), (Outcome::Failed, Nanos::ZERO));
    // That key rests, and the next one serves.
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &token).await.status, 200);
        assert_eq!(provider.asked().headers["x-api-key"], "sk-paid");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_the_provider_tells_it() {
    let provider = Provider::answering(|_| Box::pin(async { whole(400, "application/json", WRONG) })).await;
    let mut gateway = gateway(&provider, 0xdb, &["sk-one"]).await;
    let token = gateway.token.clone();
    for _ in 0..2 {
        let told = ask(&gateway, &[("x-api-key", &token)]).await;
        assert_eq!((told.status, told.text()), (400, WRONG));
        let record = gateway.record().await;
        assert_eq!((record.outcome, record.status, record.charge), (Outcome::Answered, 400, Nanos::ZERO));
    }
}

#[tokio::test]
async fn who_has_not_paid_himself_is_told_so() {
    let provider = half_paid().await;
    let gateway = gateway(&provider, 0xdc, &["sk-paid"]).await;
    let token = gateway.token.clone();
    let told = ask(&gateway, &[("x-api-key", "sk-unpaid"), ("cf-aig-authorization", &token)]).await;
    assert_eq!((told.status, told.text()), (400, OUT_OF_FUNDS));
}
