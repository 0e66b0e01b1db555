//! The operator's errands: each reads what it needs from the environment, does one thing and ends.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use meter::MeterConfig;
use model::Secret;
use process::{Mistakes, from_environment};
use store::Store;
use vault::{ContentsBox, KeyRings, Sealer};

#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Wrap every account's data keys anew under the first root key of each ring, while serving
    ///
    /// Reads DATABASE_URL and the root keys, as the control plane does.
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Spool {
    /// Send what the spool in TOLLGATE_PROXY_DIR holds, and wait until it is posted
    ///
    /// Reads REDIS_URL, TOLLGATE_PROXY_DIR and TOLLGATE_SPOOL_BYTES. Fails if something is left in the spool.
    Replay {
        /// seconds to wait
        #[arg(long, default_value = "60")]
        seconds: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum JoinTokens {
    /// Print a token with which one proxy can join, once
    ///
    /// Reads DATABASE_URL and the root keys, as the control plane does.
    Create {
        /// what people will know the token by
        #[arg(long, default_value = "command line")]
        name: String,
        /// hours until it is worthless
        #[arg(long, default_value = "24")]
        hours: u64,
        /// a file to write it to, for its owner alone, instead of printing it
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

/// Where the database is.
#[derive(Debug, Args)]
struct Database {
    /// Postgres, as the owner of the database
    #[arg(long, env = "DATABASE_URL")]
    database_url: Secret,
}

/// Where a spool is, and where its records go.
#[derive(Debug, Args)]
struct Left {
    /// the Redis of limits, money and usage
    #[arg(long, env = "REDIS_URL")]
    redis_url: Secret,
    /// where the proxy kept its spool
    #[arg(long, env = "TOLLGATE_PROXY_DIR")]
    proxy_dir: PathBuf,
    /// the largest that the spool may grow, in bytes
    #[arg(long, env = "TOLLGATE_SPOOL_BYTES", default_value = "1073741824")]
    spool_bytes: u64,
}

pub(crate) async fn migrate() -> anyhow::Result<()> {
    let Database { database_url } = from_environment()?;
    store::migrate(database_url.expose()).await?;
    println!("The database has this release's form.");
    Ok(())
}

pub(crate) async fn vault(Vault::Rotate: Vault) -> anyhow::Result<()> {
    let (store, sealer, contents) = opened().await?;
    let rotation = control_plane::rotation::rotate(&store, &sealer, &contents).await?;
    println!("Wrapped the data keys of {} accounts; {} had it already.", rotation.accounts, rotation.already);
    Ok(())
}

pub(crate) async fn spool(Spool::Replay { seconds }: Spool) -> anyhow::Result<()> {
    let Left { redis_url, proxy_dir, spool_bytes } = from_environment()?;
    let config = MeterConfig { directory: proxy_dir, spool_bytes, redis_url };
    let replayed = meter::replay(config, Duration::from_secs(seconds)).await?;
    println!("The spool held {} records; {} are posted.", replayed.found, replayed.posted);
    ensure!(replayed.posted == replayed.found, "the others are still in the spool");
    Ok(())
}

pub(crate) async fn join_token(errand: JoinTokens) -> anyhow::Result<()> {
    let JoinTokens::Create { name, hours, file } = errand;
    let (store, _, contents) = opened().await?;
    let lifetime = Duration::from_secs(hours * 3600);
    let (token, _) = control_plane::join_token::create(&store, &contents, &name, lifetime).await?;
    match file {
        Some(file) => write_private(&file, token.expose())?,
        None => println!("{}", token.expose()),
    }
    Ok(())
}

fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(file).and_then(|mut opened| writeln!(opened, "{text}"));
    written.with_context(|| format!("cannot write {}", file.display()))
}

async fn opened() -> anyhow::Result<(Store, Sealer, ContentsBox)> {
    let (Database { database_url }, keys) =
        Mistakes::both(from_environment::<Database>(), from_environment::<KeyRings>())?;
    let (sealer, contents) = keys.for_sealing()?;
    Ok((Store::connect(database_url.expose()).await?, sealer, contents))
}
