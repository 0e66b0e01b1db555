//! A server that a test can kill, empty and start again.

#![allow(dead_code, reason = "each test binary uses its part of it")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::Secret;
use tempfile::TempDir;

/// Dies with its handle.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    process: Child,
    /// Where other nodes of its cluster would reach it.
    cluster_port: Option<u16>,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// A cluster of one node, which refuses whatever would not work with several: commands and scripts
    /// whose keys lie in different slots.
    pub(crate) fn start_cluster() -> Self {
        let server = Self::start_with(Some(free_port()));
        server.command("CLUSTER ADDSLOTSRANGE 0 16383");
        let began = Instant::now();
        while !server.command("CLUSTER INFO").contains("cluster_state:ok") {
            assert!(began.elapsed() < Duration::from_secs(10), "the cluster does not form");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn start_with(cluster_port: Option<u16>) -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let process = spawn(port, cluster_port, directory.path());
        let mut server = Self { port, directory, process, cluster_port };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("redis://127.0.0.1:{}", self.port))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As if it had lost power.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// One command without spaces in its arguments.
    pub(crate) fn command(&self, command: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = vec![0; 1 << 14];
        let length = socket.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// How often a command was called.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = self.command("INFO commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// As if it had lost power, and with what it had on disk.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.process = spawn(self.port, self.cluster_port, self.directory.path());
        self.wait();
    }

    fn wait(&mut self) {
        let began = Instant::now();
        let answers = |port| {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
            socket.write_all(b"PING\r\n").ok()?;
            let mut answer = [0; 5];
            socket.read_exact(&mut answer).ok()?;
            (&answer == b"+PONG").then_some(())
        };
        while answers(self.port).is_none() {
            assert!(began.elapsed() < Duration::from_secs(10), "redis-server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, cluster_port: Option<u16>, directory: &Path) -> Child {
    let binary = std::env::var("TOLLGATE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let of_cluster =
        |port: u16| ["--cluster-enabled", "yes", "--cluster-port", &port.to_string()].map(str::to_owned);
    Command::new(binary)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(cluster_port.into_iter().flat_map(of_cluster))
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
