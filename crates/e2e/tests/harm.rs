//! What callers and providers do wrong: every answer is clear, in the caller's dialect, and every
//! request leaves its record.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::http::{Answer, Call, call};
use e2e::system::{System, Wish};
use e2e::tenant::{Tenant, greeting};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const OWN_KEY: &str = "sk-caller-0123456789abcdef";

struct Stage {
    system: System,
    tenant: Tenant,
    token: String,
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        Self::set_with(Wish::default()).await
    }

    async fn set_with(wish: Wish) -> anyhow::Result<Self> {
        let system = System::start_with(wish).await?;
        let tenant = system.tenant("tenant").await?;
        let (_, token) = tenant.gateway_token("demo").await?;
        let stage = Self { system, tenant, token };
        stage.tenant.until(200, || stage.chat("warm up").json(&greeting())).await?;
        Ok(stage)
    }

    /// A chat completion that is let in, known by its event id.
    fn chat(&self, event: &str) -> Call {
        let call = self.tenant.chat(self.system.url()).bearer(OWN_KEY);
        call.header("cf-aig-authorization", &self.token).header("cf-aig-event-id", event)
    }

    async fn outcome_of(&self, event: &str) -> anyhow::Result<String> {
        let of_event = |record: &e2e::system::Record| record.event_id == event;
        let records = self.system.records_when(event, |records| records.iter().any(of_event)).await?;
        let found: Vec<_> = records.into_iter().filter(of_event).collect();
        ensure!(found.len() == 1, "{event} has {} records", found.len());
        Ok(found[0].outcome.clone())
    }
}

/// Checks the gateway's own error shape.
fn gateway_error(answer: &Answer, status: u16, code: u64) -> anyhow::Result<()> {
    let body = answer.json();
    let told = body["success"] == false
        && body["error"][0]["code"] == code
        && !answer.header("cf-aig-request-id").is_empty();
    ensure!(
        answer.status == status && told,
        "expected {status}/{code}, not {} {}",
        answer.status,
        answer.text()
    );
    Ok(())
}

#[tokio::test]
async fn wrong_revoked_expired_and_foreign_tokens_are_refused_and_go_nowhere() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let other = stage.system.tenant("other").await?;
    let (_, foreign) = other.gateway_token("demo").await?;
    let (_, reader) = stage.tenant.api_token(&["AI Gateway Read"]).await?;
    let (id, revoked) = stage.tenant.gateway_token("demo").await?;
    let with = |token: &str| {
        stage.tenant.chat(stage.system.url()).bearer(OWN_KEY).header("cf-aig-authorization", token)
    };
    stage.tenant.until(200, || with(&revoked).json(&greeting())).await?;
    stage.tenant.ask("DELETE", &format!("/ai-gateway/gateways/demo/tokens/{id}"), None).await?;
    stage.tenant.until(401, || with(&revoked).json(&greeting())).await?;

    let before = stage.system.reached_the_provider().await?.len();
    let mut wrong = stage.token.clone();
    wrong.replace_range(wrong.len() - 4.., "0000");
    for token in ["Bearer undefined", "Bearer ", "tg_", "tg_gw_nonsense", &wrong, &foreign, &reader, &revoked]
    {
        gateway_error(&with(token).json(&greeting()).send().await?, 401, 2009)
            .with_context(|| token.to_owned())?;
        // The same token where the SDK expects a key: no provider ever sees it.
        let as_key = stage
            .tenant
            .chat(stage.system.url())
            .header("authorization", format!("Bearer {}", token.trim_start_matches("Bearer ")));
        let answer = as_key.json(&greeting()).send().await?;
        ensure!(answer.status == 401, "{token} as a key: {} {}", answer.status, answer.text());
        ensure!(answer.json()["error"]["message"].is_string(), "OpenAI's shape: {}", answer.text());
    }
    ensure!(
        stage.system.reached_the_provider().await?.len() == before,
        "a refused request reached the provider"
    );

    // Ours never leaves on an open gateway either, wherever it hides.
    stage.tenant.create_gateway("open", &json!({"authentication": false})).await?;
    let open = || {
        call(
            "POST",
            format!("{}/chat/completions", stage.tenant.provider_url(stage.system.url(), "open", "openai")),
        )
    };
    stage.tenant.until(200, || open().bearer(OWN_KEY).json(&greeting())).await?;
    let before = stage.system.reached_the_provider().await?.len();
    for header in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
        let value = if header == "authorization" { format!("Bearer {foreign}") } else { foreign.clone() };
        let answer = open().header(header, value).json(&greeting()).send().await?;
        ensure!(answer.status == 401, "{header}: {} {}", answer.status, answer.text());
    }
    ensure!(
        stage.system.reached_the_provider().await?.len() == before,
        "a token of ours reached the provider"
    );
    Ok(())
}

#[tokio::test]
async fn an_expired_token_is_refused() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let expires = timestamp(now + 2);
    let made = stage
        .tenant
        .ask(
            "POST",
            "/ai-gateway/gateways/demo/tokens",
            Some(&json!({"name": "brief", "expires_on": expires})),
        )
        .await?;
    let token = made["value"].as_str().context("a token")?.to_owned();
    let with = || {
        stage
            .tenant
            .chat(stage.system.url())
            .bearer(OWN_KEY)
            .header("cf-aig-authorization", &token)
            .json(&greeting())
    };
    stage.tenant.until(200, with).await?;
    gateway_error(&stage.tenant.until(401, with).await?, 401, 2009)
}

fn timestamp(seconds: u64) -> String {
    // Civil date from days, after Howard Hinnant's `civil_from_days`.
    let (days, rest) = ((seconds / 86_400) as i64 + 719_468, seconds % 86_400);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[tokio::test]
async fn malformed_requests_are_answered_with_what_was_wrong() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("not JSON", b"{\"model\": \"gpt-4o-mini\", \"messages\": [".to_vec(), ""),
        ("not an object", b"[1, 2]".to_vec(), ""),
        ("not UTF-8", b"{\"model\": \"gpt\xff\", \"messages\": []}".to_vec(), ""),
        (
            "a field twice",
            b"{\"model\": \"gpt-4o-mini\", \"mod\\u0065l\": \"gpt-4o\", \"messages\": []}".to_vec(),
            "model",
        ),
        ("a number for a model", b"{\"model\": 7, \"messages\": []}".to_vec(), "model"),
        (
            "a text for a flag",
            b"{\"model\": \"gpt-4o-mini\", \"stream\": \"yes\", \"messages\": []}".to_vec(),
            "stream",
        ),
    ];
    let before = stage.system.reached_the_provider().await?.len();
    for (what, body, named) in cases {
        let answer = stage.chat(what).header("content-type", "application/json").body(body).send().await?;
        ensure!(answer.status == 400, "{what}: {} {}", answer.status, answer.text());
        let message = answer.json()["error"][0]["message"].as_str().unwrap_or_default().to_owned();
        ensure!(!message.is_empty() && message.contains(named), "{what}: {}", answer.text());
        ensure!(stage.outcome_of(what).await? == "refused", "{what}");
    }
    ensure!(
        stage.system.reached_the_provider().await?.len() == before,
        "a malformed request reached the provider"
    );

    let proxy = stage.system.url();
    let unknown_gateway =
        call("POST", format!("{}/chat/completions", stage.tenant.provider_url(proxy, "unknown", "openai")));
    gateway_error(&unknown_gateway.header("cf-aig-step", "0").json(&greeting()).send().await?, 400, 2001)?;
    let unknown_provider =
        call("POST", format!("{}/chat/completions", stage.tenant.provider_url(proxy, "demo", "nobody")));
    gateway_error(
        &unknown_provider.header("cf-aig-authorization", &stage.token).json(&greeting()).send().await?,
        400,
        2008,
    )?;
    for path in ["/", "/v1", "/v1/not-an-account/demo/openai/models", "/%00", "/v1/../../etc/passwd"] {
        let answer = call("GET", format!("{proxy}{path}")).send().await?;
        ensure!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn paths_cannot_leave_their_base() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let before = stage.system.reached_the_provider().await?.len();
    for rest in [
        "../admin",
        "..%2fadmin",
        "%2e%2e/admin",
        "models/../../admin",
        "models%2f..%2f..%2fadmin",
        "a\\..\\b",
    ] {
        let head = format!(
            "GET /v1/{}/demo/openai/{rest} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {OWN_KEY}\r\ncf-aig-authorization: {}\r\nconnection: close\r\n\r\n",
            stage.tenant.account, stage.token
        );
        let answer = raw(&stage, head.as_bytes()).await?;
        ensure!(answer.starts_with("HTTP/1.1 4"), "{rest}: {answer}");
    }
    ensure!(stage.system.reached_the_provider().await?.len() == before, "a path left its base");
    Ok(())
}

/// Sends bytes as they are and reads until the proxy closes.
async fn raw(stage: &Stage, bytes: &[u8]) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(stage.system.url().trim_start_matches("http://")).await?;
    socket.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A connection reset after the answer is an answer too.
    let _ = tokio::time::timeout(Duration::from_secs(60), socket.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn huge_bodies_endless_headers_and_slow_callers_are_bounded() -> anyhow::Result<()> {
    let environment =
        vec![("TOLLGATE_MAX_JSON_BYTES", "8388608".to_owned()), ("TOLLGATE_HEADER_SECONDS", "2".to_owned())];
    let stage = Stage::set_with(Wish { environment, ..Wish::default() }).await?;
    let address = stage.system.url().trim_start_matches("http://").to_owned();

    let huge =
        format!("{{\"model\":\"gpt-4o-mini\",\"messages\":[],\"user\":\"{}\"}}", "x".repeat(100 << 20));
    let answer = stage.chat("huge").header("content-type", "application/json").body(huge).send().await;
    if let Ok(answer) = answer {
        ensure!(answer.status == 413, "{} {}", answer.status, answer.text());
        ensure!(answer.text().contains("8388608") || answer.text().contains("8 MiB"), "{}", answer.text());
    }
    ensure!(stage.outcome_of("huge").await? == "refused", "the huge request's record");

    let mut endless = TcpStream::connect(&address).await?;
    endless.write_all(b"GET / HTTP/1.1\r\nhost: gateway\r\n").await?;
    let line = format!("x-endless: {}\r\n", "y".repeat(8_000));
    let mut refused = false;
    for _ in 0..2_000 {
        if endless.write_all(line.as_bytes()).await.is_err() {
            refused = true;
            break;
        }
    }
    let mut told = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), endless.read_to_end(&mut told)).await?;
    ensure!(
        refused || told.starts_with(b"HTTP/1.1 4"),
        "endless headers were taken: {}",
        String::from_utf8_lossy(&told)
    );

    // The head never ends; the proxy closes the connection by itself.
    let mut slow = TcpStream::connect(&address).await?;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: gate").await?;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), slow.read_to_end(&mut rest))
        .await
        .context("a slow caller is kept for ever")?;

    let after = stage.chat("after").json(&greeting()).send().await?;
    ensure!(after.status == 200, "the proxy still serves: {}", after.status);
    Ok(())
}

#[tokio::test]
async fn what_providers_do_wrong_is_told_as_it_is() -> anyhow::Result<()> {
    let environment = vec![("TOLLGATE_CONNECT_SECONDS", "1".to_owned())];
    let stage = Stage::set_with(Wish { environment, ..Wish::default() }).await?;
    let with = |event: &'static str, trouble: &str| {
        stage.chat(event).header("x-simulator", trouble).json(&greeting())
    };

    let limited = with("limited", "status=429").send().await?;
    ensure!(
        limited.status == 429 && limited.json()["error"]["message"].is_string(),
        "the provider's own body: {}",
        limited.text()
    );
    ensure!(stage.outcome_of("limited").await? == "answered");
    let broken = with("broken", "status=500").send().await?;
    ensure!(broken.status == 500 && stage.outcome_of("broken").await? == "answered");

    let reset = with("reset", "reset").send().await?;
    ensure!(reset.status == 502, "{} {}", reset.status, reset.text());
    ensure!(stage.outcome_of("reset").await? == "failed");
    let hanging = with("hanging", "hang").header("cf-aig-request-timeout", "300").send().await?;
    ensure!(hanging.status == 504, "{} {}", hanging.status, hanging.text());
    ensure!(stage.outcome_of("hanging").await? == "failed");

    // Part of an answer has gone out with its status, so the caller's connection breaks too.
    ensure!(
        with("half an answer", "half_json").send().await.is_err()
            || stage.outcome_of("half an answer").await? == "failed"
    );
    ensure!(stage.outcome_of("half an answer").await? == "failed");
    let mut streamed = greeting();
    streamed["stream"] = json!(true);
    let _ = stage.chat("half a stream").header("x-simulator", "half_stream").json(&streamed).send().await;
    ensure!(stage.outcome_of("half a stream").await? == "failed");

    let silent = stage.chat("no usage").header("x-simulator", "no_usage").json(&streamed).send().await?;
    ensure!(silent.status == 200, "{}", silent.text());
    let records = stage
        .system
        .records_when("the uncounted stream", |records| {
            records.iter().any(|record| record.event_id == "no usage")
        })
        .await?;
    let counted = records.iter().find(|record| record.event_id == "no usage").context("the record")?;
    ensure!(counted.provenance == "counted" && counted.cost.is_some_and(|cost| cost > 0), "{counted:?}");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_provider_is_a_502_that_names_its_cause() -> anyhow::Result<()> {
    let nowhere = format!("openai=http://127.0.0.1:{}/v1", e2e::process::free_port());
    let system = System::start_with(Wish {
        environment: vec![("TOLLGATE_PROVIDER_BASE_URLS", nowhere)],
        ..Wish::default()
    })
    .await?;
    let tenant = system.tenant("tenant").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let with =
        || tenant.chat(system.url()).bearer(OWN_KEY).header("cf-aig-authorization", &token).json(&greeting());
    let answer = tenant.until(502, with).await?;
    let text = answer.text();
    ensure!(
        text.contains("provider_unreachable") && text.contains(answer.header("cf-aig-request-id")),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn another_tenants_things_look_like_nothing_at_all() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let stranger = stage.system.tenant("stranger").await?;
    let log = stage.chat("mine").json(&greeting()).send().await?.header("cf-aig-log-id").to_owned();
    stage.outcome_of("mine").await?;
    let mine = stage.tenant.ask("GET", &format!("/ai-gateway/gateways/demo/logs/{log}"), None).await?;
    ensure!(mine["id"] == Value::String(log.clone()), "{mine}");

    // Under the stranger's own account, and under mine with the stranger's session.
    let own = stranger.call("GET", &format!("/ai-gateway/gateways/demo/logs/{log}")).send().await?;
    ensure!(own.status == 404, "{} {}", own.status, own.text());
    let path = format!("{}/accounts/{}/ai-gateway/gateways", stage.system.api(), stage.tenant.account);
    let forbidden = call("GET", &path).bearer(&stranger.session).send().await?;
    let unknown = call("GET", path.replace(&stage.tenant.account, &"0".repeat(32)))
        .bearer(&stranger.session)
        .send()
        .await?;
    ensure!(
        forbidden.status == 404 && forbidden.text() == unknown.text(),
        "{} {}",
        forbidden.text(),
        unknown.text()
    );
    Ok(())
}
