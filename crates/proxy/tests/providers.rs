//! Providers other than OpenAI: each is reached by any of its names, in its own place and with a key where
//! it expects one, and recorded and priced under one name.

mod support;

use http::HeaderMap;
use support::provider::Provider;
use support::{COMPLETION, Gateway, Setup};

const KEYS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Every credential that reached a provider.
fn credentials(headers: &HeaderMap) -> Vec<(&str, &str)> {
    KEYS.iter().filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?))).collect()
}

async fn before(provider: &Provider, shard: u8) -> Gateway {
    let names = ["grok", "google-ai-studio", "groq", "deepseek", "openrouter", "z-ai"];
    let others = names.map(|name| (name, provider.address)).to_vec();
    Gateway::start(provider.address, shard, Setup { others, ..Setup::default() }).await
}

#[tokio::test]
async fn a_provider_is_called_by_any_of_its_names_and_recorded_under_one() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = before(&provider, 0xd0).await;
    let key = [("authorization", "Bearer own"), ("content-type", "application/json")];
    for (path, model, slug, reached) in [
        ("grok/v1/chat/completions", "grok-4.3", "grok", "/v1/chat/completions"),
        ("xai/chat/completions", "grok-4.3", "grok", "/v1/chat/completions"),
        ("groq/openai/v1/chat/completions", "openai/gpt-oss-20b", "groq", "/v1/chat/completions"),
        ("groq/v1/chat/completions", "openai/gpt-oss-20b", "groq", "/v1/chat/completions"),
        ("deepseek/chat/completions", "deepseek-chat", "deepseek", "/v1/chat/completions"),
        ("openrouter/api/v1/chat/completions", "x/y", "openrouter", "/v1/chat/completions"),
        ("z-ai/chat/completions", "glm-5", "z-ai", "/v1/chat/completions"),
        ("google/v1beta/openai/chat/completions", "m", "google-ai-studio", "/v1beta/openai/chat/completions"),
    ] {
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        let told = gateway.call("POST", &gateway.path(path), &key, &body).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        let asked = provider.asked();
        assert_eq!((asked.path.as_str(), asked.body.as_ref()), (reached, body.as_bytes()), "{path}");
        assert_eq!(credentials(&asked.headers), [("authorization", "Bearer own")], "{path}");
        let record = gateway.record().await;
        assert_eq!((record.provider.as_str(), record.model_asked.as_str()), (slug, model));
        let is_priced = !matches!(slug, "openrouter" | "google-ai-studio");
        assert_eq!((record.tokens.output, record.cost.is_some()), (3, is_priced), "{path}");
    }
    let told = gateway.call("POST", &gateway.path("XAI/chat/completions"), &key, "{}").await;
    assert_eq!(told.status, 400, "{}", told.text());
}

#[tokio::test]
async fn a_compat_model_names_its_provider_by_any_name_and_goes_to_its_own_place() {
    let provider = Provider::saying(COMPLETION).await;
    let mut gateway = before(&provider, 0xd1).await;
    let key = [("authorization", "Bearer own")];
    for (named, slug, reached) in [
        ("google-ai-studio/gemini-2.5-flash", "google-ai-studio", "/v1beta/openai/chat/completions"),
        ("google/gemini-2.5-flash", "google-ai-studio", "/v1beta/openai/chat/completions"),
        ("xai/grok-4.3", "grok", "/v1/chat/completions"),
        ("deepseek/deepseek-chat", "deepseek", "/v1/chat/completions"),
    ] {
        let body = format!(r#"{{"model":"{named}","messages":[]}}"#);
        let told = gateway.call("POST", &gateway.path("compat/chat/completions"), &key, &body).await;
        assert_eq!(told.status, 200, "{named}: {}", told.text());
        let (_, model) = named.split_once('/').unwrap_or_default();
        let asked = provider.asked();
        assert_eq!(asked.path, reached, "{named}");
        assert_eq!(asked.body, format!(r#"{{"model":"{model}","messages":[]}}"#), "{named}");
        assert_eq!(credentials(&asked.headers), [("authorization", "Bearer own")], "{named}");
        let record = gateway.record().await;
        assert_eq!((record.provider.as_str(), record.cost.is_some()), (slug, true), "{named}");
    }
}

#[tokio::test]
async fn a_provider_gets_the_key_where_it_expects_it_and_no_other() {
    let provider = Provider::saying("{}").await;
    let gateway = before(&provider, 0xd2).await;
    let keys = [("x-goog-api-key", "AIza"), ("x-api-key", "sk-ant"), ("authorization", "Bearer other")];
    for (path, reached, expected) in [
        (
            "google-ai-studio/v1beta/models/gemini-2.5-pro:generateContent",
            "/v1beta/models/gemini-2.5-pro:generateContent",
            ("x-goog-api-key", "AIza"),
        ),
        ("deepseek/anthropic/v1/messages", "/anthropic/v1/messages", ("x-api-key", "sk-ant")),
        ("grok/v1/messages", "/v1/messages", ("x-api-key", "sk-ant")),
        ("grok/v1/chat/completions", "/v1/chat/completions", ("authorization", "Bearer other")),
    ] {
        let told = gateway.call("POST", &gateway.path(path), &keys, r#"{"model":"m","messages":[]}"#).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        let asked = provider.asked();
        assert_eq!((asked.path.as_str(), credentials(&asked.headers)), (reached, vec![expected]), "{path}");
    }
}
