//! The proxy's configuration: environment variables, one struct per concern.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use egress::{EgressConfig, TrustedHosts};
use http::Uri;
use model::Secret;
use process::{Shutdown, TrustedProxies};
use providers::path::BaseUrls;
use vault::KeyRings;

/// Everything that a proxy reads from its environment.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// where callers reach it
    #[command(flatten)]
    pub listen: Listen,
    /// what a request may cost us
    #[command(flatten)]
    pub bounds: Bounds,
    /// how credits are spent
    #[command(flatten)]
    pub credits: Credits,
    /// what traffic policies may ask of the outside
    #[command(flatten)]
    pub policies: Policies,
    /// where providers are
    #[command(flatten)]
    pub providers: Providers,
    /// where its configuration comes from
    #[command(flatten)]
    pub control_plane: ControlPlane,
    /// where its usage goes
    #[command(flatten)]
    pub usage: Usage,
    /// what opens provider keys and the saved snapshot
    #[command(flatten)]
    pub keys: KeyRings,
    /// how it leaves
    #[command(flatten)]
    pub shutdown: Shutdown,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Args)]
pub struct Listen {
    /// the gateway's address
    #[arg(long, env = "TOLLGATE_GATEWAY_ADDR", default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// certificates with which the gateway speaks TLS; plain HTTP unless said
    #[arg(long, env = "TOLLGATE_GATEWAY_TLS_DIR")]
    pub gateway_tls_dir: Option<PathBuf>,
    /// whose word is taken on where requests come from
    #[command(flatten)]
    pub trusted: TrustedProxies,
    /// health and metrics
    #[arg(long, env = "TOLLGATE_PROXY_METRICS_ADDR", default_value = "127.0.0.1:9102")]
    pub metrics: SocketAddr,
}

/// Bounds on what callers and providers may ask of the proxy.
#[derive(Debug, Clone, Args)]
pub struct Bounds {
    /// the largest JSON body that is read, in bytes, before and after inflating
    #[arg(long, env = "TOLLGATE_MAX_JSON_BYTES", default_value = "67108864")]
    pub max_json_bytes: u64,
    /// the most that large JSON bodies may take of memory together, in bytes
    #[arg(long, env = "TOLLGATE_MAX_BUFFERED_BYTES", default_value = "536870912")]
    pub max_buffered_bytes: u64,
    /// the largest body that is passed on, in bytes
    #[arg(long, env = "TOLLGATE_MAX_BODY_BYTES", default_value = "1073741824")]
    pub max_body_bytes: u64,
    /// seconds that a caller gets to send a request's head; also how long a connection may lie idle
    #[arg(long, env = "TOLLGATE_HEADER_SECONDS", default_value = "60", value_parser = seconds)]
    pub header: Duration,
    /// seconds that a caller's body may stand still
    #[arg(long, env = "TOLLGATE_BODY_IDLE_SECONDS", default_value = "60", value_parser = seconds)]
    pub body_idle: Duration,
    /// seconds to connect to a provider
    #[arg(long, env = "TOLLGATE_CONNECT_SECONDS", default_value = "10", value_parser = seconds)]
    pub connect: Duration,
    /// seconds until the first byte of a provider's answer
    #[arg(long, env = "TOLLGATE_FIRST_BYTE_SECONDS", default_value = "600", value_parser = seconds)]
    pub first_byte: Duration,
    /// seconds that a provider's answer may stand still
    #[arg(long, env = "TOLLGATE_ANSWER_IDLE_SECONDS", default_value = "300", value_parser = seconds)]
    pub answer_idle: Duration,
}

/// How credits are spent.
#[derive(Debug, Clone, Args)]
pub struct Credits {
    /// the most answers that are read to their end after their callers left, because they are paid from
    /// credits and their provider bills on, a quarter of them of one account; beyond it, what came is
    /// charged, or what was set aside where that does not tell what is billed
    #[arg(long, env = "TOLLGATE_MAX_DRAINED_ANSWERS", default_value = "1024")]
    pub max_drained_answers: usize,
    /// providers with which the operator has agreed that nothing is retained of what they are asked with
    /// his keys, comma-separated: what `zdr` and `cf-aig-zdr` ask for
    #[arg(long, env = "TOLLGATE_ZERO_RETENTION", default_value = "", value_delimiter = ',')]
    pub zero_retention: Vec<String>,
}

/// What traffic policies may ask of the outside, and how much is remembered for them. No account or gateway may
/// take more than a quarter of each.
#[derive(Debug, Clone, Args)]
pub struct Policies {
    /// which addresses their requests and key sets may be at
    #[command(flatten)]
    pub egress: EgressConfig,
    /// the most requests of theirs to other servers that are under way at once, 64 of one gateway
    #[arg(long, env = "TOLLGATE_POLICY_CALLS", default_value = "1024")]
    pub calls: usize,
    /// the most buckets of rate limits that are counted, each in up to two kilobytes; beyond it, the one that was
    /// idle the longest begins anew
    #[arg(long, env = "TOLLGATE_POLICY_BUCKETS", default_value = "65536")]
    pub buckets: usize,
    /// the most that key sets may take of memory together, in bytes
    #[arg(long, env = "TOLLGATE_POLICY_KEY_BYTES", default_value = "33554432")]
    pub key_bytes: usize,
}

/// Where providers are.
#[derive(Debug, Clone, Args)]
pub struct Providers {
    /// providers at other addresses: `openai=http://127.0.0.1:9000/v1,…`
    #[arg(long, env = "TOLLGATE_PROVIDER_BASE_URLS", default_value = "", value_parser = BaseUrls::parse)]
    pub base_urls: BaseUrls,
    /// where tenants' own may be
    #[command(flatten)]
    pub trusted_hosts: TrustedHosts,
}

/// Where configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ControlPlane {
    /// the control plane's gRPC address
    #[arg(long, env = "TOLLGATE_CONTROL_PLANE_URL", default_value = "https://127.0.0.1:8082")]
    pub control_plane_url: Uri,
    /// what a proxy enrols with, once
    #[arg(long, env = "TOLLGATE_JOIN_TOKEN")]
    pub join_token: Option<Secret>,
    /// a file with what a proxy enrols with, read if it is there and the variable is not set
    #[arg(long, env = "TOLLGATE_JOIN_TOKEN_FILE")]
    pub join_token_file: Option<PathBuf>,
    /// where the proxy keeps its identity, its last good snapshot and its spool
    #[arg(long, env = "TOLLGATE_PROXY_DIR", default_value = "/var/lib/tollgate/proxy")]
    pub proxy_dir: PathBuf,
    /// which accounts it is told of
    #[arg(long, env = "TOLLGATE_ACCOUNTS", default_value = "all")]
    pub accounts: Accounts,
}

/// Which accounts a proxy is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Accounts {
    /// every one, before anybody asks
    All,
    /// those that requests name, from the first request on, until they lie idle for a day
    InUse,
}

impl ControlPlane {
    /// What a proxy enrols with. Once it has, the token is used up and its file may be gone.
    pub fn join_token(&self) -> Option<Secret> {
        let in_file = || std::fs::read_to_string(self.join_token_file.as_ref()?).ok().map(Secret::new);
        self.join_token.clone().or_else(in_file)
    }
}

/// Where usage goes.
#[derive(Debug, Clone, Args)]
pub struct Usage {
    /// the Redis of limits, money and usage
    #[arg(long, env = "REDIS_URL")]
    pub redis_url: Secret,
    /// the largest that the spool may grow, in bytes
    #[arg(long, env = "TOLLGATE_SPOOL_BYTES", default_value = "1073741824")]
    pub spool_bytes: u64,
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("expected more than zero seconds")
}
