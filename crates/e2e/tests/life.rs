//! How processes begin and end, and what takes effect while they run.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::http::call;
use e2e::process::{Recipe, free_port};
use e2e::redis_server::RedisServer;
use e2e::system::{System, Wish, text};
use e2e::tenant::{Tenant, greeting};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;

const OWN_KEY: &str = "sk-caller-0123456789abcdef";

async fn slow_stream(tenant: &Tenant, proxy: &str, token: &str, event: &str) -> anyhow::Result<Incoming> {
    let mut body = greeting();
    body["stream"] = json!(true);
    let chat = tenant
        .chat(proxy)
        .bearer(OWN_KEY)
        .header("cf-aig-authorization", token)
        .header("cf-aig-event-id", event);
    let answer = chat.header("x-simulator", "chunks=400; chunk_ms=10").json(&body).open().await?;
    ensure!(answer.status() == 200, "{answer:?}");
    let mut stream = answer.into_body();
    stream.frame().await.context("the stream's first frame")??;
    Ok(stream)
}

async fn rest_of(mut stream: Incoming) -> String {
    let mut rest = Vec::new();
    while let Some(Ok(frame)) = stream.frame().await {
        rest.extend(frame.into_data().unwrap_or_default());
    }
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn revoking_a_token_ends_its_running_streams_and_no_others() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("tenant").await?;
    let (id, revoked) = tenant.gateway_token("demo").await?;
    let (_, kept) = tenant.gateway_token("demo").await?;
    for token in [&revoked, &kept] {
        tenant
            .until(200, || {
                tenant
                    .chat(system.url())
                    .bearer(OWN_KEY)
                    .header("cf-aig-authorization", token)
                    .json(&greeting())
            })
            .await?;
    }
    let ended = slow_stream(&tenant, system.url(), &revoked, "ended").await?;
    let going_on = slow_stream(&tenant, system.url(), &kept, "going on").await?;
    tenant.ask("DELETE", &format!("/ai-gateway/gateways/demo/tokens/{id}"), None).await?;
    let told = rest_of(ended).await;
    ensure!(!told.contains("[DONE]"), "the stream went on to its end");
    ensure!(told.contains("error"), "the caller was not told: {told}");
    ensure!(rest_of(going_on).await.contains("[DONE]"), "another token's stream was ended");
    let both = |records: &[e2e::system::Record]| {
        ["ended", "going on"].iter().all(|event| records.iter().any(|record| record.event_id == *event))
    };
    let records = system.records_when("both streams' records", both).await?;
    let outcome = |event: &str| {
        records.iter().find(|record| record.event_id == event).map(|record| record.outcome.clone())
    };
    ensure!(
        outcome("ended").as_deref() == Some("ended") && outcome("going on").as_deref() == Some("answered"),
        "{records:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_is_told_to_end_lets_its_streams_finish() -> anyhow::Result<()> {
    let environment = vec![("TOLLGATE_DRAIN_SECONDS", "30".to_owned())];
    let mut system = System::start_with(Wish { environment, ..Wish::default() }).await?;
    let tenant = system.tenant("tenant").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    tenant
        .until(200, || {
            tenant.chat(system.url()).bearer(OWN_KEY).header("cf-aig-authorization", &token).json(&greeting())
        })
        .await?;
    let stream = slow_stream(&tenant, system.url(), &token, "draining").await?;
    system.proxies[0].running.terminate();
    ensure!(rest_of(stream).await.contains("[DONE]"), "the stream was cut");
    let status = system.proxies[0].running.ended(Duration::from_secs(40)).await?;
    ensure!(status.success(), "{status}");
    system
        .records_when("the stream's record", |records| {
            records.iter().any(|record| record.event_id == "draining")
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_setting_takes_effect_without_a_restart() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("tenant").await?;
    let anonymous = || tenant.chat(system.url()).bearer(OWN_KEY).json(&greeting());
    tenant.until(401, anonymous).await?;
    let settings = json!({"cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0, "authentication": false});
    tenant.ask("PUT", "/ai-gateway/gateways/demo", Some(&settings)).await?;
    tenant.until(200, anonymous).await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_of_accounts_in_use_answers_the_first_request_of_an_account() -> anyhow::Result<()> {
    let environment = vec![("TOLLGATE_ACCOUNTS", "in-use".to_owned())];
    let mut system = System::start_with(Wish { environment, ..Wish::default() }).await?;
    let tenant = system.tenant("tenant").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let request = |url: &str| tenant.chat(url).bearer(OWN_KEY).header("cf-aig-authorization", &token);
    let answer = request(system.url()).json(&greeting()).send().await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let nobody = format!("{}/v1/{:032x}/demo/openai/chat/completions", system.url(), 0xdead);
    let answer = call("POST", nobody).bearer(OWN_KEY).json(&greeting()).send().await?;
    ensure!(answer.status == 400, "{} {}", answer.status, answer.text());

    system.control_plane.kill()?;
    system.proxies[0].running.stop().await?;
    system.proxies[0].running.restart().await?;
    let answer = request(system.url()).json(&greeting()).send().await?;
    ensure!(answer.status == 200, "what it knew is on its disk: {} {}", answer.status, answer.text());
    let unknown = format!("{}/v1/{:032x}/demo/openai/chat/completions", system.url(), 0xbeef);
    let answer = call("POST", unknown).bearer(OWN_KEY).json(&greeting()).send().await?;
    ensure!(answer.status == 503, "{} {}", answer.status, answer.text());
    ensure!(answer.headers.contains_key("retry-after"), "when to try again");
    Ok(())
}

#[tokio::test]
async fn the_customers_page_works_to_the_letter_with_curl() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("tenant").await?;
    tenant.create_gateway("open", &json!({"authentication": false})).await?;
    tenant.create_gateway("stored", &json!({"authentication": true})).await?;
    tenant.store_key("stored", "sk-stored-0123456789abcdef", "default").await?;
    let (_, token) = tenant.api_token(&["AI Gateway Run"]).await?;
    let story = r#"{    "model": "gpt-5.1",    "input": [      {        "role": "user",        "content": "Write a one-sentence bedtime story about a unicorn."      }    ]  }"#;
    let question = r#"{    "model": "gpt-4o-mini",    "messages": [      {        "role": "user",        "content": "What is Cloudflare?"      }    ]  }"#;
    for (endpoint, body) in [("responses", story), ("chat/completions", question)] {
        for (gateway, own_key, with_token) in
            [("demo", true, true), ("open", true, false), ("stored", false, true)]
        {
            let url = format!("{}/{endpoint}", tenant.provider_url(system.url(), gateway, "openai"));
            let curl = || async {
                let mut curl = tokio::process::Command::new("curl");
                curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", &url]);
                if own_key {
                    curl.args(["--header", &format!("Authorization: Bearer {OWN_KEY}")]);
                }
                if with_token {
                    curl.args(["--header", &format!("cf-aig-authorization: Bearer {token}")]);
                }
                curl.args(["--header", "Content-Type: application/json", "--data", body]);
                anyhow::Ok(String::from_utf8(curl.output().await?.stdout)?)
            };
            tenant
                .until(200, || {
                    call("GET", format!("{}/models", tenant.provider_url(system.url(), gateway, "openai")))
                        .bearer(OWN_KEY)
                        .header("cf-aig-authorization", &token)
                })
                .await?;
            ensure!(curl().await? == "200", "{endpoint} through {gateway}: {}", curl().await?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn models_with_a_providers_name_before_them_go_to_that_provider() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("tenant").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let compat = |path: &str| {
        call("POST", format!("{}/{path}", tenant.provider_url(system.url(), "demo", "compat")))
            .bearer(OWN_KEY)
            .header("cf-aig-authorization", &token)
    };
    let chat = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]});
    for path in ["chat/completions", "v1/chat/completions"] {
        let answer = tenant.until(200, || compat(path).json(&chat)).await?;
        ensure!(answer.json()["choices"][0]["message"]["content"].is_string(), "{path}: {}", answer.text());
    }
    let embeddings = compat("embeddings")
        .json(&json!({"model": "openai/text-embedding-3-small", "input": "one"}))
        .send()
        .await?;
    ensure!(embeddings.status == 200, "{}", embeddings.text());
    for (model, code) in [("gpt-4o-mini", 2019), ("nobody/gpt", 2008)] {
        let mut chat = chat.clone();
        chat["model"] = json!(model);
        let answer = compat("chat/completions").json(&chat).send().await?;
        ensure!(
            answer.status == 400 && answer.json()["error"][0]["code"] == code,
            "{model}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let models = call("GET", format!("{}/models", tenant.provider_url(system.url(), "demo", "compat")))
        .bearer(&token)
        .send()
        .await?;
    let listed = models.json()["data"]
        .as_array()
        .is_some_and(|models| models.iter().any(|model| model["id"] == "openai/gpt-4o-mini"));
    ensure!(listed, "{} {}", models.status, models.text());
    Ok(())
}

#[tokio::test]
async fn root_keys_are_rotated_while_requests_are_served() -> anyhow::Result<()> {
    let old = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let new = "two:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
    let rings = |first: &str, second: &str| vec![("TOLLGATE_CREDENTIALS_KEYS", format!("{first},{second}"))];
    let mut system = System::start_with(Wish { environment: rings(old, new), ..Wish::default() }).await?;
    let tenant = system.tenant("tenant").await?;
    tenant.store_key("demo", "sk-stored-0123456789abcdef", "default").await?;
    let (_, token) = tenant.api_token(&["AI Gateway Run"]).await?;
    let stored = || tenant.chat(system.url()).bearer(&token).json(&greeting());
    tenant.until(200, stored).await?;

    let mut rotation = system.control_plane.recipe.clone();
    rotation.arguments = vec!["vault".to_owned(), "rotate".to_owned()];
    rotation.environment.insert("TOLLGATE_CREDENTIALS_KEYS".to_owned(), format!("{new},{old}"));
    let status = rotation.spawn()?.ended(Duration::from_secs(30)).await?;
    ensure!(status.success(), "{status}: {}", system.control_plane.log());
    ensure!(stored().send().await?.status == 200, "the running proxy has both keys");

    // With the old key gone from the ring, what was sealed before still opens.
    for running in [&mut system.control_plane, &mut system.proxies[0].running] {
        running.recipe.environment.insert("TOLLGATE_CREDENTIALS_KEYS".to_owned(), new.to_owned());
        running.restart().await?;
    }
    let stored = || tenant.chat(system.url()).bearer(&token).json(&greeting());
    tenant.until(200, stored).await?;
    Ok(())
}

#[tokio::test]
async fn both_planes_run_in_one_process() -> anyhow::Result<()> {
    let system = System::start().await?;
    let database = e2e::postgres::fresh_database().await?;
    let redis = RedisServer::start(system.directory().join("standalone-redis")).await?;
    let [api, grpc, metrics, gateway, proxy_metrics] =
        std::array::from_fn(|_| format!("127.0.0.1:{}", free_port()));
    let mut environment = system.control_plane.recipe.environment.clone();
    environment.extend(
        [
            ("DATABASE_URL", database.clone()),
            ("REDIS_URL", redis.url()),
            ("TOLLGATE_API_ADDR", api.clone()),
            ("TOLLGATE_GRPC_ADDR", grpc.clone()),
            ("TOLLGATE_CONTROL_PLANE_URL", format!("https://{grpc}")),
            ("TOLLGATE_METRICS_ADDR", metrics),
            ("TOLLGATE_GATEWAY_ADDR", gateway.clone()),
            ("TOLLGATE_PROXY_METRICS_ADDR", proxy_metrics.clone()),
            ("TOLLGATE_PROXY_DIR", system.directory().join("standalone").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let recipe = Recipe {
        name: "standalone".to_owned(),
        arguments: vec!["standalone".to_owned()],
        environment,
        log: system.directory().join("standalone.log"),
        ready: Some(format!("http://{proxy_metrics}/readyz")),
        ..system.control_plane.recipe.clone()
    };
    let mut standalone = recipe.start().await?;
    let api = format!("http://{api}/client/v4");
    let person =
        json!({"email": "one@tollgate.test", "password": "correct horse battery", "account_name": "One"});
    let sign_up = call("POST", format!("{api}/auth/sign-up")).json(&person).send().await?;
    let session = text(&sign_up.json(), "/result/access_token").with_context(|| sign_up.text())?;
    let accounts = call("GET", format!("{api}/accounts")).bearer(&session).send().await?;
    let account = text(&accounts.json(), "/result/0/id")?;
    let body = json!({"id": "open", "cache_invalidate_on_update": false, "cache_ttl": 0, "collect_logs": true,
        "rate_limiting_interval": 0, "rate_limiting_limit": 0});
    let made = call("POST", format!("{api}/accounts/{account}/ai-gateway/gateways"))
        .bearer(&session)
        .json(&body)
        .send()
        .await?;
    ensure!(made.status == 200, "{}", made.text());
    let chat = format!("http://{gateway}/v1/{account}/open/openai/chat/completions");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = call("POST", &chat).bearer(OWN_KEY).json(&greeting()).send().await?;
        if answer.status == 200 {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "{} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = standalone.stop().await?;
    ensure!(status.success(), "{status}");
    drop(standalone);
    e2e::postgres::drop_database(&database).await
}
