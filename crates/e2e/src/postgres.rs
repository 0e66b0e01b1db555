//! A database of the test's own, and, where a test stops Postgres, a server of its own.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::process::free_port;

/// Creates an empty database on the server that `DATABASE_URL` names.
pub async fn fresh_database() -> anyhow::Result<String> {
    let server = std::env::var("DATABASE_URL").context("DATABASE_URL: run `cargo xtask test`")?;
    let name = format!("e2e_{}", uuid::Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server).await?;
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    with_database(&server, &name)
}

/// Drops a database that [`fresh_database`] made.
pub async fn drop_database(url: &str) -> anyhow::Result<()> {
    let server = std::env::var("DATABASE_URL")?;
    let name = url.split('?').next().unwrap_or(url).rsplit('/').next().context("a database's name")?;
    let mut connection = PgConnection::connect(&server).await?;
    connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
    Ok(())
}

fn with_database(server: &str, name: &str) -> anyhow::Result<String> {
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let (_, rest) = base.split_once("://").context("DATABASE_URL has no scheme")?;
    let prefix = match rest.rfind('/') {
        Some(at) => &base[..base.len() - rest.len() + at],
        None => base,
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{prefix}/{name}{query}"))
}

/// A Postgres server that a test may stop.
#[derive(Debug)]
pub struct PostgresServer {
    directory: PathBuf,
    port: u16,
}

impl PostgresServer {
    /// Creates and starts a server with its data below `directory`.
    pub fn start(directory: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        if let Some((user, group)) = unprivileged() {
            chown(&directory, Some(user), Some(group))?;
        }
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        let server = Self { directory, port: free_port() };
        let data = server.data();
        run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync"])?;
        server.start_again()?;
        Ok(server)
    }

    /// The URL of its only database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it after [`stop`](Self::stop).
    pub fn start_again(&self) -> anyhow::Result<()> {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", self.port);
        let log = self.directory.join("log").display().to_string();
        run("pg_ctl", &["-D", &self.data(), "-w", "-l", &log, "-o", &options, "start"])
    }

    /// Stops it at once, as a crash would.
    pub fn stop(&self) -> anyhow::Result<()> {
        run("pg_ctl", &["-D", &self.data(), "-w", "-m", "immediate", "stop"])
    }

    fn data(&self) -> String {
        self.directory.join("data").display().to_string()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

// Postgres refuses to run as root.
fn unprivileged() -> Option<(u32, u32)> {
    rustix::process::getuid().is_root().then_some((65534, 65534))
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(binaries()?.join(program));
    command.args(arguments).current_dir("/").stdin(std::process::Stdio::null());
    // The server inherits these and would keep the test's pipes open.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    let status = command.status().with_context(|| program.to_owned())?;
    if !status.success() {
        bail!("{program} {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn binaries() -> anyhow::Result<PathBuf> {
    if let Some(directory) = std::env::var_os("TOLLGATE_POSTGRES_BIN") {
        return Ok(directory.into());
    }
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = packaged.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|directory| has_initdb(directory));
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found
        .pop()
        .or_else(|| std::env::split_paths(&path).find(|directory| has_initdb(directory)))
        .context("initdb")
}

fn has_initdb(directory: &Path) -> bool {
    directory.join("initdb").is_file()
}
