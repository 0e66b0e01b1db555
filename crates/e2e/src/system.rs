//! One installation, private to a test.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::forwarder::Forwarder;
use crate::http::call;
use crate::postgres::{PostgresServer, drop_database, fresh_database};
use crate::process::{FAILPOINT, Recipe, Running, binary, free_port};
pub use crate::records::Record;
use crate::redis_server::RedisServer;
use crate::tenant::Tenant;

/// The secret that the first start asks for.
const SETUP_TOKEN: &str = "e2e-setup-token";

/// What is particular about an installation.
#[derive(Debug, Default)]
pub struct Wish {
    /// More proxies than the one that is always there.
    pub more_proxies: usize,
    /// A Postgres server that the test may stop, instead of a database on the common one.
    pub own_postgres: bool,
    /// Processes reach Redis and Postgres by ways that the test may cut and lead elsewhere.
    pub own_ways: bool,
    /// A second Redis that follows the first and can be promoted; comes with ways of its own.
    pub replica: bool,
    /// The first Redis goes on taking writes when its replica has left it.
    pub careless_primary: bool,
    /// Added to every process's environment.
    pub environment: Vec<(&'static str, String)>,
    /// Where the first proxy kills itself; only until it is started again.
    pub proxy_failpoint: Option<&'static str>,
    /// Where the control plane kills itself; only until it is started again.
    pub control_plane_failpoint: Option<&'static str>,
}

/// A running installation: Postgres, Redis, a simulator, a control plane and proxies.
#[derive(Debug)]
pub struct System {
    /// The proxies, each with its own directory.
    pub proxies: Vec<Proxy>,
    /// The management plane.
    pub control_plane: Running,
    /// The provider.
    pub simulator: Running,
    /// The test's own Redis.
    pub redis: RedisServer,
    /// What follows it, if the test wished for that.
    pub replica: Option<RedisServer>,
    /// How the control plane reaches Redis and Postgres, if the test wished for ways.
    pub ways: Option<Ways>,
    /// The test's own Postgres server, if it wished for one.
    pub postgres: Option<PostgresServer>,
    /// Where the records are.
    pub database_url: String,
    api: String,
    simulator_url: String,
    operator: String,
    environment: BTreeMap<String, String>,
    directory: TempDir,
}

/// A proxy and where it is reached.
#[derive(Debug)]
pub struct Proxy {
    /// The process.
    pub running: Running,
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Health and metrics.
    pub metrics_url: String,
    /// How it reaches Redis, if the test wished for ways.
    pub redis_way: Option<Forwarder>,
}

/// The control plane's ways out.
#[derive(Debug)]
pub struct Ways {
    /// To Redis.
    pub redis: Forwarder,
    /// To Postgres.
    pub postgres: Forwarder,
}

impl System {
    /// Starts an installation with one proxy.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Wish::default()).await
    }

    /// Starts an installation.
    pub async fn start_with(wish: Wish) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("tollgate-e2e-").tempdir()?;
        // An unprivileged Postgres must be able to pass through.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let (redis, replica) = match wish.replica {
            true => {
                let (primary, replica) =
                    RedisServer::start_with_replica(directory.path().join("redis"), !wish.careless_primary)
                        .await?;
                (primary, Some(replica))
            }
            false => (RedisServer::start(directory.path().join("redis")).await?, None),
        };
        let postgres = match wish.own_postgres {
            true => Some(PostgresServer::start(directory.path().join("postgres"))?),
            false => None,
        };
        let database_url = match &postgres {
            Some(server) => server.url(),
            None => fresh_database().await?,
        };

        let mut ways = None;
        let (mut own_database_url, mut own_redis_url) = (database_url.clone(), redis.url());
        if wish.own_ways || wish.replica {
            let (postgres, redis);
            (postgres, own_database_url) = Forwarder::to_server(&own_database_url)?;
            (redis, own_redis_url) = Forwarder::to_server(&own_redis_url)?;
            ways = Some(Ways { redis, postgres });
        }

        let [api, grpc, metrics, simulator] = std::array::from_fn(|_| format!("127.0.0.1:{}", free_port()));
        let simulator_url = format!("http://{simulator}");
        let mut environment: BTreeMap<String, String> = [
            ("DATABASE_URL", database_url.clone()),
            ("REDIS_URL", redis.url()),
            ("TOLLGATE_CONTROL_PLANE_URL", format!("https://{grpc}")),
            (
                "TOLLGATE_PROVIDER_BASE_URLS",
                ["openai", "anthropic", "groq", "deepseek", "google-ai-studio"]
                    .map(|slug| format!("{slug}={simulator_url}/v1"))
                    .join(","),
            ),
            ("TOLLGATE_CREDENTIALS_KEYS", "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
            ("TOLLGATE_CONTENTS_KEYS", "one:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=".to_owned()),
            ("TOLLGATE_DRAIN_SECONDS", "5".to_owned()),
            ("RUST_BACKTRACE", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(wish.environment.into_iter().map(|(name, value)| (name.to_owned(), value)));

        let recipe =
            |name: &str, program: &str, arguments: &[&str], own: &[(&str, &String)], ready: String| {
                let mut environment = environment.clone();
                environment.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())));
                Recipe {
                    name: name.to_owned(),
                    program: binary(program),
                    arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
                    environment,
                    log: directory.path().join(format!("{name}.log")),
                    ready: Some(ready),
                }
            };
        let simulator_recipe = recipe(
            "simulator",
            "simulator",
            &[],
            &[("TOLLGATE_SIMULATOR_ADDR", &simulator)],
            format!("{simulator_url}/healthz"),
        );
        let control_plane_recipe = recipe(
            "control-plane",
            "tollgate",
            &["control-plane"],
            &[
                ("DATABASE_URL", &own_database_url),
                ("REDIS_URL", &own_redis_url),
                ("TOLLGATE_API_ADDR", &api),
                ("TOLLGATE_GRPC_ADDR", &grpc),
                ("TOLLGATE_METRICS_ADDR", &metrics),
                ("TOLLGATE_SETUP_TOKEN", &SETUP_TOKEN.to_owned()),
                ("TOLLGATE_SIGN_UP", &"open".to_owned()),
            ],
            format!("http://{metrics}/readyz"),
        );
        let failpoint = wish.control_plane_failpoint.map(str::to_owned);
        let mut control_plane_recipe = control_plane_recipe;
        control_plane_recipe.environment.extend(failpoint.map(|failpoint| (FAILPOINT.to_owned(), failpoint)));
        let (simulator, mut control_plane) =
            tokio::try_join!(simulator_recipe.start(), control_plane_recipe.start())?;
        control_plane.disarm();

        let api = format!("http://{api}/client/v4");
        let setup = json!({"token": SETUP_TOKEN, "email": "operator@tollgate.test", "password": "correct horse battery", "account_name": "Operator"});
        let answer = call("POST", format!("{api}/setup")).json(&setup).send().await?;
        ensure!(answer.status == 200, "setup: {} {}", answer.status, answer.text());
        let operator = text(&answer.json(), "/result/access_token")?;

        let mut system = Self {
            proxies: Vec::new(),
            control_plane,
            simulator,
            redis,
            replica,
            ways,
            postgres,
            database_url,
            api,
            simulator_url,
            operator,
            environment,
            directory,
        };
        system.add_proxy(wish.proxy_failpoint).await?;
        for _ in 0..wish.more_proxies {
            system.add_proxy(None).await?;
        }
        Ok(system)
    }

    /// The management API, with `/client/v4`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Where the only, or first, proxy is reached.
    pub fn url(&self) -> &str {
        &self.proxies[0].url
    }

    /// The simulated provider.
    pub fn simulator_url(&self) -> &str {
        &self.simulator_url
    }

    /// The operator's session.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Where the processes keep their logs and data.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Enrols and starts one more proxy.
    pub async fn add_proxy(&mut self, failpoint: Option<&str>) -> anyhow::Result<()> {
        let name = format!("proxy-{}", self.proxies.len());
        let join = call("POST", format!("{}/operator/join-tokens", self.api)).bearer(&self.operator);
        let join = join.json(&json!({"name": name})).send().await?;
        ensure!(join.status == 200, "join token: {} {}", join.status, join.text());
        let (address, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let (mut redis_url, mut redis_way) = (self.redis.url(), None);
        if self.ways.is_some() {
            let (way, url) = Forwarder::to_server(&redis_url)?;
            (redis_url, redis_way) = (url, Some(way));
        }
        let own = [
            ("REDIS_URL", redis_url),
            ("TOLLGATE_GATEWAY_ADDR", address.clone()),
            ("TOLLGATE_PROXY_METRICS_ADDR", metrics.clone()),
            ("TOLLGATE_PROXY_DIR", self.directory.path().join(&name).display().to_string()),
            ("TOLLGATE_JOIN_TOKEN", text(&join.json(), "/result/value")?),
        ];
        let mut environment = self.environment.clone();
        environment.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(failpoint) = failpoint {
            environment.insert(FAILPOINT.to_owned(), failpoint.to_owned());
        }
        let recipe = Recipe {
            log: self.directory.path().join(format!("{name}.log")),
            name,
            program: binary("tollgate"),
            arguments: vec!["proxy".to_owned()],
            environment,
            ready: Some(format!("http://{metrics}/readyz")),
        };
        let mut running = recipe.start().await?;
        running.disarm();
        self.proxies.push(Proxy {
            running,
            url: format!("http://{address}"),
            metrics_url: format!("http://{metrics}"),
            redis_way,
        });
        Ok(())
    }

    /// Loses Redis for good and promotes its replica; all ways lead there then.
    pub async fn fail_over(&mut self) -> anyhow::Result<()> {
        let replica = self.replica.take().context("a replica")?;
        self.redis.kill()?;
        replica.promote().await?;
        self.redis = replica;
        for way in self.redis_ways() {
            way.lead_to(self.redis.port());
        }
        Ok(())
    }

    /// How everybody reaches Redis.
    pub fn redis_ways(&self) -> impl Iterator<Item = &Forwarder> {
        let proxies = self.proxies.iter().filter_map(|proxy| proxy.redis_way.as_ref());
        proxies.chain(self.ways.as_ref().map(|ways| &ways.redis))
    }

    /// A command of `tollgate` beside the control plane, and what it printed.
    pub async fn tollgate(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        let mut command = tokio::process::Command::new(binary("tollgate"));
        command.args(arguments).env_clear().envs(&self.environment).stdin(std::process::Stdio::null());
        command.env("REDIS_URL", self.redis.url());
        Ok(command.kill_on_drop(true).output().await?)
    }

    /// A person with an account of their own, and a gateway `demo` in it.
    pub async fn tenant(&self, name: &str) -> anyhow::Result<Tenant> {
        Tenant::sign_up(self, name).await
    }

    /// Everything that any process has printed.
    pub fn logs(&self) -> String {
        let proxies = self.proxies.iter().map(|proxy| proxy.running.log());
        proxies.chain([self.control_plane.log(), self.simulator.log()]).collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() || self.postgres.is_some() {
            return;
        }
        let url = self.database_url.clone();
        // A test's runtime may be gone already, so the database is dropped from a thread of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(drop_database(&url)))
        });
        let _ = dropped.join();
    }
}

/// A text inside a JSON document.
pub fn text(document: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = document.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no text at {pointer} in {document}"))?.to_owned())
}
