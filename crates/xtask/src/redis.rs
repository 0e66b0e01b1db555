//! A private Redis, or Valkey, that loses at most a second and evicts nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::checkout::Checkout;
use crate::children::{Child, Children, Program};
use crate::files;
use crate::packages::on_path;
use crate::ports::Turn;
use crate::unprivileged::{self, User};

/// The oldest that has what our scripts use.
const OLDEST: u32 = 7;

/// Starts the server and answers with its URL once it has read its data.
pub(crate) fn start(checkout: &Checkout, children: &Children, turn: &mut Turn) -> Result<String> {
    let server = server().context("no Redis of version 7 or later, nor Valkey, is installed")?;
    let data = checkout.data.join("redis");
    let password = files::kept(&checkout.data.join("redis-password"), files::random_password)?;
    let port = turn.free_port(16379)?;
    let user = User::to_drop_to()?;
    unprivileged::give(&data, user)?;
    let settings = data.join("redis.conf");
    files::write_private(&settings, &configuration(&data, port, &password))?;
    unprivileged::give(&settings, user)?;

    let mut program = Program::new("redis", server).arguments([&settings]);
    program.user = user;
    program.log = Some(checkout.logs.join("redis.log"));
    program.pid_file = Some(checkout.pids.join("redis.pid"));
    let server = children.start(program, None)?;
    wait(&server, port, &password)?;
    Ok(format!("redis://:{password}@127.0.0.1:{port}"))
}

fn configuration(data: &Path, port: u16, password: &str) -> String {
    format!(
        "bind 127.0.0.1\nport {port}\ndaemonize no\nrequirepass {password}\ndir \"{}\"\n\
         appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\n",
        data.display()
    )
}

/// The installed server, if it is new enough.
pub(crate) fn server() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().filter_map(on_path).find(|server| {
        let output = Command::new(server).arg("--version").output().map(|output| output.stdout);
        output.ok().and_then(|text| major_version(&String::from_utf8_lossy(&text))) >= Some(OLDEST)
    })
}

fn major_version(text: &str) -> Option<u32> {
    text.split_whitespace().find_map(|word| word.strip_prefix("v=")?.split('.').next()?.parse().ok())
}

fn wait(server: &Child, port: u16, password: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !answers(port, password) {
        if server.exited().is_some() || Instant::now() > deadline {
            bail!("Redis does not start:\n{}", server.last_words());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// While it reads its data, Redis answers PING with LOADING.
fn answers(port: u16, password: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("AUTH {password}\r\nPING\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("+PONG"))
    };
    ask().unwrap_or(false)
}

/// Forgets everything that an earlier run left.
pub(crate) fn wipe(checkout: &Checkout) {
    let _ = fs::remove_dir_all(checkout.data.join("redis"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_redis_and_valkey_are_read() {
        let redis =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0";
        let valkey = "Valkey server v=8.1.3 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1";
        assert_eq!((major_version(redis), major_version(valkey)), (Some(7), Some(8)));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn it_keeps_what_money_needs_kept() {
        let text = configuration(Path::new("/data"), 1, "p");
        for setting in ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"] {
            assert!(text.lines().any(|line| line == setting), "{setting}");
        }
    }
}
