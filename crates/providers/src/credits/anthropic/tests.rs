use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::{AccountId, Nanos};
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::catalog;
use crate::credits::{Forbidden, Permit, Request, Unbounded, allowed, bound, list_of_models, one_model};
use crate::endpoint::Endpoint;
use crate::prices::Catalogue;

const NOW: OffsetDateTime = datetime!(2026-12-01 00:00 UTC);

/// Asks Anthropic, with headers of its own.
fn messages(query: Option<&str>, said: &[(&'static str, &'static str)]) -> Result<Permit, Forbidden> {
    let headers =
        said.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let headers: HeaderMap = headers.collect();
    let body =
        br#"{"model":"claude-opus-4-6","max_tokens":4000,"messages":[{"role":"user","content":"Hi"}]}"#;
    let request = Request {
        endpoint: Endpoint::Messages,
        method: &Method::POST,
        operation: "messages",
        query,
        headers: &headers,
        body: Some(body),
        model: None,
    };
    allowed(catalog::find("anthropic").unwrap(), &request)
}

#[test]
fn betas_are_known_or_refused() {
    let version = ("anthropic-version", "2023-06-01");
    for said in ["prompt-caching-2024-07-31", "interleaved-thinking-2025-05-14,claude-code-20250219"] {
        assert!(messages(Some("beta=true"), &[version, ("anthropic-beta", said)]).is_ok(), "{said}");
    }
    for said in
        ["files-api-2025-04-14", "context-1m-2025-08-07", "fast-mode-2026-02-01", "compact-2026-01-12"]
    {
        let refused = messages(None, &[version, ("anthropic-beta", said)]).unwrap_err();
        assert_eq!(refused.param(), Some("anthropic-beta"), "{said}");
    }
    assert!(messages(None, &[("anthropic-version", "2099-01-01")]).is_err());
    assert!(messages(None, &[("anthropic-workspace-id", "wrkspc_1")]).is_err());
    assert!(messages(None, &[("openai-beta", "x")]).is_err());
    assert!(matches!(messages(Some("beta=false"), &[version]), Err(Forbidden::Query(_))));
}

#[test]
fn a_limit_that_is_made_shorter_leaves_room_for_what_is_thought() {
    let provider = catalog::find("anthropic").unwrap();
    let ask = |thinking: &str, affordable| {
        let body = format!(r#"{{"model":"claude-opus-4-6","max_tokens":16000{thinking},"messages":[]}}"#);
        let headers = HeaderMap::new();
        let request = Request {
            endpoint: Endpoint::Messages,
            method: &Method::POST,
            operation: "messages",
            query: None,
            headers: &headers,
            body: Some(body.as_bytes()),
            model: None,
        };
        let Permit::Call(facts) = allowed(provider, &request).unwrap() else { panic!("a call") };
        let found = Catalogue::current().price(AccountId(Uuid::nil()), "anthropic", facts.model(), NOW);
        bound::bound(provider, &facts, &found.unwrap(), bound::DEFAULT_OUTPUT, affordable)
    };
    // Five cents pay for a little less than two thousand tokens at 25 dollars a million.
    let five_cents = Nanos(50_000_000);
    let shorter = ask("", five_cents).unwrap();
    assert!(
        (1_500..2_000).contains(&shorter.output_tokens)
            && shorter.output_limit == Some(shorter.output_tokens)
    );
    let thinking = r#","thinking":{"type":"enabled","budget_tokens":8000}"#;
    assert!(matches!(ask(thinking, five_cents), Err(Unbounded::TooLittle { .. })));
    let shorter = ask(thinking, Nanos(300_000_000)).unwrap();
    assert!(shorter.output_tokens > 8_000 && shorter.output_tokens < 16_000);
}

#[test]
fn anthropics_list_of_models_is_in_its_words() {
    let provider = catalog::find("anthropic").unwrap();
    let list: serde_json::Value =
        serde_json::from_slice(&list_of_models(provider, Catalogue::current(), AccountId::INSTALLATION, NOW))
            .unwrap();
    let data = list["data"].as_array().unwrap();
    assert_eq!((&list["first_id"], &list["has_more"]), (&data[0]["id"], &false.into()));
    assert!(data.iter().all(|model| model["type"] == "model" && model["created_at"].is_string()));
    let one = one_model(provider, Catalogue::current(), AccountId(Uuid::nil()), "claude-haiku-4-5", NOW);
    let one: serde_json::Value = serde_json::from_slice(&one.unwrap()).unwrap();
    assert_eq!((&one["id"], &one["max_tokens"]), (&"claude-haiku-4-5".into(), &64_000.into()));
}

#[test]
fn what_keeps_something_or_is_billed_later_is_refused() {
    let provider = catalog::find("anthropic").unwrap();
    let headers = HeaderMap::new();
    let ask = |method: Method, operation: &str| {
        let endpoint = Endpoint::of(&method, operation);
        let request = Request {
            endpoint,
            method: &method,
            operation,
            query: None,
            headers: &headers,
            body: Some(b"{}"),
            model: None,
        };
        allowed(provider, &request)
    };
    for (method, operation) in [
        (Method::POST, "messages/batches"),
        (Method::GET, "messages/batches/msgbatch_1/results"),
        (Method::POST, "files"),
        (Method::GET, "files/file_1/content"),
        (Method::POST, "complete"),
        (Method::POST, "skills"),
        (Method::GET, "organizations/me"),
        (Method::GET, "messages"),
        (Method::POST, "responses"),
        (Method::POST, "embeddings"),
    ] {
        let refused = ask(method.clone(), operation);
        assert!(matches!(refused, Err(Forbidden::Operation { .. })), "{method} {operation}: {refused:?}");
    }
    assert_eq!(ask(Method::GET, "models"), Ok(Permit::Models));
}
