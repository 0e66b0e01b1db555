//! A server that a test can kill, empty and start again.

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
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = spawn(port, directory.path());
        let mut server = Self { port, directory, process };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("redis://127.0.0.1:{}", self.port))
    }

    /// As if it had lost power, and with what it had on disk.
    pub(crate) fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.port, self.directory.path());
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

fn spawn(port: u16, directory: &Path) -> Child {
    let binary = std::env::var("TOLLGATE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    Command::new(binary)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
