//! Providers that a gateway's policy puts at addresses of its own: Ollama and its like, and those of the
//! catalogue elsewhere.

#[path = "custom/bounds.rs"]
mod bounds;
mod support;

use std::net::SocketAddr;

use egress::{EgressConfig, InternalHost, TrustedHosts};
use http::HeaderMap;
use model::Nanos;
use model::gateway::{GatewaySettings, KeyPrecedence, StoredKeys};
use model::usage::{KeySource, Provenance};
use serde_json::Value;
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, Setup, Told};

const OLLAMA: &str = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: ollama
          id_aliases: [local]
          base_url: https://ollama.internal
          models:
            - id: llama3.2:1b
              id_aliases: [small]
"#;

/// `ollama.internal` and `gpu.internal` are where these listen; nothing that is not public may be reached besides.
fn trusting(hosts: &[(&str, SocketAddr)]) -> TrustedHosts {
    let host = |(name, address): &(&str, SocketAddr)| InternalHost {
        name: (*name).to_owned(),
        url: format!("http://{address}"),
    };
    TrustedHosts { plain: Vec::new(), internal: hosts.iter().map(host).collect() }
}

fn under(policy: &'static str, hosts: &[(&str, SocketAddr)]) -> Setup {
    let (trusted_hosts, egress) = (trusting(hosts), EgressConfig::default());
    Setup {
        policy: Some(policy),
        trusted_hosts,
        egress,
        stores_key: false,
        host: Some("gateway"),
        ..Setup::default()
    }
}

fn asking(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]}}"#)
}

async fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
    gateway.call("POST", path, &headers, body).await
}

async fn chat(gateway: &Gateway, key: &str, model: &str) -> Told {
    let key = format!("Bearer {key}");
    ask(gateway, "/v1/chat/completions", &[("authorization", &key)], &asking(model)).await
}

fn keys(headers: &HeaderMap) -> Vec<&str> {
    let names = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cf-aig-authorization"];
    names.iter().filter_map(|name| headers.get(*name)?.to_str().ok()).collect()
}

fn model(provider: &Provider) -> String {
    let body: Value = serde_json::from_slice(&provider.asked().body).expect("a JSON body");
    body["model"].as_str().expect("a model").to_owned()
}

#[tokio::test]
async fn a_server_of_the_gateways_own_is_asked_under_each_of_its_names_and_wants_no_key() {
    let (openai, ollama) = (Provider::saying(COMPLETION).await, Provider::saying(COMPLETION).await);
    let setup = under(OLLAMA, &[("ollama.internal", ollama.address)]);
    let mut gateway = Gateway::start(openai.address, 0xe0, setup).await;
    let token = gateway.token.clone();
    for (asked_for, sent) in [
        ("ollama:llama3.2:1b", "llama3.2:1b"),
        ("LOCAL:qwen3", "qwen3"),
        ("llama3.2:1b", "llama3.2:1b"),
        ("small", "llama3.2:1b"),
    ] {
        let told = chat(&gateway, &token, asked_for).await;
        assert_eq!(told.status, 200, "{asked_for}: {}", told.text());
        assert_eq!(told.header("ngrok-aig-model"), format!("ollama:{sent}"));
        let asked = ollama.asked();
        assert_eq!((asked.path.as_str(), model(&ollama).as_str()), ("/v1/chat/completions", sent));
        assert_eq!(keys(&asked.headers), Vec::<&str>::new());
        assert_eq!(asked.headers["host"], ollama.address.to_string());
        let record = gateway.record().await;
        assert_eq!((record.provider.as_str(), record.key_source), ("ollama", None));
        assert_eq!((record.tokens.output, record.cost, record.charge), (3, None, Nanos::ZERO));
    }
    assert_eq!(openai.times_asked(), 0);
}

#[tokio::test]
async fn the_path_may_name_it_and_compat_too() {
    let (openai, ollama) = (Provider::saying(COMPLETION).await, Provider::saying(COMPLETION).await);
    let setup = under(OLLAMA, &[("ollama.internal", ollama.address)]);
    let mut gateway = Gateway::start(openai.address, 0xe1, setup).await;
    for (rest, asked_for) in [
        ("ollama/chat/completions", "llama3.2:1b"),
        ("ollama/v1/chat/completions?a=b", "llama3.2:1b"),
        ("local/chat/completions", "anything"),
        ("compat/chat/completions", "ollama/llama3.2:1b"),
    ] {
        let told = ask(&gateway, &gateway.path(rest), &[], &asking(asked_for)).await;
        assert_eq!(told.status, 200, "{rest}: {}", told.text());
        let query = if rest.ends_with("?a=b") { "?a=b" } else { "" };
        assert_eq!(ollama.asked().path, format!("/v1/chat/completions{query}"));
        assert_eq!(model(&ollama), asked_for.trim_start_matches("ollama/"));
        assert_eq!(gateway.record().await.provider, "ollama");
    }
    let climbing = ask(&gateway, &gateway.path("ollama/..%2fadmin"), &[], "{}").await;
    assert_eq!((climbing.status, ollama.times_asked()), (400, 4));
    let unknown = ask(&gateway, &gateway.path("vllm/chat/completions"), &[], &asking("m")).await;
    assert_eq!((unknown.status, openai.times_asked()), (400, 0));
}

#[tokio::test]
async fn nothing_is_asked_of_it_that_its_caller_does_not_ask() {
    let ollama = Provider::answering(|_| {
        Box::pin(async {
            let said = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hello, world"}}]}"#;
            whole(200, "text/event-stream", &format!("{said}\n\ndata: [DONE]\n\n"))
        })
    })
    .await;
    let setup = under(OLLAMA, &[("ollama.internal", ollama.address)]);
    let mut gateway = Gateway::start(ollama.address, 0xf3, setup).await;
    let body = r#"{"stream" : true, "model":"ollama:m", "messages":[{"role":"user","content":"Hi"}]}"#;
    let told = ask(&gateway, "/v1/chat/completions", &[], body).await;
    assert!(told.text().ends_with("data: [DONE]\n\n"), "{}", told.text());
    assert_eq!(ollama.asked().body, body.replace("ollama:", ""));
    // Nobody reports it, so it is counted here.
    let record = gateway.record().await;
    assert_eq!((record.provenance, record.tokens.output), (Provenance::Estimated, 3));
}

#[tokio::test]
async fn its_models_are_listed() {
    let (openai, ollama) = (Provider::saying(COMPLETION).await, Provider::saying(COMPLETION).await);
    let setup = under(OLLAMA, &[("ollama.internal", ollama.address)]);
    let gateway = Gateway::start(openai.address, 0xe2, setup).await;
    let token = format!("Bearer {}", gateway.token);
    let told = gateway.call("GET", "/v1/models", &[("authorization", &token)], "").await;
    let listed: Vec<_> = told.json()["data"].as_array().expect("a list").clone();
    // Nobody else could be asked: there is no key for them.
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["id"], &listed[0]["owned_by"]), (&"llama3.2:1b".into(), &"ollama".into()));
}

#[tokio::test]
async fn a_callers_key_goes_to_the_first_of_them_where_its_format_reads_one_and_a_token_never() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: claude-box
          base_url: https://gpu.internal/anthropic
          supported_api_surfaces: [{format: anthropic}, {format: openai}]
          models: [{id: m}]
        - id: spare
          base_url: https://ollama.internal
          models: [{id: m}]
"#;
    let failing = Provider::answering(|_| {
        Box::pin(async { whole(500, "application/json", r#"{"error":{"message":"no"}}"#) })
    })
    .await;
    let spare = Provider::saying(COMPLETION).await;
    let hosts = [("gpu.internal", failing.address), ("ollama.internal", spare.address)];
    let gateway = Gateway::start(spare.address, 0xe3, under(policy, &hosts)).await;
    let body = r#"{"model":"claude-box:m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    for key in [("x-api-key", "own-key"), ("authorization", "Bearer own-key")] {
        let told = ask(&gateway, "/v1/messages", &[key], body).await;
        assert_eq!(told.status, 500, "{}", told.text());
        let asked = failing.asked();
        assert_eq!(asked.path, "/anthropic/messages");
        assert_eq!(asked.headers["x-api-key"], "own-key");
        assert!(!asked.headers.contains_key("authorization"));
    }
    let told = chat(&gateway, "own-key", "m").await;
    assert_eq!((told.status, told.header("ngrok-aig-attempts")), (200, "2"), "{}", told.text());
    assert_eq!(keys(&failing.asked().headers), ["Bearer own-key"]);
    assert_eq!(keys(&spare.asked().headers), Vec::<&str>::new());
    // Who speaks nothing but OpenAI's format is not asked in the other one.
    let told = ask(&gateway, "/v1/messages", &[], &body.replace("claude-box", "spare")).await;
    assert_eq!((told.status, spare.times_asked()), (422, 1));
}

#[tokio::test]
async fn its_keys_are_tried_in_their_order_and_go_nowhere_else() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: vllm
          base_url: https://gpu.internal/base
          api_keys:
            - value: ${secrets.get('vllm', 'stale')}
            - value: "sk-${'fresh'}"
          models: [{id: m}]
"#;
    let vllm = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].to_str().unwrap_or_default() {
                "Bearer sk-fresh" => whole(200, "application/json", COMPLETION),
                _ => whole(401, "application/json", r#"{"error":{"message":"no such key"}}"#),
            }
        })
    })
    .await;
    let openai = Provider::saying(COMPLETION).await;
    let mut setup = under(policy, &[("gpu.internal", vllm.address)]);
    setup.secrets = vec![("vllm", "stale", "sk-stale")];
    setup.settings = GatewaySettings {
        key_precedence: KeyPrecedence::Stored,
        stored_keys: StoredKeys::Open,
        ..GatewaySettings::default()
    };
    let mut gateway = Gateway::start(openai.address, 0xe4, setup).await;
    let told = chat(&gateway, "unused", "vllm:m").await;
    assert_eq!((told.status, vllm.times_asked()), (200, 2), "{}", told.text());
    assert_eq!(vllm.asked().path, "/base/chat/completions");
    for _ in 0..2 {
        assert_eq!(gateway.record().await.key_source, Some(KeySource::StoredKey));
    }
    let told = chat(&gateway, "sk-own", "openai:gpt-4o").await;
    assert_eq!((told.status, keys(&openai.asked().headers)), (200, vec!["Bearer sk-own"]));
}

#[tokio::test]
async fn a_known_provider_elsewhere_gets_no_key_that_is_kept_and_no_credits() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers: [{id: openai, base_url: "https://gpu.internal/v1"}]
"#;
    let (openai, elsewhere) = (Provider::saying(COMPLETION).await, Provider::saying(COMPLETION).await);
    let mut setup = under(policy, &[("gpu.internal", elsewhere.address)]);
    setup.stores_key = true;
    setup.bound_keys = vec![("openai", "sk-bound")];
    let on_credits = Setup::on_credits(1_000_000_000);
    setup.operator_keys = on_credits.operator_keys;
    (setup.balance, setup.terms) = (on_credits.balance, on_credits.terms);
    let mut gateway = Gateway::start(openai.address, 0xe5, setup).await;
    let token = gateway.token.clone();
    let native = gateway.path("openai/v1/chat/completions");
    let bearer = format!("Bearer {token}");
    for path in ["/v1/chat/completions", &native] {
        let told = ask(&gateway, path, &[("authorization", &bearer)], &asking("gpt-4o-mini")).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let asked = elsewhere.asked();
        assert_eq!((asked.path.as_str(), keys(&asked.headers)), ("/v1/chat/completions", Vec::new()));
        let record = gateway.record().await;
        assert_eq!((record.provider.as_str(), record.key_source), ("openai", None));
        // Its price is known, for the report; nothing is charged.
        assert_eq!((record.cost.is_some(), record.charge), (true, Nanos::ZERO));
    }
    assert_eq!(openai.times_asked(), 0);
}

#[tokio::test]
async fn an_alias_of_the_catalogues_leads_where_the_policy_says_with_its_keys() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: mine
          id_aliases: [openai]
          base_url: https://gpu.internal/v1
          api_keys: [{value: sk-mine}]
"#;
    let (openai, mine) = (Provider::saying(COMPLETION).await, Provider::saying(COMPLETION).await);
    let gateway = under(policy, &[("gpu.internal", mine.address)]);
    let gateway = Gateway::start(openai.address, 0xe6, gateway).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str())];
    for (path, asked_for) in [
        ("/v1/chat/completions", "openai:gpt-4o"),
        (&*gateway.path("openai/chat/completions"), "gpt-4o"),
        (&*gateway.path("compat/chat/completions"), "openai/gpt-4o"),
    ] {
        let told = ask(&gateway, path, &headers, &asking(asked_for)).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        assert_eq!(
            (keys(&mine.asked().headers), model(&mine)),
            (vec!["Bearer sk-mine"], "gpt-4o".to_owned())
        );
    }
    assert_eq!(openai.times_asked(), 0);
}
