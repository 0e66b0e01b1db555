//! The check that a container runs on itself: images without a shell have no `curl`.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

/// Succeeds if a simulator answers at `addr`.
pub(crate) fn run(mut addr: SocketAddr) -> anyhow::Result<()> {
    if addr.ip().is_unspecified() {
        addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let patience = Duration::from_secs(2);
    let mut stream =
        TcpStream::connect_timeout(&addr, patience).with_context(|| format!("Nothing listens on {addr}"))?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{addr} answered without being healthy");
    Ok(())
}
