//! A private Postgres: made once, started on a free port, readable by whoever has its password.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::checkout::Checkout;
use crate::children::{Child, Children, Program};
use crate::files;
use crate::keeper::AskWith;
use crate::packages::{is_program, on_path};
use crate::ports::Turn;
use crate::unprivileged::{self, User};

const NAME: &str = "tollgate";

/// Whether the data must outlive a crash of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Kept,
    /// A test's data: speed matters more.
    Expendable,
}

/// Starts the server, made if need be, and answers with its URL once it takes connections.
pub(crate) fn start(
    checkout: &Checkout,
    children: &Children,
    turn: &mut Turn,
    durability: Durability,
) -> Result<String> {
    let data = checkout.data.join("postgres");
    let binaries = binaries(&data).context("no Postgres is installed")?;
    let password = files::kept(&checkout.data.join("postgres-password"), files::random_password)?;
    let user = User::to_drop_to()?;
    if !data.join("PG_VERSION").exists() {
        create(&binaries, &data, &password, user, durability)?;
    }
    unprivileged::give(&data, user)?;
    end_strangers(&binaries, &data, user)?;

    let port = turn.free_port(15432)?;
    let mut program =
        Program::new("postgres", binaries.join("postgres")).arguments(["-D".into(), OsString::from(&data)]);
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
    ];
    if durability == Durability::Expendable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
    }
    for setting in settings {
        program = program.arguments(["-c".to_owned(), setting]);
    }
    program.user = user;
    program.ask_with = AskWith::Interrupt;
    program.grace = Duration::from_secs(20);
    program.log = Some(checkout.logs.join("postgres.log"));
    program.pid_file = Some(checkout.pids.join("postgres.pid"));
    let server = children.start(program, None)?;

    let database = Database { binaries, port, password };
    database.wait(&server)?;
    database.create()?;
    Ok(format!("postgres://{NAME}:{}@127.0.0.1:{port}/{NAME}", database.password))
}

/// The newest installed server or, where there is data already, the one that wrote it.
pub(crate) fn binaries(data: &Path) -> Option<PathBuf> {
    let wrote = fs::read_to_string(data.join("PG_VERSION")).ok();
    let mut found: Vec<(u32, PathBuf)> = folders()
        .into_iter()
        .filter(|folder| is_program(&folder.join("postgres")) && is_program(&folder.join("initdb")))
        .filter_map(|folder| Some((major_version(&folder)?, folder)))
        .collect();
    found.sort();
    match wrote.and_then(|version| version.trim().parse::<u32>().ok()) {
        Some(version) => found.into_iter().rev().find(|(found, _)| *found == version),
        None => found.pop(),
    }
    .map(|(_, folder)| folder)
}

/// Debian, Alpine and Homebrew keep the servers of several versions beside the path.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        on_path("postgres").and_then(|file| Some(file.parent()?.to_owned())).into_iter().collect();
    for parent in ["/usr/lib/postgresql", "/usr/libexec", "/opt/homebrew/opt", "/usr/local/opt"] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            folders.extend([entry.path(), entry.path().join("bin")]);
        }
    }
    folders
}

fn major_version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

fn create(
    binaries: &Path,
    data: &Path,
    password: &str,
    user: Option<User>,
    durability: Durability,
) -> Result<()> {
    // What an interrupted run left half made is made anew.
    let _ = fs::remove_dir_all(data);
    unprivileged::give(data, user)?;
    let password_file = data.with_extension("initdb");
    files::write_private(&password_file, password)?;
    unprivileged::give(&password_file, user)?;
    let output = output_as(
        Command::new(binaries.join("initdb"))
            .arg("-D")
            .arg(data)
            .args(["--username", NAME, "--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256"])
            .args((durability == Durability::Expendable).then_some("--no-sync"))
            .arg("--pwfile")
            .arg(&password_file),
        user,
    )?;
    fs::remove_file(&password_file)?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(data);
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Postgres minds its `postmaster.pid`. It cannot know that the number in it has since gone to
/// another program of the same user, which would block it for ever; and a server that was started
/// on this data by hand has to end first.
fn end_strangers(binaries: &Path, data: &Path, user: Option<User>) -> Result<()> {
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let pid = text.lines().next().unwrap_or_default();
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if String::from_utf8_lossy(&command_line).contains(&*data.to_string_lossy()) {
        let stop = ["stop", "--mode", "fast", "--wait", "-D"];
        output_as(Command::new(binaries.join("pg_ctl")).args(stop).arg(data), user)?;
    } else if Path::new("/proc/self").exists() {
        let _ = fs::remove_file(file);
    }
    Ok(())
}

fn output_as(command: &mut Command, user: Option<User>) -> Result<Output> {
    use std::os::unix::process::CommandExt as _;
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", program.display()))
}

struct Database {
    binaries: PathBuf,
    port: u16,
    password: String,
}

impl Database {
    /// Recovery after a crash can take a while; it is over when a question is answered.
    fn wait(&self, server: &Child) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let answer = self.ask("SELECT 1")?;
            if answer.status.success() {
                return Ok(());
            }
            if server.exited().is_some() || Instant::now() > deadline {
                bail!("Postgres does not start:\n{}", server.last_words());
            }
            thread::sleep(Duration::from_millis(30));
        }
    }

    fn create(&self) -> Result<()> {
        let exists = self.ask(&format!("SELECT 1 FROM pg_database WHERE datname = '{NAME}'"))?;
        if exists.stdout.starts_with(b"1") {
            return Ok(());
        }
        let created = self.ask(&format!("CREATE DATABASE {NAME}"))?;
        if !created.status.success() {
            bail!("cannot create the database: {}", String::from_utf8_lossy(&created.stderr));
        }
        Ok(())
    }

    fn ask(&self, question: &str) -> Result<Output> {
        let beside = self.binaries.join("psql");
        let psql = if is_program(&beside) { beside } else { PathBuf::from("psql") };
        Command::new(psql)
            .args(["--host", "127.0.0.1", "--username", NAME, "--dbname", "postgres"])
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", question])
            .env("PGPORT", self.port.to_string())
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .context("cannot run psql")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_served_by_the_version_that_wrote_it() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("PG_VERSION"), "4\n").unwrap();
        assert_eq!(binaries(data.path()), None);
    }
}
