//! A port before callers who are slow, greedy, silent or many.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use process::{ForwardingHeader, Leaving, Port, TrustedProxies, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const HEAD: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Served {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

fn served(most: usize) -> Served {
    served_behind(most, TrustedProxies::default())
}

fn served_behind(most: usize, trusted: TrustedProxies) -> Served {
    let listener = bind("127.0.0.1:0".parse().unwrap(), "a test").unwrap();
    let address = listener.local_addr().unwrap();
    let slow = || async {
        sleep(HEAD * 3).await;
        "late"
    };
    let router = Router::new()
        .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
        .route("/slow", get(slow));
    let shutdown = CancellationToken::new();
    let leaving = Leaving { shutdown: shutdown.clone(), drain: PATIENCE, ending: CancellationToken::new() };
    let port = Port { listener, head: HEAD, most, open: None, tls: None, trusted };
    Served { address, shutdown, serving: tokio::spawn(port.serve_router(leaving, router)) }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// What comes until the other side ends the connection.
async fn told(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has ended, too.
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_says_nothing_or_goes_on_too_slowly_is_cut() {
    let served = served(10);
    let preface = "PRI * HTTP/2.0\r\n\r\nSM";
    for said in ["", "P", preface, "GET /", "GET / HTTP/1.1\r\nhost: x\r\nx-slow:"] {
        let mut stream = served.connect().await;
        let began = Instant::now();
        stream.write_all(said.as_bytes()).await.unwrap();
        told(&mut stream).await;
        let took = began.elapsed();
        assert!(took >= HEAD && took < HEAD * 8, "{said:?} took {took:?}");
    }
}

#[tokio::test]
async fn who_drips_a_head_is_cut() {
    let served = served(10);
    let (mut reading, mut writing) = served.connect().await.into_split();
    let began = Instant::now();
    let dripping = tokio::spawn(async move {
        writing.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        while writing.write_all(b"x").await.is_ok() {
            sleep(HEAD / 10).await;
        }
    });
    let mut answer = Vec::new();
    let _reset = timeout(PATIENCE, reading.read_to_end(&mut answer)).await.unwrap();
    assert!(began.elapsed() < HEAD * 8);
    dripping.await.unwrap();
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let served = served(10);
    for line in [format!("x-more: {}\r\n", "x".repeat(1000)), "x: y\r\n".to_owned()] {
        let mut stream = served.connect().await;
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{}", line.repeat(200));
        let (head, _) = head.as_bytes().split_at(head.len().min(64 * 1024));
        stream.write_all(head).await.unwrap();
        // Only a head that has ended can be seen to have too many lines.
        let _reset = stream.write_all(b"\r\n\r\n").await;
        let answer = told(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_waits_for_one() {
    let served = served(1);
    let mut first = served.connect().await;
    let mut second = served.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(timeout(HEAD / 2, second.read(&mut byte)).await.is_err());
    // The first has the only place until it has been silent for too long.
    told(&mut first).await;
    let answer = told(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn what_runs_is_finished_before_the_port_is_left() {
    let served = served(10);
    let (mut busy, mut idle) = (served.connect().await, served.connect().await);
    idle.write_all(ASK).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(HEAD / 3).await;
    served.shutdown.cancel();
    assert!(told(&mut idle).await.ends_with("127.0.0.1"));
    assert!(TcpStream::connect(served.address).await.is_err());
    // Longer than a head may take: that bound is no bound on answers.
    assert!(told(&mut busy).await.ends_with("late"));
    served.serving.await.unwrap();
}

#[tokio::test]
async fn who_asks_is_told_by_trusted_proxies_alone() {
    let forwarded =
        b"GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.1, 198.51.100.7\r\nconnection: close\r\n\r\n";
    let trusting = |range: &str| TrustedProxies {
        ranges: vec![range.parse().unwrap()],
        header: ForwardingHeader::XForwardedFor,
    };
    for (trusted, expected) in [
        (TrustedProxies::default(), "127.0.0.1"),
        (trusting("10.0.0.0/8"), "127.0.0.1"),
        (trusting("127.0.0.0/8"), "198.51.100.7"),
    ] {
        let served = served_behind(10, trusted);
        let mut stream = served.connect().await;
        stream.write_all(forwarded).await.unwrap();
        let answer = told(&mut stream).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");
    }
}
