//! Requests that credits pay for: with whose key they are sent, what they may do, and what is charged.

mod support;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Either;
use model::gateway::{GatewaySettings, StoredKeys};
use model::id::PriceRuleId;
use model::prices::{ModelRule, Price, PriceRule, TokenPrices};
use model::terms::{AccountTerms, Terms};
use model::usage::Outcome;
use model::{Nanos, Picos};
use support::provider::{Provider, whole};
use support::{COMPLETION, Gateway, OPERATORS_KEY, Operators, PATIENCE, QUESTION, STORED_KEY, Setup, Told};
use time::OffsetDateTime;
use uuid::Uuid;

const CHAT: &str = "openai/chat/completions";
const DOLLAR: i64 = 1_000_000_000;

/// What the answer [`COMPLETION`] costs: 9 at 150,000 pico-dollars and 3 at 600,000.
const COST: Nanos = Nanos(3150);

async fn gateway(shard: u8, setup: Setup) -> (Provider, Gateway) {
    let provider = Provider::saying(COMPLETION).await;
    let gateway = Gateway::start(provider.address, shard, setup).await;
    (provider, gateway)
}

/// The code, the stable word and the message of a refusal in the shape of OpenAI's SDK.
fn refusal(told: &Told) -> (u64, String, String) {
    let error = &told.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (error["internal_code"].as_u64().unwrap_or_default(), text("code"), text("message"))
}

#[tokio::test]
async fn credits_pay_with_the_operators_key_and_the_provider_is_told_the_bound() {
    let (provider, mut gateway) = gateway(61, Setup::on_credits(DOLLAR)).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("cookie", "a=b"),
        ("idempotency-key", "x"),
        ("x-stainless-lang", "python"),
    ];
    let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
    assert_eq!((told.status, told.text()), (200, COMPLETION));
    assert_eq!(told.header("tollgate-output-limit"), "16384");
    let asked = provider.asked();
    assert_eq!(asked.headers["authorization"], format!("Bearer {OPERATORS_KEY}"));
    let mut names: Vec<&str> = asked.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let expected =
        ["accept-encoding", "authorization", "content-length", "content-type", "host", "x-stainless-lang"];
    assert_eq!(names, expected);
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&body["store"], &body["max_completion_tokens"]), (&false.into(), &16384.into()));
    assert_eq!(body["messages"][0]["content"], "Hello, world!");

    let record = gateway.record().await;
    assert_eq!(record.key_source.unwrap().as_str(), "credits");
    assert_eq!((record.cost, record.charge, record.markup_ppm), (Some(COST), COST, 0));
    assert_eq!(record.price_model, "gpt-4o-mini-2024-07-18");
    assert!(record.token.starts_with("gwt_") && record.key_alias.is_empty());
    assert_eq!(gateway.paid().await, COST);
    let figures = gateway.figures().await;
    assert_eq!(figures.free + figures.held + figures.unposted, Nanos(DOLLAR));
}

#[tokio::test]
async fn what_is_charged_is_the_cost_with_the_accounts_markup() {
    let terms = Some(Terms { default_markup_ppm: 900_000, calls_a_minute: None });
    let account_terms = AccountTerms { markup_ppm: Some(50_000), spending_limit: None };
    let (_provider, mut gateway) =
        gateway(62, Setup { terms, account_terms, ..Setup::on_credits(DOLLAR) }).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, 200);
    let record = gateway.record().await;
    // 3307.5, rounded half up.
    assert_eq!((record.cost, record.charge, record.markup_ppm), (Some(COST), Nanos(3308), 50_000));
    assert_eq!(gateway.paid().await, Nanos(3308));
}

#[tokio::test]
async fn the_callers_key_comes_first_then_the_stored_one_then_credits() {
    let setup = Setup { stores_key: true, ..Setup::on_credits(DOLLAR) };
    let (provider, mut gateway) = gateway(63, setup).await;
    let token = format!("Bearer {}", gateway.token);
    let other = format!("Bearer {}", gateway.other_gateways_token);
    let elsewhere = gateway.path(CHAT).replace("/demo/", "/other/");
    let path = gateway.path(CHAT);
    for (path, headers, key, source) in [
        (&path, [("authorization", "Bearer sk-own"), ("cf-aig-authorization", &token)], "sk-own", "request"),
        (&path, [("accept", "*/*"), ("cf-aig-authorization", &token)], STORED_KEY, "stored_key"),
        (&elsewhere, [("accept", "*/*"), ("cf-aig-authorization", &other)], OPERATORS_KEY, "credits"),
    ] {
        assert_eq!(gateway.call("POST", path, &headers, QUESTION).await.status, 200);
        assert_eq!(provider.asked().headers["authorization"], format!("Bearer {key}"));
        let record = gateway.record().await;
        assert_eq!(record.key_source.unwrap().as_str(), source);
        assert_eq!(record.charge, if source == "credits" { COST } else { Nanos::ZERO });
    }
    // A stored key that is named and is not there is not made up for by credits.
    let headers = [("cf-aig-authorization", other.as_str()), ("cf-aig-byok-alias", "spare")];
    let told = gateway.call("POST", &elsewhere, &headers, QUESTION).await;
    assert_eq!((told.status, told.json()["error"][0]["code"].as_u64()), (400, Some(2040)));
}

#[tokio::test]
async fn credits_are_for_callers_with_a_token_whatever_the_gateway_says_of_stored_keys() {
    let settings = GatewaySettings { stored_keys: StoredKeys::Open, ..GatewaySettings::default() };
    let (provider, gateway) = gateway(64, Setup { settings, ..Setup::on_credits(DOLLAR) }).await;
    let told = gateway.call("POST", &gateway.path(CHAT), &[], QUESTION).await;
    assert_eq!((told.status, refusal(&told).0, refusal(&told).1.as_str()), (401, 2009, "credits_need_token"));
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn credits_can_be_forbidden_and_a_header_cannot_allow_what_the_gateway_forbids() {
    let (provider, open) = gateway(65, Setup::on_credits(DOLLAR)).await;
    let settings = GatewaySettings { byok_only: true, ..GatewaySettings::default() };
    let strict = Gateway::start(provider.address, 66, Setup { settings, ..Setup::on_credits(DOLLAR) }).await;
    for (gateway, said, status, word) in [
        (&open, Some("true"), 400, "cf-aig-no-wholesale"),
        (&open, Some("false"), 200, ""),
        (&open, Some("yes"), 400, "`true` or `false`"),
        (&strict, None, 400, "byok_only"),
        (&strict, Some("false"), 400, "byok_only"),
    ] {
        let token = format!("Bearer {}", gateway.token);
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(said.map(|said| ("cf-aig-no-wholesale", said)));
        let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
        assert_eq!(told.status, status, "{said:?}: {}", told.text());
        assert!(told.text().contains(word), "{}", told.text());
    }
    // What says both is not heeded as one of them.
    for name in ["cf-aig-no-wholesale", "cf-aig-zdr"] {
        for both in [["true", "false"], ["false", "true"]] {
            let token = format!("Bearer {}", open.token);
            let headers = [("authorization", token.as_str()), (name, both[0]), (name, both[1])];
            let told = open.call("POST", &open.path(CHAT), &headers, QUESTION).await;
            assert_eq!(told.status, 400, "{}", told.text());
            assert!(told.text().contains(name) && told.text().contains("`true` or `false`"));
        }
    }
    assert_eq!(provider.times_asked(), 1);
}

#[tokio::test]
async fn too_little_is_told_with_what_is_needed_and_what_there_is_in_both_shapes() {
    let (provider, mut gateway) = gateway(67, Setup::on_credits(1000)).await;
    let told = gateway.on_credits(QUESTION).await;
    let (code, word, message) = refusal(&told);
    assert_eq!((told.status, code, word.as_str()), (402, 2021, "insufficient_credits"));
    assert_eq!(told.json()["error"]["type"], "insufficient_quota");
    assert!(message.starts_with("Insufficient balance; add money to your gateway or use BYOK"), "{message}");
    assert!(message.contains("$0.000001 is available"), "{message}");
    let needed = told.header("tollgate-credits-needed");
    assert!(message.contains(&format!("needs ${needed}")), "{needed}: {message}");
    assert_eq!(told.header("tollgate-credits-free"), "0.000001");

    let token = format!("Bearer {}", gateway.token);
    let headers = [("cf-aig-authorization", token.as_str())];
    let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
    assert_eq!((told.status, &told.json()["error"][0]["code"]), (402, &2021.into()));
    assert_eq!(told.json()["error"][0]["message"], message);
    assert_eq!(provider.times_asked(), 0);
    let record = gateway.record().await;
    assert_eq!((record.outcome, record.error_code, record.charge), (Outcome::Refused, 2021, Nanos::ZERO));
    assert_eq!(gateway.paid().await, Nanos::ZERO);
}

#[tokio::test]
async fn what_a_balance_does_not_afford_is_bounded_more_closely() {
    // Half a million nano-dollars pay for about eight hundred tokens of output, at the dearest price.
    let (provider, mut gateway) = gateway(68, Setup::on_credits(500_000)).await;
    let told = gateway.on_credits(QUESTION).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let limit: u64 = told.header("tollgate-output-limit").parse().unwrap();
    assert!((256..1000).contains(&limit), "{limit}");
    let body: serde_json::Value = serde_json::from_slice(&provider.asked().body).unwrap();
    assert_eq!(body["max_completion_tokens"], limit);
    assert_eq!(gateway.record().await.charge, COST);
    assert_eq!(gateway.paid().await, COST);

    // A limit that the caller names stands, and is not told as ours.
    let named = QUESTION.replacen('{', r#"{"max_completion_tokens":300,"#, 1);
    let told = gateway.on_credits(&named).await;
    assert_eq!((told.status, told.header("tollgate-output-limit")), (200, ""));
    let body: serde_json::Value = serde_json::from_slice(&provider.asked().body).unwrap();
    assert_eq!(body["max_completion_tokens"], 300);
}

#[tokio::test]
async fn a_long_prompt_is_counted_before_it_is_refused() {
    // Four thousand bytes are a tenth as many tokens here, which is all that the balance pays for.
    let (provider, mut gateway) = gateway(69, Setup::on_credits(550_000)).await;
    let long = QUESTION.replace("Hello, world!", &"          ".repeat(400));
    let told = gateway.on_credits(&long).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(provider.times_asked(), 1);
    assert_eq!(gateway.record().await.charge, COST);
}

#[tokio::test]
async fn a_model_without_a_price_is_not_free() {
    let (provider, gateway) = gateway(70, Setup::on_credits(DOLLAR)).await;
    let unknown = QUESTION.replace("gpt-4o-mini", "gpt-nobody-knows");
    let told = gateway.on_credits(&unknown).await;
    let (code, word, message) = refusal(&told);
    assert_eq!((told.status, code, word.as_str()), (402, 2021, "not_on_credits"));
    assert_eq!(told.json()["error"]["param"], "model");
    assert!(message.starts_with("Model not available via unified billing: `gpt-nobody-knows`"), "{message}");
    let token = format!("Bearer {}", gateway.token);
    let headers = [("cf-aig-authorization", token.as_str())];
    let told = gateway.call("POST", &gateway.path(CHAT), &headers, &unknown).await;
    assert_eq!((told.status, &told.json()["error"][0]["code"]), (402, &2021.into()));
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn until_the_account_is_loaded_credits_wait_and_own_keys_do_not() {
    let (provider, mut gateway) = gateway(71, Setup { balance: None, ..Setup::on_credits(0) }).await;
    let told = gateway.on_credits_once(QUESTION).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
    assert_eq!((refusal(&told).0, refusal(&told).1.as_str()), (9021, "credits_unavailable"));
    assert_eq!(provider.times_asked(), 0);
    assert_eq!(gateway.chat(QUESTION).await.status, 200);
    gateway.load(Nanos(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, 200);
}

#[tokio::test]
async fn a_new_era_is_waited_for() {
    let (_provider, mut gateway) = gateway(72, Setup::on_credits(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, 200);
    assert_eq!(gateway.paid().await, COST);
    gateway.begin_era().await;
    let told = gateway.on_credits_once(QUESTION).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
    gateway.load(Nanos(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.status, 200);
}

#[tokio::test]
async fn a_models_list_on_credits_is_ours() {
    let (provider, gateway) = gateway(73, Setup::on_credits(DOLLAR)).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", token.as_str())];
    let told = gateway.call("GET", &gateway.path("openai/models"), &headers, "").await;
    assert!(told.json()["data"].as_array().unwrap().iter().any(|model| model["id"] == "gpt-4o-mini"));
    let told = gateway.call("GET", &gateway.path("openai/models/gpt-4o"), &headers, "").await;
    assert_eq!((told.status, &told.json()["id"]), (200, &"gpt-4o".into()));
    let told = gateway.call("GET", &gateway.path("openai/models/nobody"), &headers, "").await;
    assert_eq!((told.status, refusal(&told).1.as_str()), (404, "model_not_found"));
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn compat_bodies_and_compressed_ones_are_paid_too() {
    let (provider, mut gateway) = gateway(74, Setup::on_credits(DOLLAR)).await;
    let compat = QUESTION.replace("gpt-4o-mini", "openai/gpt-4o-mini");
    let told = gateway.on_credits_at("compat/chat/completions", &compat).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let body: serde_json::Value = serde_json::from_slice(&provider.asked().body).unwrap();
    assert_eq!((&body["model"], &body["store"]), (&"gpt-4o-mini".into(), &false.into()));
    assert_eq!(gateway.record().await.charge, COST);

    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(QUESTION.as_bytes()).unwrap();
    let compressed = encoder.finish().unwrap();
    let mut ask = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        gateway.path(CHAT),
        gateway.token,
        compressed.len()
    )
    .into_bytes();
    ask.extend_from_slice(&compressed);
    let told = gateway.raw(&ask, PATIENCE).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    // What was read is what is sent.
    assert!(!provider.asked().headers.contains_key("content-encoding"));
    let body: serde_json::Value = serde_json::from_slice(&provider.asked().body).unwrap();
    assert_eq!((&body["model"], &body["store"]), (&"gpt-4o-mini".into(), &false.into()));
    assert_eq!(gateway.record().await.charge, COST);
}

#[tokio::test]
async fn the_operators_keys_take_turns_and_one_that_is_refused_rests() {
    const LEAK: &str =
        r#"{"error":{"message":"Incorrect API key provided: sk-bad. Organization org-secret"}}"#;
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.headers["authorization"].to_str().unwrap() {
                "Bearer sk-bad" => whole(401, "application/json", LEAK),
                "Bearer sk-busy" => {
                    let mut answer = whole(429, "application/json", LEAK);
                    answer.headers_mut().insert("retry-after", "30".parse().unwrap());
                    answer
                }
                _ => whole(200, "application/json", COMPLETION),
            }
        })
    })
    .await;
    let key = |secret, priority| Operators { secret, priority, cancel: None };
    let operator_keys = vec![key("sk-bad", 0), key("sk-busy", 0), key("sk-good", 0), key("sk-late", 1)];
    let setup = Setup { operator_keys, ..Setup::on_credits(DOLLAR) };
    let mut gateway = Gateway::start(provider.address, 75, setup).await;
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(gateway.on_credits(QUESTION).await);
        let record = gateway.record().await;
        assert_eq!(record.charge, if record.status == 200 { COST } else { Nanos::ZERO });
    }
    let of = |status| told.iter().filter(|told| told.status == status).collect::<Vec<_>>();
    let ([refused], [busy]) = (&of(502)[..], &of(429)[..]) else { panic!("{told:?}") };
    assert_eq!((of(200).len(), refusal(refused).1.as_str()), (4, "operator_key_refused"));
    assert_eq!((refusal(busy).1.as_str(), busy.header("retry-after")), ("operator_key_busy", "30"));
    assert!(told.iter().all(|told| !told.text().contains("sk-bad") && !told.text().contains("org-secret")));
    assert_eq!(provider.asked().headers["authorization"], "Bearer sk-good");
    assert_eq!(gateway.paid().await, Nanos(4 * COST.0));
}

#[tokio::test]
async fn what_an_answer_says_of_the_operator_stays_here() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(200, "application/json", COMPLETION);
            for (name, value) in [
                ("openai-organization", "org-secret"),
                ("openai-project", "proj-secret"),
                ("openai-processing-ms", "12"),
                ("x-ratelimit-remaining-requests", "99"),
                ("set-cookie", "__cf_bm=x"),
                ("x-request-id", "req_1"),
            ] {
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            answer
        })
    })
    .await;
    let gateway = Gateway::start(provider.address, 76, Setup::on_credits(DOLLAR)).await;
    let told = gateway.on_credits(QUESTION).await;
    assert_eq!((told.header("openai-processing-ms"), told.header("x-request-id")), ("12", "req_1"));
    for name in ["openai-organization", "openai-project", "x-ratelimit-remaining-requests", "set-cookie"] {
        assert_eq!(told.header(name), "", "{name}");
    }
    let own = gateway.chat(QUESTION).await;
    assert_eq!(own.header("openai-organization"), "org-secret");
}

#[tokio::test]
async fn zero_retention_is_promised_only_where_it_was_agreed() {
    let settings = GatewaySettings { zdr: true, ..GatewaySettings::default() };
    let setup = Setup { settings, ..Setup::on_credits(DOLLAR) };
    let (provider, strict) = gateway(77, setup).await;
    let settings = GatewaySettings { zdr: true, ..GatewaySettings::default() };
    let zero_retention = vec!["openai".to_owned()];
    let setup = Setup { settings, zero_retention, ..Setup::on_credits(DOLLAR) };
    let agreed = Gateway::start(provider.address, 78, setup).await;
    let lax = Gateway::start(provider.address, 79, Setup::on_credits(DOLLAR)).await;
    for (gateway, said, status) in [
        (&strict, None, 400),
        (&strict, Some("false"), 200),
        (&lax, Some("true"), 400),
        (&lax, None, 200),
        (&agreed, None, 200),
    ] {
        let token = format!("Bearer {}", gateway.token);
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(said.map(|said| ("cf-aig-zdr", said)));
        let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
        assert_eq!(told.status, status, "{said:?}: {}", told.text());
        if status == 400 {
            assert_eq!(refusal(&told).1, if said.is_some() { "" } else { "no_zero_retention" });
        }
    }
    // It is a matter of credits alone.
    assert_eq!(strict.chat(QUESTION).await.status, 200);
}

fn rule(number: u128, input: i64) -> PriceRule {
    let tokens = TokenPrices { input: Some(Picos(input)), output: Some(Picos(0)), ..TokenPrices::default() };
    PriceRule {
        id: PriceRuleId(Uuid::from_u128(number)),
        provider: "openai".to_owned(),
        model: "gpt-4o-mini".to_owned(),
        model_rule: ModelRule::Equals,
        account: None,
        effective_from: OffsetDateTime::UNIX_EPOCH,
        enable: true,
        price: Price { tokens, ..Price::default() },
    }
}

#[tokio::test]
async fn the_operators_prices_are_charged_and_the_accounts_own_are_only_reported() {
    let setup = Setup {
        operators_prices: vec![rule(1, 1_000_000)],
        own_prices: vec![rule(2, 7_000_000)],
        ..Setup::on_credits(DOLLAR)
    };
    let (_provider, mut gateway) = gateway(80, setup).await;
    let token = format!("Bearer {}", gateway.token);
    let custom = ("cf-aig-custom-cost", r#"{"per_token_in":1,"per_token_out":1}"#);
    // 9 tokens at the operator's price, whatever anybody else says.
    let headers = [("authorization", token.as_str()), custom];
    assert_eq!(gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.charge, record.custom_cost), (Some(Nanos(9000)), Nanos(9000), false));
    assert_eq!(record.price_version, PriceRuleId(Uuid::from_u128(1)).to_string());

    assert_eq!(gateway.chat(QUESTION).await.status, 200);
    let record = gateway.record().await;
    assert_eq!((record.cost, record.charge, record.custom_cost), (Some(Nanos(63_000)), Nanos::ZERO, true));
    assert_eq!(record.price_version, PriceRuleId(Uuid::from_u128(2)).to_string());
}

#[tokio::test]
async fn an_answer_that_nobody_can_rate_is_not_free() {
    let provider = Provider::answering(|asked| {
        Box::pin(async move {
            match asked.path.ends_with("embeddings") {
                // Nothing says what was used, and what came is no text.
                true => whole(200, "application/octet-stream", "\u{1}"),
                false => whole(500, "application/json", r#"{"error":{"message":"no"}}"#),
            }
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 81, Setup::on_credits(DOLLAR)).await;
    let body = r#"{"model":"text-embedding-3-small","input":"Hello, world!"}"#;
    assert_eq!(gateway.on_credits_at("openai/embeddings", body).await.status, 200);
    let record = gateway.record().await;
    // "Hello, world!" has four tokens, at 20,000 pico-dollars.
    assert_eq!((record.charge, record.provenance.as_str()), (Nanos(80), "counted"));
    // A provider's error is free.
    assert_eq!(gateway.on_credits(QUESTION).await.status, 500);
    assert_eq!(gateway.record().await.charge, Nanos::ZERO);
    assert_eq!(gateway.paid().await, Nanos(80));
}

#[tokio::test]
async fn a_request_that_names_no_length_streams_as_it_comes() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let (mut sender, body) = http_body_util::Channel::new(4);
            tokio::spawn(async move {
                let _ = sender.send_data(bytes::Bytes::from_static(COMPLETION.as_bytes())).await;
            });
            http::Response::builder()
                .header("content-type", "application/json")
                .body(Either::Right(body))
                .unwrap()
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 82, Setup::on_credits(DOLLAR)).await;
    assert_eq!(gateway.on_credits(QUESTION).await.text(), COMPLETION);
    assert_eq!(gateway.record().await.charge, COST);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_costs_what_was_set_aside() {
    let provider = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(200, "application/json", "\u{1}\u{2}");
            answer.headers_mut().insert("content-encoding", "br".parse().unwrap());
            answer
        })
    })
    .await;
    let mut gateway = Gateway::start(provider.address, 83, Setup::on_credits(DOLLAR)).await;
    let asked = QUESTION.replacen('{', r#"{"service_tier":"default","max_completion_tokens":10,"#, 1);
    assert_eq!(gateway.on_credits(&asked).await.status, 200);
    let record = gateway.record().await;
    assert_eq!(record.cost, None);
    // Ten tokens of output at 600,000 pico-dollars, and an input of at most as many tokens as bytes.
    assert!((8000..40_000).contains(&record.charge.0), "{}", record.charge);
    assert_eq!(gateway.paid().await, record.charge);
}

#[tokio::test]
async fn without_room_for_a_record_credits_wait_and_own_keys_do_not() {
    let settings: GatewaySettings = serde_json::from_value(serde_json::json!({
        "rate_limiting_limit": 1, "rate_limiting_interval": 3600,
    }))
    .unwrap();
    let (provider, gateway) = gateway(84, Setup { settings, ..Setup::on_credits(DOLLAR) }).await;
    let account = gateway.account;
    let mut records = (1..).map(|number| model::samples::usage_record(Uuid::from_u128(number), account));
    let mut open = Vec::new();
    while let Ok(opened) = gateway.deps.meter.open(&records.next().unwrap()) {
        open.push(opened);
    }
    let told = gateway.on_credits_once(QUESTION).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{}", told.text());
    assert!(refusal(&told).2.contains("no room for records"), "{}", told.text());
    assert_eq!(provider.times_asked(), 0);
    // Even so, limits are counted.
    for status in [200, 429] {
        assert_eq!(gateway.chat(QUESTION).await.status, status);
    }
}
