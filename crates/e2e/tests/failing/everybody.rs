//! What the caller is told when more fail than the first, and who is asked with which key until then.

use anyhow::{Context as _, ensure};
use e2e::records::Record;
use e2e::system::System;
use e2e::tenant::Tenant;
use serde_json::{Value, json};

use crate::stage::{ANSWERING, Stage};

/// A model that both providers of [`POLICY`] serve.
const SHARED: &str = "openai/gpt-oss-120b";

/// Two providers for one model, the first of them with two keys.
const POLICY: &str = "
on_http_request:
  - type: ai-gateway
    config:
      only_allow_configured_providers: true
      providers:
        - id: groq
          api_keys:
            - value: ${secrets.get('providers', 'groq-first')}
            - value: ${secrets.get('providers', 'groq-second')}
        - id: cerebras
          api_keys:
            - value: ${secrets.get('providers', 'cerebras')}
";

/// The same with little time.
const IMPATIENT: &str = "
      per_request_timeout: 1s
      total_timeout: 1500ms
";

/// The secrets that the policy names. The keys begin unlike each other.
const SECRETS: [(&str, &str); 3] = [
    ("groq-first", "sk-pol-groA-0123456789"),
    ("groq-second", "sk-pol-groB-0123456789"),
    ("cerebras", "sk-pol-cere-0123456789"),
];

/// What providers see of the keys.
const GROQ_FIRST: (&str, &str) = ("groq", "Bearer sk-pol-groA");
const GROQ_SECOND: (&str, &str) = ("groq", "Bearer sk-pol-groB");
const CEREBRAS: (&str, &str) = ("cerebras", "Bearer sk-pol-cere");
const STORED_GROQ: (&str, &str) = ("groq", "Bearer sk-own-groq");
const CALLERS: (&str, &str) = ("openai", "Bearer sk-cal-open");

/// What is asked of whom, and what must come of it.
struct Plot {
    id: &'static str,
    /// Which gateway is asked, by its host's first label.
    gateway: &'static str,
    models: &'static [&'static str],
    wishes: &'static str,
    streamed: bool,
    status: u16,
    /// The code in the header, for clients who know it.
    code: &'static str,
    /// What stands in the body.
    says: &'static [&'static str],
    retry_after: &'static str,
    /// The attempts that arrived, each at a provider with a key.
    arrived: &'static [(&'static str, &'static str)],
    causes: &'static [&'static str],
}

const PLOT: Plot = Plot {
    id: "",
    gateway: "shared",
    models: &[SHARED],
    wishes: "",
    streamed: false,
    status: 200,
    code: "",
    says: &[],
    retry_after: "",
    arrived: &[GROQ_FIRST, GROQ_SECOND, CEREBRAS],
    causes: &["failed_over", "failed_over", ""],
};

const PLOTS: &[Plot] = &[
    Plot { id: "nobody-fails", arrived: &[GROQ_FIRST], causes: &[""], ..PLOT },
    Plot { id: "keys-then-providers", wishes: "[groq: status=401]", says: &["coin"], ..PLOT },
    Plot {
        id: "one-key-fails",
        wishes: "[groq: status=429; fail_times=1; key=one-key-fails]",
        says: &["coin"],
        arrived: &[GROQ_FIRST, GROQ_SECOND],
        causes: &["failed_over", ""],
        ..PLOT
    },
    Plot {
        id: "all-are-busy",
        wishes: "[groq: status=429; retry_after=7] [cerebras: status=429; retry_after=9]",
        status: 429,
        says: &["rate_limit_exceeded"],
        retry_after: "9",
        ..PLOT
    },
    Plot {
        id: "each-in-its-way",
        wishes: "[groq: status=500] [cerebras: status=429]",
        status: 503,
        code: "ERR_NGROK_3807",
        says: &["`groq` answered 500", "`cerebras` answered 429"],
        causes: &["failed_over", "failed_over", "all_failed"],
        ..PLOT
    },
    Plot {
        id: "all-hang-up",
        wishes: "[groq: hang_up] [cerebras: reset]",
        status: 502,
        code: "ERR_NGROK_3800",
        says: &["`cerebras` broke off"],
        causes: &["provider_broke_off", "provider_broke_off", "provider_broke_off"],
        ..PLOT
    },
    Plot {
        id: "half-a-stream",
        wishes: "[groq: half_stream=3]",
        streamed: true,
        says: &[" coin", "`groq` broke off"],
        arrived: &[GROQ_FIRST],
        causes: &["provider_broke_off"],
        ..PLOT
    },
    Plot {
        id: "time-is-up",
        gateway: "impatient",
        wishes: "[groq: hang] [cerebras: hang]",
        status: 504,
        code: "ERR_NGROK_3810",
        says: &["did not begin to answer"],
        arrived: &[GROQ_FIRST, GROQ_SECOND],
        causes: &["provider_timeout", "provider_timeout"],
        ..PLOT
    },
    Plot {
        id: "whose-key-is-whose",
        gateway: "brought",
        models: &["openai:gpt-4o-mini", "groq:openai/gpt-oss-120b"],
        wishes: "[openai: status=500]",
        says: &["coin"],
        arrived: &[CALLERS, STORED_GROQ],
        causes: &["failed_over", ""],
        ..PLOT
    },
    Plot {
        id: "no-key-for-another",
        gateway: "brought",
        models: &["openai:gpt-4o-mini", "cerebras:gpt-oss-120b"],
        wishes: "[openai: status=500]",
        status: 500,
        says: &["server_error"],
        arrived: &[CALLERS],
        causes: &[""],
        ..PLOT
    },
];

#[tokio::test]
async fn who_is_asked_until_nobody_is_left_and_what_is_told_then() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let tenant = stage.system.tenant("everybody").await?;
    gateways(&stage, &tenant).await?;
    let mut mistakes = Vec::new();
    for plot in PLOTS {
        if let Err(mistake) = plot.is_played(&stage).await {
            mistakes.push(format!("{}: {mistake:#}", plot.id));
        }
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
    ensure!(stage.system.holds().await?.is_empty(), "something is held");
    Ok(())
}

fn host(gateway: &str) -> String {
    format!("{gateway}.everybody.example")
}

async fn gateways(stage: &Stage, tenant: &Tenant) -> anyhow::Result<()> {
    let vault = tenant.ask("POST", "/ai-gateway/vaults", Some(&json!({"name": "providers"}))).await?;
    let secrets = format!("/ai-gateway/vaults/{}/secrets", vault["id"].as_str().context("a vault's id")?);
    for (name, value) in SECRETS {
        tenant.ask("POST", &secrets, Some(&json!({"name": name, "value": value}))).await?;
    }
    let policies = [
        ("shared", Some(POLICY.to_owned())),
        ("impatient", Some(format!("{}{}", POLICY.trim_end(), IMPATIENT))),
        ("brought", None),
    ];
    for (gateway, policy) in policies {
        let settings = json!({"authentication": false, "error_shape": "ngrok", "stored_keys": "open"});
        tenant.create_gateway(gateway, &settings).await?;
        if let Some(policy) = policy {
            let path = format!("/ai-gateway/gateways/{gateway}/traffic_policy");
            let answer = tenant.call("PUT", &path).body(policy).send().await?;
            ensure!(answer.status == 200, "{gateway}: {}", answer.text());
        } else {
            tenant.store_key_of(gateway, "groq", "sk-own-groq-0123456789", "default").await?;
        }
        stage.bind(tenant, gateway, &host(gateway)).await?;
        let (call, body) = stage.ask(&host(gateway), "warm-up", &["groq:openai/gpt-oss-120b"], "");
        tenant.until(200, || call.clone().json(&body)).await?;
    }
    Ok(())
}

impl Plot {
    async fn is_played(&self, stage: &Stage) -> anyhow::Result<()> {
        let (mut call, mut body) = stage.ask(&host(self.gateway), self.id, self.models, self.wishes);
        if self.streamed {
            body["stream"] = json!(true);
        }
        if self.arrived.contains(&CALLERS) {
            call = call.bearer("sk-cal-open-0123456789");
        }
        let answer = call.json(&body).send().await?;
        let text = answer.text();
        let seen = (answer.status, answer.header("ngrok-error-code"), answer.header("retry-after"));
        ensure!(seen == (self.status, self.code, self.retry_after), "the caller saw {seen:?}: {text}");
        ensure!(self.says.iter().all(|words| text.contains(words)), "the caller was told {text}");
        let attempts = answer.header("ngrok-aig-attempts");
        ensure!(attempts == self.arrived.len().to_string(), "{attempts} attempts");

        let records = self.records(&stage.system).await?;
        let causes: Vec<&str> = records.iter().map(|record| &*record.cause).collect();
        ensure!(causes == self.causes, "the records say {causes:?}");
        let asked: Vec<&str> = records.iter().map(|record| &*record.provider).collect();
        let expected: Vec<&str> = self.arrived.iter().map(|(provider, _)| *provider).collect();
        ensure!(asked == expected, "the records say that {asked:?} were asked");
        ensure!(records.iter().all(|record| (record.charge, record.paid) == (0, 0)), "charged: {records:#?}");

        for provider in ANSWERING {
            let arrivals = stage.arrivals(provider).await?;
            let of_plot = arrivals.iter().filter(|arrival| arrival["test_id"] == self.id);
            let keys: Vec<&Value> = of_plot.map(|arrival| &arrival["authorization"]).collect();
            let expected: Vec<&str> =
                self.arrived.iter().filter(|(who, _)| *who == provider).map(|(_, key)| *key).collect();
            ensure!(keys == expected, "`{provider}` was shown {keys:?}");
        }
        Ok(())
    }

    async fn records(&self, system: &System) -> anyhow::Result<Vec<Record>> {
        let of_plot = |record: &Record| record.event_id == self.id;
        let all =
            |records: &[Record]| records.iter().filter(|record| of_plot(record)).count() >= self.causes.len();
        let mut records = system.records_when(self.id, all).await?;
        records.retain(of_plot);
        records.sort_by_key(|record| record.attempt);
        Ok(records)
    }
}
