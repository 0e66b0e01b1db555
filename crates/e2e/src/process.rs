//! A child process that cannot outlive its test.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};

/// The variable that names the failpoint at which a process kills itself.
pub const FAILPOINT: &str = "TOLLGATE_FAILPOINT";

/// How a process is started, so that it can be started again.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What it is called in messages and in its log's file name.
    pub name: String,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment but `PATH`.
    pub environment: BTreeMap<String, String>,
    /// Where standard output and error go.
    pub log: PathBuf,
    /// The URL that answers 200 once it is ready.
    pub ready: Option<String>,
}

/// A running process.
#[derive(Debug)]
pub struct Running {
    /// How it was started.
    pub recipe: Recipe,
    child: Child,
}

/// A port of this machine that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// A binary of this workspace, built before the tests run.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().find(|dir| dir.join(name).is_file());
    profile.unwrap_or_else(|| panic!("`{name}` is not built: run `cargo xtask test`")).join(name)
}

impl Recipe {
    /// Starts the process without waiting for it.
    pub fn spawn(self) -> anyhow::Result<Running> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(&self.environment);
        for kept in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("start {}", self.program.display()))?;
        Ok(Running { recipe: self, child })
    }

    /// Starts the process and waits until it says that it is ready.
    pub async fn start(self) -> anyhow::Result<Running> {
        let mut running = self.spawn()?;
        running.ready().await?;
        Ok(running)
    }
}

impl Running {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process answers on its readiness URL.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let Some(url) = self.recipe.ready.clone() else { return Ok(()) };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(answer) = crate::http::get(&url).await
                && answer.status == 200
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.recipe.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready in time:\n{}", self.recipe.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A process that is gone already needs no signal.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end, and waits until it has.
    pub async fn stop(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.signal(Signal::TERM);
        self.ended(Duration::from_secs(40)).await
    }

    /// Sends SIGTERM without waiting.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops the process from being scheduled, so that it neither answers nor closes its sockets.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process run again.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts the process anew, so that it kills itself at a failpoint. That may come before it is ready, so nobody
    /// waits for it.
    pub fn restart_deadly(&mut self, failpoint: &str) -> anyhow::Result<()> {
        self.kill()?;
        let mut recipe = self.recipe.clone();
        recipe.environment.insert(FAILPOINT.to_owned(), failpoint.to_owned());
        *self = recipe.spawn()?;
        self.disarm();
        Ok(())
    }

    /// Lets whoever follows this process live.
    pub fn disarm(&mut self) {
        self.recipe.environment.remove(FAILPOINT);
    }

    /// Whether the process has died at its failpoint. It is an error if it ended in any other way.
    pub fn has_died(&mut self) -> anyhow::Result<bool> {
        let Some(status) = self.child.try_wait()? else { return Ok(false) };
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("{} ended with {status} and not at a failpoint:\n{}", self.recipe.name, self.log_tail());
        }
        Ok(true)
    }

    /// Waits until the process has died at its failpoint.
    pub async fn died(&mut self) -> anyhow::Result<()> {
        self.ended(Duration::from_secs(60)).await.context("the failpoint does not strike")?;
        self.has_died()?;
        Ok(())
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<std::process::ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} did not end:\n{}", self.recipe.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts the process again as it was started.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = self.recipe.clone().start().await?;
        Ok(())
    }

    /// Everything that the process has printed.
    pub fn log(&self) -> String {
        read_lossy(&self.recipe.log)
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

fn read_lossy(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the end of {}'s log ---\n{}", self.recipe.name, self.log_tail());
        }
    }
}
