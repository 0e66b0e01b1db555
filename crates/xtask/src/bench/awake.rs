//! Keeps the cores from falling asleep, with work of the lowest priority there is.

use std::process::{Child, Command};

use anyhow::{Context as _, Result};

/// Spins on both cores until it is let go of.
pub(super) struct Awake(Vec<Child>);

/// Begins to spin. Linux divides a core between sessions first, so the spinners stay in ours: only there does their
/// priority mean anything.
pub(super) fn keep() -> Result<Awake> {
    let mut awake = Awake(Vec::new());
    for core in super::process::cores() {
        let spinner = Command::new("chrt")
            .args(["--idle", "0", "taskset", "--cpu-list", &core.to_string()])
            // It ends by itself when we are killed and nobody ends it: its parent is then another.
            .args(["sh", "-c", "parent=$PPID; while [ \"$(cut -d' ' -f4 /proc/$$/stat)\" = \"$parent\" ]; do n=0; while [ $n -lt 1000000 ]; do n=$((n+1)); done; done"])
            .spawn()
            .context("cannot run chrt and taskset, which come with util-linux")?;
        awake.0.push(spinner);
    }
    Ok(awake)
}

impl Drop for Awake {
    fn drop(&mut self) {
        for spinner in &mut self.0 {
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
    }
}
