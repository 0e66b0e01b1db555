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
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            sent.send(String::from_utf8_lossy(&head[..length]).into_owned()).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Held open: an answer ends where its length says.
            let _ = stream.read(&mut head).await;
        }
    });
    (address, received)
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
