//! A way to a server that a test can cut, silence and lead elsewhere while processes go on using it.

use std::io;
use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A listening port that leads to another, in a thread of its own: a test that waits for a process to start or end
/// does not hold up what passes here.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    way: watch::Sender<Way>,
}

/// Where the way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To this port.
    Through(u16),
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections stay open and nothing passes, as when a network loses everything. They go on afterwards if the
    /// way then leads where it did.
    Silent,
    /// The test is over.
    Gone,
}

impl Forwarder {
    /// A way to a port of this machine.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let (way, ways) = watch::channel(Way::Through(port));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let forwarder = Self { port: listener.local_addr()?.port(), way };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(forward(listener, ways)));
        Ok(forwarder)
    }

    /// A way to the server of a URL, and the URL of that way.
    pub fn to_server(url: &str) -> anyhow::Result<(Self, String)> {
        let port = port_of(url)?;
        let forwarder = Self::to(port)?;
        let url = url.replacen(&format!(":{port}"), &format!(":{}", forwarder.port), 1);
        Ok((forwarder, url))
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to a port from now on. Connections that led to another end.
    pub fn lead_to(&self, port: u16) {
        self.way.send_replace(Way::Through(port));
    }

    /// Ends all connections, and new ones at once.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Lets nothing pass any more, without ending anything.
    pub fn silence(&self) {
        self.way.send_replace(Way::Silent);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.way.send_replace(Way::Gone);
    }
}

/// The port that a URL of this machine names.
pub fn port_of(url: &str) -> anyhow::Result<u16> {
    let (_, rest) = url.split_once("://").context("the URL has no scheme")?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let address = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = address.rsplit_once(':').context("the URL names no port")?;
    ensure!(matches!(host, "127.0.0.1" | "localhost"), "{host} is not this machine");
    Ok(port.parse()?)
}

async fn forward(listener: std::net::TcpListener, mut ways: watch::Receiver<Way>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ways.wait_for(|way| *way == Way::Gone) => return Ok(()),
        };
        if let Ok((near, _)) = accepted {
            tokio::spawn(connected(near, ways.clone()));
        }
    }
}

async fn connected(near: TcpStream, mut ways: watch::Receiver<Way>) -> io::Result<()> {
    let decided = ways.wait_for(|way| *way != Way::Silent).await.map(|way| *way);
    let Ok(Way::Through(port)) = decided else { return Ok(()) };
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    // Either side's end is the end of both: nobody who speaks here closes one direction alone.
    tokio::select! {
        ended = pump(near_reads, far_writes, port, ways.clone()) => ended,
        ended = pump(far_reads, near_writes, port, ways) => ended,
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    port: u16,
    mut ways: watch::Receiver<Way>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let decided = ways.wait_for(|way| *way != Way::Silent).await.map(|way| *way);
        if !matches!(decided, Ok(Way::Through(leads_to)) if leads_to == port) {
            return Ok(());
        }
        tokio::select! {
            read = from.read(&mut buffer) => match read? {
                0 => return Ok(()),
                length => to.write_all(&buffer[..length]).await?,
            },
            changed = ways.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn server(says: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut heard = [0; 1];
                    while socket.read_exact(&mut heard).and_then(|()| socket.write_all(says)).is_ok() {}
                });
            }
        });
        port
    }

    fn ask(socket: &mut TcpStream) -> io::Result<u8> {
        let mut told = [0; 1];
        socket.write_all(b"?")?;
        socket.read_exact(&mut told)?;
        Ok(told[0])
    }

    #[test]
    fn a_way_is_cut_silenced_and_led_elsewhere() {
        let (first, second) = (server(b"1"), server(b"2"));
        let forwarder = Forwarder::to(first).expect("a way");
        let connect = || TcpStream::connect(("127.0.0.1", forwarder.port())).expect("a connection");

        let mut old = connect();
        assert_eq!(ask(&mut old).expect("an answer"), b'1');
        forwarder.silence();
        old.write_all(b"?").expect("nobody says no");
        forwarder.lead_to(first);
        let mut told = [0; 1];
        old.read_exact(&mut told).expect("the answer, late");

        forwarder.lead_to(second);
        assert!(ask(&mut old).is_err());
        let mut new = connect();
        assert_eq!(ask(&mut new).expect("an answer"), b'2');
        forwarder.cut();
        assert!(ask(&mut new).is_err() && ask(&mut connect()).is_err());
    }

    #[test]
    fn the_way_to_a_server_has_a_url_of_its_own() {
        let (way, url) = Forwarder::to_server("postgres://postgres@127.0.0.1:5499/e2e?a=b").expect("a way");
        assert_eq!(url, format!("postgres://postgres@127.0.0.1:{}/e2e?a=b", way.port()));
        assert!(Forwarder::to_server("redis://example.com:6379").is_err());
    }
}
