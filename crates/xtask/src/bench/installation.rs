//! Tollgate as it would run for customers: control plane, one proxy, an open and a governed gateway, two accounts that
//! pay from credits, and two gateways at hosts of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::contestants::count;
use super::credits::{Payer, Proof};
use super::hosts::{self, Hosted};
use super::process::{self, cores, pinned};
use super::redis::Redis;
use crate::checkout::Checkout;
use crate::children::{Child, Children};
use crate::demo::{Demo, GATEWAY, ProviderKey};
use crate::files;
use crate::http::{Api, Http};
use crate::packages::on_path;
use crate::ports::Turn;
use crate::postgres;
use crate::services::Services;

/// The gateway whose callers need no token and bring their own key.
const OPEN: &str = "open";

pub(super) struct Installation {
    /// The proxy's host and port.
    pub(super) gateway: String,
    /// One with much and one with next to nothing.
    pub(super) payers: [Payer; 2],
    /// One with the smallest policy and one with five rules.
    pub(super) hosted: [Hosted; 2],
    demo: Demo,
    http: Http,
    api_url: String,
    /// The operator's session.
    operator: Option<String>,
    /// A mock that only the proxy speaks to, so that its count is the proxy's.
    mock: String,
    database_url: String,
    redis_url: String,
    psql: PathBuf,
    redis_pid_file: PathBuf,
    tollgate: PathBuf,
    environment: BTreeMap<&'static str, String>,
    proxy: Child,
}

impl Installation {
    pub(super) fn start(
        checkout: &Checkout,
        children: &Children,
        services: &Services,
        release: &Path,
        mock: &str,
        turn: &mut Turn,
    ) -> Result<Self> {
        for server in ["postgres", "redis"] {
            let pid_file = checkout.pids.join(format!("{server}.pid"));
            // Somebody else's server, named in the environment, is left where it is.
            if pid_file.exists() {
                process::move_over(&pid_file)?;
            }
        }
        if checkout.pids.join("postgres.pid").exists() {
            process::step_back(&checkout.pids.join("postgres.pid"))?;
        }
        let Services { database_url, redis_url } = services;
        let mut address = || turn.free_port(18_080).map(|port| format!("127.0.0.1:{port}"));
        let (gateway, api, grpc) = (address()?, address()?, address()?);
        let (control_plane_metrics, proxy_metrics) = (address()?, address()?);
        let folder = checkout.state.join("bench");
        let setup_token = files::random_password()?;
        let key_set = hosts::serve_key_set()?;
        let mut environment = BTreeMap::from([
            ("DATABASE_URL", database_url.clone()),
            ("REDIS_URL", redis_url.clone()),
            ("TOLLGATE_API_ADDR", api.clone()),
            ("TOLLGATE_GRPC_ADDR", grpc.clone()),
            ("TOLLGATE_METRICS_ADDR", control_plane_metrics.clone()),
            ("TOLLGATE_GATEWAY_ADDR", gateway.clone()),
            ("TOLLGATE_PROXY_METRICS_ADDR", proxy_metrics.clone()),
            ("TOLLGATE_CONTROL_PLANE_URL", format!("https://{grpc}")),
            ("TOLLGATE_SETUP_TOKEN", setup_token.clone()),
            ("TOLLGATE_CREDENTIALS_KEYS", files::random_key_ring()?),
            ("TOLLGATE_CONTENTS_KEYS", files::random_key_ring()?),
            ("TOLLGATE_PROVIDER_BASE_URLS", format!("openai=http://{mock}/v1")),
            ("TOLLGATE_PROXY_DIR", folder.join("proxy").to_string_lossy().into_owned()),
            ("TOLLGATE_PLAIN_HOSTS", key_set.to_string()),
            ("TOLLGATE_EGRESS_ALLOW", "127.0.0.0/8".to_owned()),
            ("TOLLGATE_LOG", "warn".to_owned()),
        ]);
        fs::create_dir_all(folder.join("proxy"))?;

        let http = Http::new();
        let tollgate = release.join("tollgate");
        let start = |name, core, environment: &BTreeMap<&str, String>, metrics: &str| -> Result<Child> {
            let mut program = pinned(name, core, &tollgate, &[name]);
            for (variable, value) in environment {
                program = program.environment(variable, value);
            }
            program.pid_file = Some(checkout.pids.join(format!("{name}.pid")));
            program.log = Some(checkout.logs.join(format!("{name}.log")));
            let child = children.start(program, None)?;
            http.wait_until_ready(children, &child, &format!("http://{metrics}/readyz"))?;
            Ok(child)
        };
        start("control-plane", cores()[1], &environment, &control_plane_metrics)?;
        process::step_back(&checkout.pids.join("control-plane.pid"))?;

        let url = format!("http://{api}");
        let mut api = Api { http: &http, url: &url, token: None };
        let mut demo = Demo::kept(&folder.join("demo.json"))?;
        let key = ProviderKey { slug: "openai", secret: "sk-stored".to_owned() };
        demo.complete(&mut api, &setup_token, &[key])?;
        let gateways = format!("/accounts/{}/ai-gateway/gateways", demo.account_id);
        let open = json!({
            "id": OPEN, "authentication": false, "collect_logs": true, "cache_invalidate_on_update": false,
            "cache_ttl": 0, "rate_limiting_interval": 0, "rate_limiting_limit": 0,
        });
        api.result("POST", &gateways, Some(&open))?;
        let payers = [
            Payer::new(&api, "credits, $1,000", 1_000_000_000_000)?,
            Payer::new(&api, "credits, $0.01", 10_000_000)?,
        ];
        let hosted = Hosted::both(&api, &demo.account_id, "sk-stored", key_set)?;
        let operator = api.token.take();
        environment.insert("TOLLGATE_JOIN_TOKEN", join_token(&tollgate, &environment)?);
        let proxy = start("proxy", cores()[0], &environment, &proxy_metrics)?;
        let binaries = postgres::binaries(&checkout.data.join("postgres"));
        let psql = binaries.map(|folder| folder.join("psql")).filter(|psql| psql.exists());
        Ok(Self {
            gateway,
            payers,
            hosted,
            demo,
            http: Http::new(),
            api_url: url.clone(),
            operator,
            mock: mock.to_owned(),
            database_url: database_url.clone(),
            redis_url: redis_url.clone(),
            psql: psql.or_else(|| on_path("psql")).context("psql is missing; it comes with Postgres")?,
            redis_pid_file: checkout.pids.join("redis.pid"),
            tollgate: tollgate.clone(),
            environment,
            proxy,
        })
    }

    pub(super) fn open_path(&self) -> String {
        format!("/v1/{}/{OPEN}/openai/chat/completions", self.demo.account_id)
    }

    pub(super) fn governed_path(&self) -> String {
        format!("/v1/{}/{GATEWAY}/openai/chat/completions", self.demo.account_id)
    }

    /// The caller brings a token and no key: the key is the stored one.
    pub(super) fn governed_headers(&self) -> Vec<(&'static str, String)> {
        vec![("cf-aig-authorization", format!("Bearer {}", self.demo.gateway_token))]
    }

    /// Waits until every request that reached the mock has its record in Postgres, and lets payers have again what
    /// they are to have.
    pub(super) fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (records, requests) = self.records()?;
            if records >= requests {
                return self.refill();
            }
            ensure!(
                Instant::now() < deadline,
                "{requests} requests, but only {records} records after a minute"
            );
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn refill(&self) -> Result<()> {
        let api = Api { http: &self.http, url: &self.api_url, token: self.operator.clone() };
        let mut redis = Redis::at(&self.redis_url)?;
        self.payers.iter().try_for_each(|payer| payer.refill(&api, |query| self.query(query), &mut redis))
    }

    /// How many records Postgres has, and how many requests reached the mock through the proxy.
    pub(super) fn records(&self) -> Result<(u64, u64)> {
        let records = self.query("SELECT count(*) FROM usage_records")?.trim().parse()?;
        Ok((records, count(&self.mock)?))
    }

    /// What the payers' requests left behind.
    pub(super) fn proofs(&self) -> Result<Vec<Proof>> {
        let mut redis = Redis::at(&self.redis_url)?;
        self.payers.iter().map(|payer| payer.proof(|query| self.query(query), &mut redis)).collect()
    }

    fn query(&self, query: &str) -> Result<String> {
        let output = Command::new(&self.psql)
            .args([&self.database_url, "--no-psqlrc", "--tuples-only", "--no-align", "--command", query])
            .output()?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Redis's time on a core, if it is ours.
    pub(super) fn redis_cpu(&self) -> Result<Option<u64>> {
        if !self.redis_pid_file.exists() {
            return Ok(None);
        }
        process::cpu_nanoseconds(process::pid_of(&self.redis_pid_file)?).map(Some)
    }

    /// Ends the proxy and makes the command start it again as it was.
    pub(super) fn become_ready_to_start(&self, checkout: &Checkout, command: &mut Command) -> Result<()> {
        self.proxy.stop();
        if checkout.pids.join("proxy.pid").exists() {
            bail!("the proxy does not end");
        }
        command.arg(&self.tollgate).arg("proxy").envs(&self.environment);
        Ok(())
    }
}

fn join_token(tollgate: &Path, environment: &BTreeMap<&'static str, String>) -> Result<String> {
    let created = Command::new(tollgate).args(["join-token", "create"]).envs(environment).output()?;
    ensure!(created.status.success(), "join-token create: {}", String::from_utf8_lossy(&created.stderr));
    Ok(String::from_utf8(created.stdout)?.trim().to_owned())
}
