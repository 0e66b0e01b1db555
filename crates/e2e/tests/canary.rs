//! Secrets, prompts and answers are planted and looked for everywhere else: in logs, metrics,
//! traces, errors, tables, Redis and the proxy's own files.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::collector::Collector;
use e2e::system::{System, Wish};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

const CALLERS_KEY: &str = "sk-canary-of-the-caller-0123456789";
const STORED_KEY: &str = "sk-canary-that-is-stored-0123456789";
const PROMPT: &str = "canary-in-the-prompt";

/// Everything in Postgres as text. Binary columns come out as hex digits.
async fn tables(url: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    let names = sqlx::query(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    );
    let mut dump = String::new();
    for row in names.fetch_all(&mut connection).await? {
        let name: String = row.try_get("name")?;
        let rows = sqlx::query(AssertSqlSafe(format!("SELECT row_to_json(t)::text AS row FROM {name} t")));
        for row in rows.fetch_all(&mut connection).await? {
            dump.push_str(&format!("{name}: {}\n", row.try_get::<String, _>("row")?));
        }
    }
    Ok(dump)
}

/// Every file below a directory, with its name before it.
fn files(directory: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes.extend(files(&path)?);
        } else {
            bytes.extend(path.to_string_lossy().as_bytes());
            bytes.extend(std::fs::read(&path)?);
        }
    }
    Ok(bytes)
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    let hex: String = needle.bytes().map(|byte| format!("{byte:02x}")).collect();
    [needle, &hex].iter().any(|needle| memchr::memmem::find(haystack, needle.as_bytes()).is_some())
}

#[tokio::test]
async fn secrets_prompts_and_answers_are_nowhere_but_where_they_belong() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let environment = vec![
        ("TOLLGATE_LOG", "trace".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        // Spans go out at once rather than every five seconds.
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let system = System::start_with(Wish { environment, ..Wish::default() }).await?;
    let tenant = system.tenant("canary").await?;
    tenant.store_key("demo", STORED_KEY, "default").await?;
    let (_, gateway_token) = tenant.gateway_token("demo").await?;
    let (_, api_token) = tenant.api_token(&["AI Gateway Run"]).await?;

    let question = |stream: bool| json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": PROMPT}]});
    let chat = || tenant.chat(system.url());
    let with_stored_key = || chat().bearer(&api_token).json(&question(false));
    let answered = tenant.until(200, with_stored_key).await?;
    let answer =
        answered.json()["choices"][0]["message"]["content"].as_str().context("an answer")?.to_owned();
    let mut told = vec![];
    for stream in [false, true] {
        let own =
            chat().bearer(CALLERS_KEY).header("cf-aig-authorization", &gateway_token).json(&question(stream));
        ensure!(own.send().await?.status == 200);
        // Refused and failed requests are told about without what they carried.
        told.push(
            chat()
                .bearer(CALLERS_KEY)
                .header("cf-aig-authorization", format!("{gateway_token}x"))
                .json(&question(stream))
                .send()
                .await?,
        );
        for trouble in ["reset", "status=500", "half_json"] {
            let failing = chat().bearer(&api_token).header("x-simulator", trouble).json(&question(stream));
            told.extend(failing.send().await.ok());
        }
    }
    let mut broken = question(false).to_string();
    broken.pop();
    told.push(
        chat()
            .bearer(CALLERS_KEY)
            .header("cf-aig-authorization", &gateway_token)
            .header("content-type", "application/json")
            .body(broken)
            .send()
            .await?,
    );

    system.records_when("all records", |records| records.len() >= 9).await?;
    let spans = Instant::now() + Duration::from_secs(20);
    while !holds(&collector.taken(), "gpt-4o-mini") {
        ensure!(Instant::now() < spans, "no span of a request arrived");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let mut places: Vec<(&str, Vec<u8>)> = vec![
        ("the traces", collector.taken()),
        ("the tables", tables(&system.database_url).await?.into()),
        ("the control plane's log", system.control_plane.log().into()),
        ("the proxy's log", system.proxies[0].running.log().into()),
        ("the proxy's files", files(&system.directory().join("proxy-0"))?),
        ("Redis", files(&system.directory().join("redis"))?),
        (
            "the metrics",
            e2e::http::get(&format!("{}/metrics", system.proxies[0].metrics_url)).await?.body.to_vec(),
        ),
    ];
    let told = told.iter().map(|answer| format!("{:?}{}", answer.headers, answer.text()));
    places.push(("the errors", told.collect::<String>().into()));
    let planted = [
        CALLERS_KEY,
        STORED_KEY,
        PROMPT,
        &answer,
        &gateway_token,
        &api_token,
        &tenant.session,
        "correct horse battery",
    ];
    for (place, content) in &places {
        for canary in planted {
            ensure!(!holds(content, canary), "{place} hold {canary}");
        }
    }
    // The search does find what is there.
    ensure!(
        holds(&places[1].1, &tenant.account) && holds(&places[5].1, "gpt-4o-mini"),
        "the search is blind"
    );
    let logs: Value = tenant.ask("GET", "/ai-gateway/gateways/demo/logs", None).await?;
    ensure!(logs.as_array().is_some_and(|logs| logs.len() >= 9), "{logs}");
    Ok(())
}
