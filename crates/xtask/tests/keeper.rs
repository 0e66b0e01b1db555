//! However an errand ends, what it started ends with it: the system closes the pipe.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A keeper of `script`, and the pid of what it keeps.
fn kept(mark: &Path, script: &str) -> (Child, u32) {
    let mut keeper = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["keep", "--ask-with", "terminate", "--grace-seconds", "1", "--removes"])
        .arg(mark)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a keeper starts");
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().expect("its output is ours"))
        .read_line(&mut line)
        .expect("it prints");
    (keeper, line.trim().parse().expect("a pid"))
}

fn runs(pid: u32) -> bool {
    let asked = Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status();
    asked.expect("kill runs").success()
}

fn ends_within(pid: u32, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while runs(pid) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    !runs(pid)
}

#[test]
fn a_program_and_its_mark_end_with_their_errand() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("dev.json");
    fs::write(&mark, "").unwrap();
    let (mut keeper, pid) = kept(&mark, "echo $$; exec sleep 300");
    assert!(runs(pid));
    drop(keeper.stdin.take());
    assert!(ends_within(pid, Duration::from_secs(5)));
    assert_eq!(keeper.wait().unwrap().code(), Some(128 + 15));
    assert!(!mark.exists());
}

#[test]
fn a_program_that_does_not_listen_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut keeper, pid) =
        kept(&folder.path().join("dev.json"), "trap \"\" TERM; echo $$; while :; do sleep 1; done");
    drop(keeper.stdin.take());
    assert!(ends_within(pid, Duration::from_secs(5)));
    assert_eq!(keeper.wait().unwrap().code(), Some(128 + 9));
}

#[test]
fn a_mark_does_not_outlive_a_program_that_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("dev.json");
    fs::write(&mark, "").unwrap();
    let (mut keeper, _) = kept(&mark, "echo $$; exit 7");
    let _pipe_stays_open = keeper.stdin.take();
    assert_eq!(keeper.wait().unwrap().code(), Some(7));
    assert!(!mark.exists());
}
