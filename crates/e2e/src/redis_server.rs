//! A Redis of the test's own, to be stopped, wiped, set back and failed over.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::{Recipe, Running, free_port};

/// A running Redis with an append-only file that is synced with every write, so that "cut back"
/// means exactly what the test cuts.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: PathBuf,
    running: Running,
}

impl RedisServer {
    /// Starts a Redis with its data in `directory`.
    pub async fn start(directory: PathBuf) -> anyhow::Result<Self> {
        Self::start_with(directory, &[]).await
    }

    /// Starts a Redis and its replica. If it is careful, writes are only taken while that keeps up.
    pub async fn start_with_replica(directory: PathBuf, is_careful: bool) -> anyhow::Result<(Self, Self)> {
        let careful = [("--min-replicas-to-write", "1"), ("--min-replicas-max-lag", "10")];
        let settings = if is_careful { &careful[..] } else { &[] };
        let primary = Self::start_with(directory.join("primary"), settings).await?;
        let primary_address = format!("127.0.0.1 {}", primary.port);
        // A replica that comes when there is nothing to copy yet need not wait for others to come too.
        let mut connection = primary.connection().await?;
        let setting = redis::cmd("CONFIG").arg(&["SET", "repl-diskless-sync-delay", "0"]).to_owned();
        setting.query_async::<()>(&mut connection).await?;
        let replica =
            Self::start_with(directory.join("replica"), &[("--replicaof", &primary_address)]).await?;
        replica.until_info("master_link_status:up").await?;
        primary.until_info("state=online").await?;
        Ok((primary, replica))
    }

    async fn start_with(directory: PathBuf, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let port = free_port();
        let program = std::env::var_os("TOLLGATE_REDIS_SERVER").map_or("redis-server".into(), PathBuf::from);
        let log = directory.join("redis.log");
        let settings = [
            ("--port", port.to_string()),
            ("--bind", "127.0.0.1".to_owned()),
            ("--dir", directory.display().to_string()),
            ("--appendonly", "yes".to_owned()),
            ("--appendfsync", "always".to_owned()),
            ("--save", String::new()),
            ("--maxmemory-policy", "noeviction".to_owned()),
        ];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let arguments =
            settings.into_iter().chain(more).flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let recipe = Recipe {
            name: "redis".to_owned(),
            program,
            arguments,
            environment: Default::default(),
            log,
            ready: None,
        };
        let server = Self { port, directory, running: recipe.spawn()? };
        server.answers().await?;
        Ok(server)
    }

    /// Makes a replica the one that is written to.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).query_async::<()>(&mut connection).await?;
        self.until_info("role:master").await
    }

    async fn until_info(&self, wanted: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut connection = self.connection().await?;
        loop {
            let info: String = redis::cmd("INFO").arg("replication").query_async(&mut connection).await?;
            if info.contains(wanted) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "waited for {wanted}; it says {info}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection for looking inside.
    pub async fn connection(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        Ok(redis::Client::open(self.url())?.get_multiplexed_async_connection().await?)
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let pong = async {
                redis::cmd("PING").query_async::<String>(&mut self.connection().await?).await.context("ping")
            };
            match pong.await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends it without a farewell.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.running.kill()
    }

    /// Starts it again on its data.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.running = self.running.recipe.clone().spawn()?;
        self.answers().await
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.running.freeze();
    }

    /// Lets it run again.
    pub fn thaw(&self) {
        self.running.thaw();
    }

    /// Deletes its data; it must not be running.
    pub fn wipe(&self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.directory.join("appendonlydir"))?;
        Ok(())
    }

    /// The size of its append-only file now, for cutting back to later.
    pub fn mark(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(self.append_only_file()?)?.len())
    }

    /// Cuts the append-only file back to an earlier size; it must not be running.
    pub fn cut_back(&self, size: u64) -> anyhow::Result<()> {
        std::fs::OpenOptions::new().write(true).open(self.append_only_file()?)?.set_len(size)?;
        Ok(())
    }

    fn append_only_file(&self) -> anyhow::Result<PathBuf> {
        let entries = std::fs::read_dir(self.directory.join("appendonlydir"))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.to_string_lossy().ends_with(".incr.aof"));
        files.sort();
        files.pop().context("the append-only file")
    }
}
