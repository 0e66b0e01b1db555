//! The check that a container runs on itself: images without a shell have no `curl`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    /// `control-plane` or `proxy`, whose metrics address is read from the environment, or a URL
    of: String,
}

impl Healthcheck {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.of.as_str() {
            "control-plane" => ask(&variable("TOLLGATE_METRICS_ADDR", "127.0.0.1:9101"), "/readyz"),
            "proxy" => ask(&variable("TOLLGATE_PROXY_METRICS_ADDR", "127.0.0.1:9102"), "/readyz"),
            url => {
                let rest = url.strip_prefix("http://").context("expected an http:// URL")?;
                let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                ask(address, if path.is_empty() { "/readyz" } else { path })
            }
        }
    }
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn ask(address: &str, path: &str) -> anyhow::Result<()> {
    let mut address: SocketAddr =
        address.parse().with_context(|| format!("`{address}` is no address and port"))?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience)
        .with_context(|| format!("nothing listens on {address}"))?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let told = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
    ensure!(answer.starts_with("HTTP/1.1 200"), "{address} is not ready: {told}");
    Ok(())
}
