//! The control plane's configuration: environment variables, one struct per concern.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use egress::TrustedHosts;
use model::Secret;
use process::{Shutdown, TrustedProxies};
use vault::KeyRings;

use crate::payments::PaymentsConfig;
use crate::push::PushConfig;

/// Everything that a control plane reads from its environment.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// where it is reached
    #[command(flatten)]
    pub listen: Listen,
    /// where proxies connect
    #[command(flatten)]
    pub push: PushConfig,
    /// what it tells people about addresses
    #[command(flatten)]
    pub public: Public,
    /// where its state is
    #[command(flatten)]
    pub stores: Stores,
    /// who may come in
    #[command(flatten)]
    pub entrance: Entrance,
    /// how credits are bought
    #[command(flatten)]
    pub payments: PaymentsConfig,
    /// what seals secrets
    #[command(flatten)]
    pub keys: KeyRings,
    /// where tenants' providers may be
    #[command(flatten)]
    pub trusted_hosts: TrustedHosts,
    /// how it leaves
    #[command(flatten)]
    pub shutdown: Shutdown,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Args)]
pub struct Listen {
    /// the management API's address
    #[arg(long, env = "TOLLGATE_API_ADDR", default_value = "127.0.0.1:8081")]
    pub api: SocketAddr,
    /// certificates with which the management API speaks TLS; plain HTTP unless said
    #[arg(long, env = "TOLLGATE_API_TLS_DIR")]
    pub api_tls_dir: Option<PathBuf>,
    /// whose word is taken on where requests come from
    #[command(flatten)]
    pub trusted: TrustedProxies,
    /// health and metrics
    #[arg(long, env = "TOLLGATE_METRICS_ADDR", default_value = "127.0.0.1:9101")]
    pub metrics: SocketAddr,
}

/// What it tells people about addresses.
#[derive(Debug, Clone, Args)]
pub struct Public {
    /// where people reach the API; its own address unless said
    #[arg(long, env = "TOLLGATE_PUBLIC_API_URL")]
    pub public_api_url: Option<String>,
    /// where callers reach the gateways
    #[arg(long, env = "TOLLGATE_PUBLIC_GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    pub public_gateway_url: String,
    /// the domains, apart by commas, under which tenants may bind hosts; any host unless said
    #[arg(long, env = "TOLLGATE_ENDPOINT_DOMAINS", value_delimiter = ',')]
    pub endpoint_domains: Vec<String>,
}

impl Public {
    /// The domains under which tenants may bind hosts, in lower case.
    pub fn endpoint_domains(&self) -> anyhow::Result<Vec<String>> {
        let domains =
            self.endpoint_domains.iter().map(|domain| domain.trim()).filter(|domain| !domain.is_empty());
        let checked = domains.map(|domain| match domain.parse() {
            Ok(model::host::Host::Exact(domain)) => Ok(domain),
            _ => anyhow::bail!(
                "TOLLGATE_ENDPOINT_DOMAINS: `{domain}` is not a domain, such as `ai.example.com`"
            ),
        });
        checked.collect()
    }
}

/// Where its state is.
#[derive(Debug, Clone, Args)]
pub struct Stores {
    /// Postgres, as the owner of the database: migrations run at start
    #[arg(long, env = "DATABASE_URL")]
    pub database_url: Secret,
    /// the Redis of limits, money and usage
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: Secret,
}

/// Who may come in.
#[derive(Debug, Clone, Args)]
pub struct Entrance {
    /// what makes the first user; a random one is printed unless said
    #[arg(long, env = "TOLLGATE_SETUP_TOKEN")]
    pub setup_token: Option<Secret>,
    /// `open` lets anybody sign up
    #[arg(long, env = "TOLLGATE_SIGN_UP", default_value = "closed")]
    pub sign_up: SignUp,
}

/// Whether anybody may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignUp {
    /// Only who is invited.
    Closed,
    /// Anybody.
    Open,
}
