//! The programs that an errand runs. Each has a keeper (see `keeper.rs`), so that none outlives
//! the errand; Ctrl-C and SIGTERM end them one after the other, the last started first.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::keeper::AskWith;
use crate::unprivileged::User;

/// A program to run and what is to be known for ending it.
pub(crate) struct Program {
    /// What it is called in messages and files.
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Set, or with `None` removed, on top of our own environment.
    pub(crate) environment: HashMap<String, Option<String>>,
    pub(crate) folder: Option<PathBuf>,
    /// Whom to run it as, if not as ourselves.
    pub(crate) user: Option<User>,
    pub(crate) ask_with: AskWith,
    pub(crate) grace: Duration,
    /// Where its output goes; without, it goes where ours goes.
    pub(crate) log: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    /// A file that must not outlive it.
    pub(crate) removes: Option<PathBuf>,
}

impl Program {
    /// A program that runs as ourselves, prints where we print and ends at SIGTERM.
    pub(crate) fn new(name: &'static str, path: impl Into<PathBuf>) -> Self {
        Self {
            name,
            path: path.into(),
            arguments: Vec::new(),
            environment: HashMap::new(),
            folder: None,
            user: None,
            ask_with: AskWith::Terminate,
            grace: Duration::from_secs(10),
            log: None,
            pid_file: None,
            removes: None,
        }
    }

    pub(crate) fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), Some(value.into()));
        self
    }

    pub(crate) fn without_environment(mut self, name: &str) -> Self {
        self.environment.insert(name.to_owned(), None);
        self
    }
}

/// All programs of one errand.
#[derive(Clone)]
pub(crate) struct Children {
    running: Arc<Mutex<Running>>,
    keeper: PathBuf,
}

#[derive(Default)]
struct Running {
    members: Vec<Child>,
    stopping: bool,
}

/// A program that was started.
#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) name: &'static str,
    pub(crate) log: Option<PathBuf>,
    pipe: Arc<Mutex<Option<ChildStdin>>>,
    end: Arc<End>,
}

#[derive(Default)]
struct End {
    status: Mutex<Option<ExitStatus>>,
    reached: Condvar,
}

impl Children {
    /// Nobody yet; from here on, signals end whoever there is and then us.
    pub(crate) fn new() -> Result<Self> {
        let children =
            Self { running: Arc::default(), keeper: std::env::current_exe().context("cannot find myself")? };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let of_signals = children.clone();
        thread::spawn(move || {
            for signal in &mut signals {
                let children = of_signals.clone();
                if locked(&children.running).stopping {
                    // Asked twice: the keepers see to the rest without us.
                    std::process::exit(128 + signal);
                }
                thread::spawn(move || {
                    eprintln!("\nStopping.");
                    children.stop();
                    std::process::exit(128 + signal);
                });
            }
        });
        Ok(children)
    }

    /// Starts a program in the background.
    pub(crate) fn start(&self, program: Program, exits: Option<&Exits>) -> Result<Child> {
        let mut running = locked(&self.running);
        if running.stopping {
            drop(running);
            wait_for_the_end();
        }
        let name = program.name;
        let log = program.log.clone();
        let mut keeper = self
            .keeper_of(&program)?
            .spawn()
            .with_context(|| format!("cannot start the keeper of {name}"))?;
        let child = Child { name, log, pipe: Arc::new(Mutex::new(keeper.stdin.take())), end: Arc::default() };
        running.members.push(child.clone());
        let (end, sender) = (child.end.clone(), exits.map(|exits| exits.sender.clone()));
        let at_end = child.clone();
        thread::spawn(move || {
            if let Ok(status) = keeper.wait() {
                *locked(&end.status) = Some(status);
                end.reached.notify_all();
                sender.map(|sender| sender.send(at_end));
            }
        });
        Ok(child)
    }

    fn keeper_of(&self, program: &Program) -> Result<Command> {
        let mut command = Command::new(&self.keeper);
        command.arg("keep").arg("--ask-with").arg(program.ask_with.argument());
        command.arg("--grace-seconds").arg(program.grace.as_secs().to_string());
        if let Some(file) = &program.pid_file {
            command.arg("--pid-file").arg(file);
        }
        if let Some(file) = &program.removes {
            command.arg("--removes").arg(file);
        }
        if let Some(User { uid, gid, .. }) = &program.user {
            command.arg("--user").arg(uid.to_string()).arg("--group").arg(gid.to_string());
        }
        command.arg("--").arg(&program.path).args(&program.arguments);
        for (name, value) in &program.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &program.folder {
            command.current_dir(folder);
        }
        // Out of reach of the terminal's own Ctrl-C: the order of ending is ours.
        command.process_group(0).stdin(Stdio::piped());
        if let Some(log) = &program.log {
            let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        Ok(command)
    }

    /// Runs a program to its end; a failure of it is an error of ours.
    pub(crate) fn run(&self, program: Program) -> Result<()> {
        let name = program.name;
        let child = self.start(program, None)?;
        let status = child.wait();
        let mut running = locked(&self.running);
        if running.stopping {
            drop(running);
            wait_for_the_end();
        }
        running.members.retain(|member| !Arc::ptr_eq(&member.end, &child.end));
        if !status.success() {
            bail!("{name} failed ({status})");
        }
        Ok(())
    }

    /// Ends all, the last started first. Afterwards nothing can be started any more.
    pub(crate) fn stop(&self) {
        let members = {
            let mut running = locked(&self.running);
            running.stopping = true;
            std::mem::take(&mut running.members)
        };
        for child in members.iter().rev() {
            child.stop();
        }
    }

    /// Whether a signal is ending us: whatever fails now is of no interest.
    pub(crate) fn wait_if_stopping(&self) {
        let stopping = locked(&self.running).stopping;
        if stopping {
            wait_for_the_end();
        }
    }
}

impl Child {
    /// Asks the program to end and waits until it has.
    pub(crate) fn stop(&self) {
        drop(locked(&self.pipe).take());
        self.wait();
    }

    /// Whether the program has ended by itself.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        *locked(&self.end.status)
    }

    fn wait(&self) -> ExitStatus {
        let mut status = locked(&self.end.status);
        loop {
            if let Some(status) = *status {
                return status;
            }
            status = self.end.reached.wait(status).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The last lines that it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = self.log.as_ref().and_then(|log| fs::read(log).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Tells which of the programs that were started with it has ended.
pub(crate) struct Exits {
    sender: Sender<Child>,
    receiver: Receiver<Child>,
}

impl Exits {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver }
    }

    /// Waits until one has ended.
    pub(crate) fn first(&self) -> Option<Child> {
        self.receiver.recv().ok()
    }
}

/// The signal's thread is about to end the process.
fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
