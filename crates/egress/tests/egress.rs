//! The way out, tried on real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use egress::{Bounds, Egress, EgressConfig, EgressError};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(20), bytes: 1000 };

/// A server that answers every connection with the same bytes, and tells what it was sent.
async fn server(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_complete(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "a whole request is sent");
            }
            sent.send(String::from_utf8_lossy(&request).into_owned()).unwrap();
            let _gone = stream.write_all(answer.as_bytes()).await;
            // Held open: an answer ends where its length says.
            let _ = stream.read_buf(&mut request).await;
        }
    });
    (address, received)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

async fn send(allow: &str, address: &str, bounds: Bounds) -> Result<Response<Bytes>, EgressError> {
    let allow = allow.split(',').filter(|range| !range.is_empty()).map(|range| range.parse().unwrap());
    let egress = Egress::new(&EgressConfig { allow: allow.collect() });
    egress.send(Request::post(address).body(Bytes::from_static(b"hello")).unwrap(), bounds).await
}

#[tokio::test]
async fn what_is_not_public_is_refused_in_every_spelling() {
    let (address, mut received) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "a-name-that-is-nobodys.invalid",
    ] {
        let answer = send("", &format!("http://{host}:{port}/"), BOUNDS).await;
        assert!(matches!(answer, Err(EgressError::Refused)), "{host}: {answer:?}");
        // Some of these are no names that a certificate could bear, and are refused for that already.
        assert!(send("", &format!("https://{host}:{port}/"), BOUNDS).await.is_err(), "{host}");
    }
    assert!(received.try_recv().is_err(), "no connection was made");
}

#[tokio::test]
async fn what_the_operator_allows_is_reached_with_its_host_and_path() {
    let (address, mut received) = server("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").await;
    let port = address.port();
    let answer =
        send("10.0.0.0/8,127.0.0.0/8", &format!("http://localhost:{port}/a?b=c"), BOUNDS).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::ACCEPTED, &b"ok"[..]));
    let sent = received.recv().await.unwrap();
    assert!(sent.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains(&format!("host: localhost:{port}\r\n")), "{sent}");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (target, mut reached) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 307 Moved\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
    let (address, _received) = server(answer.leak()).await;
    let answer = send("127.0.0.0/8", &format!("http://{address}/"), BOUNDS).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(reached.try_recv().is_err());
}

#[tokio::test]
async fn time_and_bytes_are_bounded() {
    let (silent, _received) = server("").await;
    let bounds = Bounds { time: Duration::from_millis(50), ..BOUNDS };
    let answer = send("127.0.0.0/8", &format!("http://{silent}/"), bounds).await;
    assert!(matches!(answer, Err(EgressError::TooSlow(_))), "{answer:?}");

    let (long, _received) = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
    let answer = send("127.0.0.0/8", &format!("http://{long}/"), Bounds { bytes: 8, ..BOUNDS }).await;
    assert!(matches!(answer, Err(EgressError::TooLarge(8))), "{answer:?}");
    assert!(send("127.0.0.0/8", &format!("http://{long}/"), Bounds { bytes: 9, ..BOUNDS }).await.is_ok());
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = send("127.0.0.0/8", &format!("http://{address}/"), BOUNDS).await;
    assert!(matches!(answer, Err(EgressError::Unreachable(_))), "{answer:?}");
}

/// Follows with the request of [`send`], where `127.0.0.0/8` is allowed.
async fn follow(address: &str, redirects: u8) -> Result<egress::Answer, EgressError> {
    let egress = Egress::new(&EgressConfig { allow: vec!["127.0.0.0/8".parse().unwrap()] });
    egress.follow(Request::post(address).body(Bytes::from_static(b"hello")).unwrap(), BOUNDS, redirects).await
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_host_and_no_further_than_is_asked_for() {
    let (address, mut received) =
        server("HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 4\r\n\r\nback").await;
    let answer = follow(&format!("http://{address}/first"), 2).await.unwrap();
    assert_eq!((answer.response.status(), &answer.response.body()[..]), (StatusCode::FOUND, &b"back"[..]));
    assert_eq!(answer.address, address.ip());
    for first_line in ["POST /first HTTP/1.1", "GET /next HTTP/1.1", "GET /next HTTP/1.1"] {
        let sent = received.recv().await.unwrap();
        assert_eq!(sent.lines().next(), Some(first_line));
        assert_eq!(sent.ends_with("hello"), first_line.starts_with("POST"));
    }
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_redirect_to_another_host_is_the_answer() {
    let (target, mut reached) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for location in
        [format!("http://{target}/"), format!("//{target}/"), "http://169.254.169.254/".to_owned()]
    {
        let answer = format!("HTTP/1.1 307 Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let (address, _received) = server(answer.leak()).await;
        let answer = follow(&format!("http://{address}/"), 5).await.unwrap();
        assert_eq!(answer.response.status(), StatusCode::TEMPORARY_REDIRECT, "{location}");
    }
    assert!(reached.try_recv().is_err());
}

#[tokio::test]
async fn a_body_is_as_long_as_it_is_whatever_its_headers_claim() {
    let (address, mut received) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let egress = Egress::new(&EgressConfig { allow: vec!["127.0.0.0/8".parse().unwrap()] });
    let request = Request::post(format!("http://{address}/"))
        .header("content-length", "1")
        .header("transfer-encoding", "chunked")
        .header("host", "elsewhere.example")
        .body(Bytes::from_static(b"hello"))
        .unwrap();
    egress.send(request, BOUNDS).await.unwrap();
    let sent = received.recv().await.unwrap();
    assert!(sent.contains("content-length: 5\r\n") && !sent.contains("transfer-encoding"), "{sent}");
    assert!(sent.contains(&format!("host: {address}\r\n")) && !sent.contains("elsewhere"), "{sent}");
}

#[tokio::test]
async fn the_head_of_an_answer_is_bounded() {
    let answer = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(300_000));
    let (address, _received) = server(answer.leak()).await;
    let answer = send("127.0.0.0/8", &format!("http://{address}/"), BOUNDS).await;
    assert!(matches!(answer, Err(EgressError::BrokeOff(_))), "{answer:?}");
}
