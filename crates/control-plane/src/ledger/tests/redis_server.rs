//! A Redis of the test's own, which can be killed, wiped and set back.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::Secret;
use tempfile::TempDir;

/// Dies with its handle.
pub(super) struct RedisServer {
    port: u16,
    directory: TempDir,
    process: Child,
}

impl RedisServer {
    pub(super) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = spawn(port, directory.path());
        let mut server = Self { port, directory, process };
        server.wait();
        server
    }

    pub(super) fn url(&self) -> Secret {
        Secret::new(format!("redis://127.0.0.1:{}", self.port))
    }

    /// As if it had lost power.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// With what it had on disk.
    pub(super) fn start_again(&mut self) {
        self.process = spawn(self.port, self.directory.path());
        self.wait();
    }

    /// With nothing.
    pub(super) fn start_empty(&mut self) {
        self.directory = tempfile::tempdir().unwrap();
        self.start_again();
    }

    /// The bytes in the append-only file by now.
    pub(super) fn written(&self) -> u64 {
        std::fs::metadata(self.append_only_file()).unwrap().len()
    }

    /// Takes back what was written after it had so many bytes.
    pub(super) fn cut_back_to(&self, length: u64) {
        let file = std::fs::File::options().write(true).open(self.append_only_file()).unwrap();
        file.set_len(length).unwrap();
    }

    /// One command, as it is typed: what has spaces stands in quotes.
    pub(super) fn command(&self, command: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let length = socket.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    fn append_only_file(&self) -> PathBuf {
        let files = std::fs::read_dir(self.directory.path().join("appendonlydir")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).max().unwrap()
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
