//! Providers beside OpenAI and Anthropic on credits: what they are told, what is held, and what is charged
//! to the nano-dollar, however each tells what it used.

#![expect(clippy::unwrap_used, reason = "what tests share, which the lint does not take for tests")]

mod support;

use model::id::PriceRuleId;
use model::prices::{ModelRule, Price, PriceRule, TokenPrices};
use model::usage::{Provenance, Tokens};
use model::{Nanos, Picos};
use serde_json::{Value, json};
use support::provider::{Provider, whole};
use support::{Gateway, OPERATORS_KEY, Setup, Told};
use time::OffsetDateTime;
use uuid::Uuid;

const DOLLAR: i64 = 1_000_000_000;

/// A provider that answers everything with this, and a gateway whose operator has a key for it.
async fn sold(
    shard: u8,
    slug: &'static str,
    kind: &'static str,
    answer: &'static str,
    setup: Setup,
) -> (Provider, Gateway) {
    let provider = Provider::answering(move |_| Box::pin(async move { whole(200, kind, answer) })).await;
    let others = vec![(slug, provider.address)];
    let gateway = Gateway::start(provider.address, shard, Setup { sold: slug, others, ..setup }).await;
    (provider, gateway)
}

async fn ask(gateway: &Gateway, slug: &str, body: &Value) -> Told {
    gateway.on_credits_at(&format!("{slug}/chat/completions"), &body.to_string()).await
}

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello, world!"}]})
}

fn streamed(model: &str) -> Value {
    let mut question = question(model);
    question["stream"] = json!(true);
    question
}

fn sent(provider: &Provider) -> Value {
    let asked = provider.asked();
    assert_eq!(asked.headers["authorization"], format!("Bearer {OPERATORS_KEY}"));
    serde_json::from_slice(&asked.body).unwrap()
}

/// Of 100 tokens, 64 were cached; of 50, 20 were thought.
const GROQ: &str = r#"{"id":"c","object":"chat.completion","model":"openai/gpt-oss-120b","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning":"Hm"},"finish_reason":"stop"}],"usage":{"queue_time":0.1,"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":20}},"service_tier":"on_demand","x_groq":{"id":"r"}}"#;
/// 36 at 150,000 pico-dollars, 64 at 75,000 and 50 at 600,000.
const GROQ_COST: Nanos = Nanos(40_200);

#[tokio::test]
async fn groq_is_told_the_bound_in_its_own_words_and_charged_exactly() {
    let (provider, mut gateway) =
        sold(218, "groq", "application/json", GROQ, Setup::on_credits(DOLLAR)).await;
    let told = ask(&gateway, "groq", &question("openai/gpt-oss-120b")).await;
    assert_eq!((told.status, told.text()), (200, GROQ));
    assert_eq!(told.header("tollgate-output-limit"), "16384");
    let sent = sent(&provider);
    assert_eq!(sent["max_completion_tokens"], 16_384);
    assert!(sent.get("store").is_none() && sent.get("max_tokens").is_none());
    let record = gateway.record().await;
    assert_eq!((record.provider.as_str(), record.charge), ("groq", GROQ_COST));
    let expected = Tokens { input: 36, cached_input: 64, output: 30, reasoning: 20, ..Tokens::default() };
    assert_eq!((record.tokens, record.provenance), (expected, Provenance::Reported));
    assert_eq!(gateway.paid().await, GROQ_COST);
    let figures = gateway.figures().await;
    assert_eq!(figures.free + figures.held + figures.unposted, Nanos(DOLLAR));
}

/// As Groq streams: the usage stands in the last chunk under a name of its own.
const GROQ_STREAM: &str = "data: {\"id\":\"c\",\"model\":\"openai/gpt-oss-120b\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}],\"x_groq\":{\"id\":\"r\"}}\n\n\
    data: {\"id\":\"c\",\"model\":\"openai/gpt-oss-120b\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50,\"total_tokens\":150}}}\n\n\
    data: [DONE]\n\n";

#[tokio::test]
async fn a_stream_of_groqs_is_charged_by_the_usage_that_it_tells_unasked() {
    let (provider, mut gateway) =
        sold(219, "groq", "text/event-stream", GROQ_STREAM, Setup::on_credits(DOLLAR)).await;
    let told = ask(&gateway, "groq", &streamed("openai/gpt-oss-120b")).await;
    assert_eq!((told.status, told.text()), (200, GROQ_STREAM));
    assert_eq!(sent(&provider)["stream_options"], json!({"include_usage": true}));
    let record = gateway.record().await;
    // 100 at 150,000 pico-dollars and 50 at 600,000.
    assert_eq!((record.charge, record.provenance), (Nanos(45_000), Provenance::Reported));
    assert_eq!(gateway.paid().await, Nanos(45_000));
}

const MISTRAL_STREAM: &str = "data: {\"id\":\"c\",\"model\":\"mistral-large-latest\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}]}\n\n\
    data: {\"id\":\"c\",\"model\":\"mistral-large-latest\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12}}\n\n\
    data: [DONE]\n\n";

#[tokio::test]
async fn mistral_is_not_asked_for_the_usage_that_it_tells_anyway() {
    let setup = Setup::on_credits(DOLLAR);
    let (provider, mut gateway) = sold(220, "mistral", "text/event-stream", MISTRAL_STREAM, setup).await;
    let told = ask(&gateway, "mistral", &streamed("mistral-large-latest")).await;
    assert_eq!((told.status, told.text()), (200, MISTRAL_STREAM));
    let sent = sent(&provider);
    assert!(sent.get("stream_options").is_none());
    assert_eq!(sent["max_tokens"], 16_384);
    // 10 at 500,000 pico-dollars and 2 at 1,500,000.
    assert_eq!(gateway.record().await.charge, Nanos(8_000));
    assert_eq!(gateway.paid().await, Nanos(8_000));

    let mut asks = streamed("mistral-large-latest");
    asks["stream_options"] = json!({"include_usage": true});
    let told = ask(&gateway, "mistral", &asks).await;
    assert_eq!((told.status, &told.json()["error"]["param"]), (400, &json!("stream_options")));
    assert_eq!(provider.times_asked(), 1);
}

/// As xAI tells it: what was thought is in the total and not in the completion.
const GROK: &str = r#"{"id":"c","object":"chat.completion","model":"grok-4.7","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"text_tokens":32,"audio_tokens":0,"image_tokens":0,"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":94,"audio_tokens":0},"num_sources_used":0}}"#;

#[tokio::test]
async fn what_grok_thinks_is_held_at_its_longest_and_charged_beside_the_answer() {
    let setup = Setup::on_credits(2 * DOLLAR);
    let (provider, poor) = sold(221, "grok", "application/json", GROK, setup).await;
    let told = ask(&poor, "grok", &question("grok-4.7")).await;
    // 500,000 tokens at 6 dollars a million, and a little for what is read.
    assert_eq!(told.status, 402);
    assert!(told.text().contains("needs $3.00"), "{}", told.text());
    assert_eq!(provider.times_asked(), 0);

    let setup = Setup::on_credits(4 * DOLLAR);
    let (provider, mut rich) = sold(222, "grok", "application/json", GROK, setup).await;
    let told = ask(&rich, "grok", &question("grok-4.7")).await;
    assert_eq!((told.status, told.header("tollgate-output-limit")), (200, "16384"));
    assert_eq!(sent(&provider)["max_completion_tokens"], 16_384);
    let record = rich.record().await;
    // 32 at 2 dollars a million, and 9 and 94 at 6.
    assert_eq!((record.charge, record.tokens.reasoning), (Nanos(682_000), 94));
    assert_eq!(rich.paid().await, Nanos(682_000));
}

const ROUTED: &str = r#"{"id":"c","object":"chat.completion","model":"meta/llama","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.5}}"#;

#[tokio::test]
async fn who_has_no_prices_is_sold_at_the_operators() {
    let tokens = TokenPrices {
        input: Some(Picos(1_000_000)),
        output: Some(Picos(2_000_000)),
        ..TokenPrices::default()
    };
    let rule = PriceRule {
        id: PriceRuleId(Uuid::from_u128(7)),
        provider: "openrouter".to_owned(),
        model: "meta/llama".to_owned(),
        model_rule: ModelRule::Equals,
        account: None,
        effective_from: OffsetDateTime::UNIX_EPOCH,
        enable: true,
        price: Price { tokens, max_output_tokens: Some(1_000), ..Price::default() },
    };
    let setup = Setup { operators_prices: vec![rule], ..Setup::on_credits(DOLLAR) };
    let (provider, mut gateway) = sold(223, "openrouter", "application/json", ROUTED, setup).await;
    let told = ask(&gateway, "openrouter", &question("meta/other")).await;
    assert_eq!((told.status, &told.json()["error"]["code"]), (402, &json!("not_on_credits")));
    assert!(told.text().contains("the price list has no model of this provider"), "{}", told.text());
    assert_eq!(gateway.record().await.charge, Nanos::ZERO);

    let told = ask(&gateway, "openrouter", &question("meta/llama")).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(sent(&provider)["max_tokens"], 1_000);
    assert_eq!(gateway.record().await.charge, Nanos(20_000));
    let token = format!("Bearer {}", gateway.token);
    let path = gateway.path("openrouter/models");
    let told = gateway.call("GET", &path, &[("authorization", &token)], "").await;
    assert_eq!(told.json()["data"][0]["id"], "meta/llama");
    assert_eq!(told.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_searches_is_refused_before_anybody_is_asked() {
    let setup = Setup::on_credits(DOLLAR);
    let (provider, mut gateway) = sold(224, "perplexity-ai", "application/json", ROUTED, setup).await;
    let told = ask(&gateway, "perplexity-ai", &question("sonar")).await;
    assert_eq!((told.status, &told.json()["error"]["code"]), (400, &json!("forbidden_on_credits")));
    assert_eq!(gateway.record().await.charge, Nanos::ZERO);
    assert_eq!(provider.times_asked(), 0);
}

const UNTOLD: &str = "data: {\"id\":\"c\",\"model\":\"deepseek-ai/DeepSeek-V3\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello there\"}}]}\n\n\
    data: {\"id\":\"c\",\"model\":\"deepseek-ai/DeepSeek-V3\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: [DONE]\n\n";

/// What is held for it: the output that it was limited to, and what its bytes can be read as, at 200,000
/// pico-dollars a token.
fn held(question: &Value) -> Nanos {
    Nanos((16_384 + 512 + question.to_string().len() as i64) * 200)
}

#[tokio::test]
async fn a_stream_that_hides_what_it_cost_is_charged_what_was_held() {
    let setup = Setup::on_credits(DOLLAR);
    let (_provider, mut gateway) = sold(225, "hyperbolic", "text/event-stream", UNTOLD, setup).await;
    let question = streamed("deepseek-ai/DeepSeek-V3");
    let told = ask(&gateway, "hyperbolic", &question).await;
    assert_eq!((told.status, told.text()), (200, UNTOLD));
    let record = gateway.record().await;
    assert_eq!((record.provenance, record.charge), (Provenance::None, held(&question)));
    assert_eq!(gateway.paid().await, record.charge);
}

const UNTOLD_WHOLE: &str = r#"{"id":"c","object":"chat.completion","model":"deepseek-ai/DeepSeek-V3","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn an_answer_without_usage_is_estimated() {
    let setup = Setup::on_credits(DOLLAR);
    let (_provider, mut gateway) = sold(226, "hyperbolic", "application/json", UNTOLD_WHOLE, setup).await;
    assert_eq!(ask(&gateway, "hyperbolic", &question("deepseek-ai/DeepSeek-V3")).await.status, 200);
    let record = gateway.record().await;
    assert_eq!(record.provenance, Provenance::Estimated);
    let tokens = i64::try_from(record.tokens.input + record.tokens.output).unwrap();
    assert_eq!((record.tokens.output, record.charge), (2, Nanos(tokens * 200)));
    assert_eq!(gateway.paid().await, record.charge);
}
