//! What `/proc` says about a process: its time on a core, its memory.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};

use crate::children::Program;

/// The core of the proxy under test, and the core of all others. Asked once: we ourselves move to one of them.
pub(super) fn cores() -> [usize; 2] {
    static CORES: LazyLock<[usize; 2]> = LazyLock::new(|| {
        let several = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        [0, usize::from(several)]
    });
    *CORES
}

/// The program, held to one core.
pub(super) fn pinned(name: &'static str, core: usize, path: &Path, arguments: &[&str]) -> Program {
    Program::new(name, "taskset")
        .arguments(["--cpu-list", &core.to_string()])
        .arguments([path])
        .arguments(arguments.iter().copied())
}

/// Moves a process that runs already, and its children, to the core of all others.
pub(super) fn move_over(pid_file: &Path) -> Result<()> {
    let core = cores()[1].to_string();
    for_family(pid_file, &["taskset", "-acp", &core])
}

/// Moves ourselves there, now that we are only another load.
pub(super) fn move_ourselves_over() -> Result<()> {
    let output = Command::new("taskset")
        .args(["-acp", &cores()[1].to_string(), &std::process::id().to_string()])
        .output()
        .context("cannot run taskset, which comes with util-linux")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Puts a process and its children behind everything that has work to do on their core.
pub(super) fn step_back(pid_file: &Path) -> Result<()> {
    for_family(pid_file, &["renice", "-n", "19", "-p"])
}

fn for_family(pid_file: &Path, command: &[&str]) -> Result<()> {
    for pid in family(pid_of(pid_file)?) {
        let output = Command::new(command[0]).args(&command[1..]).arg(pid.to_string()).output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The process that a keeper has written down.
pub(super) fn pid_of(pid_file: &Path) -> Result<u32> {
    let text = fs::read_to_string(pid_file).with_context(|| format!("cannot read {}", pid_file.display()))?;
    Ok(text.lines().next().unwrap_or_default().parse()?)
}

/// How long all threads of a process have been on a core, in nanoseconds.
pub(super) fn cpu_nanoseconds(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends meanwhile is one of tokio's blocking ones, which cost little.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// What a process holds of the machine's memory, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    /// All of it.
    pub(super) resident: u64,
    /// Without files that are mapped, such as the program itself and the spool.
    pub(super) anonymous: u64,
}

pub(super) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    let resident = field("VmRSS:").context("no VmRSS in /proc")?;
    Ok(Memory { resident, anonymous: field("RssAnon:").unwrap_or(resident) })
}

/// A process and its children.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.flat_map(family).chain([pid]).collect()
}
