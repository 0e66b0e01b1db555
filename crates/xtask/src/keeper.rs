//! A keeper runs one program and ends it when the pipe on its own standard input closes, which
//! happens however the errand that holds the other end comes to its own end, `kill -9` included.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process_group};

/// What to run and how to end it.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The signal that asks the program to end.
    #[arg(long, value_enum)]
    ask_with: AskWith,
    /// How long it may take to end before it is killed.
    #[arg(long)]
    grace_seconds: u64,
    /// Where to write who runs, so that a later errand can find what a crash left behind.
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// A file that must not outlive the program.
    #[arg(long)]
    removes: Option<PathBuf>,
    /// The user to run it as.
    #[arg(long, requires = "group")]
    user: Option<u32>,
    /// The group to run it as.
    #[arg(long, requires = "user")]
    group: Option<u32>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<PathBuf>,
}

/// The two ways in which our programs are asked to end.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AskWith {
    /// What most programs end cleanly at.
    Terminate,
    /// What makes Postgres disconnect everybody and shut down cleanly.
    Interrupt,
}

impl AskWith {
    fn signal(self) -> Signal {
        match self {
            AskWith::Terminate => Signal::TERM,
            AskWith::Interrupt => Signal::INT,
        }
    }

    /// How it is spelled on the keeper's command line.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            AskWith::Terminate => "terminate",
            AskWith::Interrupt => "interrupt",
        }
    }
}

/// Runs the program to its end and answers with its exit code.
pub(crate) fn keep(arguments: &Arguments) -> Result<ExitCode> {
    let (program, program_arguments) = arguments.program.split_first().context("no program was named")?;
    let mut command = Command::new(program);
    command.args(program_arguments).stdin(Stdio::null());
    // A group of its own, so that a signal reaches whatever the program itself has started.
    command.process_group(0);
    if let (Some(user), Some(group)) = (arguments.user, arguments.group) {
        command.uid(user).gid(group).current_dir("/");
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let group = Pid::from_child(&child);
    let grace = Duration::from_secs(arguments.grace_seconds);
    if let Some(file) = &arguments.pid_file {
        write_pid_file(file, group, arguments.ask_with, grace)?;
    }

    let signal = arguments.ask_with.signal();
    let removes = arguments.removes.clone();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        remove(removes.as_deref());
        let _ = kill_process_group(group, signal);
        thread::sleep(grace);
        let _ = kill_process_group(group, Signal::KILL);
    });

    let status = child.wait()?;
    remove(arguments.removes.as_deref());
    let _ = kill_process_group(group, Signal::KILL);
    remove(arguments.pid_file.as_deref());
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn remove(file: Option<&Path>) {
    if let Some(file) = file {
        let _ = fs::remove_file(file);
    }
}

fn write_pid_file(file: &Path, pid: Pid, ask_with: AskWith, grace: Duration) -> Result<()> {
    let pid = pid.as_raw_nonzero();
    let started = started_at(pid.get()).unwrap_or_default();
    let text = format!("{pid}\n{started}\n{}\n{}\n", ask_with.argument(), grace.as_secs());
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Ends the programs that the pid files in `folder` name and that still run, the last started
/// first: they do when a crash took their keepers too.
pub(crate) fn end_leftovers(folder: &Path) -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    for (_, file) in files.into_iter().rev() {
        if let Some(leftover) = fs::read_to_string(&file).ok().and_then(|text| Leftover::read(&text)) {
            leftover.end();
        }
        remove(Some(&file));
    }
    Ok(())
}

/// What a pid file says.
struct Leftover {
    pid: Pid,
    started: String,
    ask_with: AskWith,
    grace: Duration,
}

impl Leftover {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = Pid::from_raw(lines.next()?.parse().ok()?)?;
        let started = lines.next().filter(|started| !started.is_empty())?.to_owned();
        let ask_with = AskWith::from_str(lines.next()?, false).ok()?;
        let grace = Duration::from_secs(lines.next()?.parse().ok()?);
        Some(Self { pid, started, ask_with, grace })
    }

    /// A process that merely got the same number later started at another time and is let be.
    fn runs(&self) -> bool {
        started_at(self.pid.as_raw_nonzero().get()).as_ref() == Some(&self.started)
    }

    fn end(&self) {
        if !self.runs() {
            return;
        }
        eprintln!("Ending process {}, left behind by an earlier run", self.pid.as_raw_nonzero());
        let _ = kill_process_group(self.pid, self.ask_with.signal());
        let deadline = Instant::now() + self.grace;
        while self.runs() {
            if Instant::now() > deadline {
                let _ = kill_process_group(self.pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// When the process started, in words that only serve to tell one bearer of a number from the
/// next; nothing if there is no such process.
fn started_at(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name may hold spaces, so fields are counted after its closing bracket.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        return if state == "Z" { None } else { fields.nth(18).map(str::to_owned) };
    }
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|started| !started.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_is_ended_by_its_number_and_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sleep.pid");
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        write_pid_file(&file, Pid::from_child(&child), AskWith::Interrupt, Duration::from_secs(5)).unwrap();
        end_leftovers(folder.path()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(2));
        assert!(!file.exists());
    }

    #[test]
    fn a_stranger_with_the_same_number_is_let_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        fs::write(folder.path().join("sleep.pid"), format!("{}\n1\nterminate\n5\n", child.id())).unwrap();
        end_leftovers(folder.path()).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
