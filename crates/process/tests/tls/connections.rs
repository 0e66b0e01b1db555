//! What a connection is, once it is encrypted, and what it may not cost others.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{HEAD, PATIENCE, Served, asked, text};

fn served(port: &'static str) -> Served {
    Served::start(port, |authority, directory| authority.certify(&["a.test"]).write(directory, "a"))
}

#[tokio::test]
async fn both_versions_are_spoken_and_whoever_answers_is_told_what_was_agreed_on() {
    let served = served("agreed");
    for (version, told, offered, agreed) in [
        (&rustls::version::TLS12, "1.2", &["http/1.1"][..], r#"Some("http/1.1")"#),
        (&rustls::version::TLS13, "1.3", &[], "None"),
    ] {
        let client = Arc::new(served.authority.client(&[version], offered));
        let peer = text(asked(served.connect_as(&client, "a.test").await.unwrap(), "/peer").await).await;
        for expected in [
            r#"server_name: Some("a.test")"#.to_owned(),
            format!("version: {told:?}"),
            r#"cipher_suite: "TLS_"#.to_owned(),
            format!("alpn: {agreed}"),
            "resumed: false".to_owned(),
        ] {
            assert!(peer.contains(&expected), "{expected} is not in {peer}");
        }
        assert!(!peer.contains("TLS13_"), "{peer}");
        let peer = text(asked(served.connect_as(&client, "a.test").await.unwrap(), "/peer").await).await;
        assert!(peer.contains("resumed: true"), "{peer}");
    }
}

#[tokio::test]
async fn http_2_is_chosen_by_who_offers_it() {
    let served = served("h2");
    let client = Arc::new(served.authority.client(rustls::ALL_VERSIONS, &["http/1.1", "h2"]));
    let stream = served.connect_as(&client, "a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut asking, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |path: &str| Request::get(format!("https://a.test{path}")).body(String::new()).unwrap();
    let mut streamed = served.stream().await;
    let streaming = asking.send_request(request("/stream")).await.unwrap();
    // A second request finds its way past the first, which is still answered.
    let peer = text(asking.send_request(request("/peer")).await.unwrap()).await;
    assert!(peer.contains(r#"alpn: Some("h2")"#), "{peer}");
    streamed.send_data(Bytes::from("all")).await.unwrap();
    drop(streamed);
    assert_eq!(text(streaming).await, "all");
}

#[tokio::test]
async fn who_does_not_shake_hands_holds_nobody_up_and_is_cut() {
    let served = served("slow");
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert_eq!(text(asked(served.connect("a.test").await.unwrap(), "/served").await).await, "/served");
    for mut stream in silent {
        let mut rest = Vec::new();
        // A connection that is reset has ended, too.
        let _reset = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is cut");
        assert!(rest.is_empty());
    }
    assert!(began.elapsed() >= HEAD);
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_answered() {
    let served = served("plain");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut told = Vec::new();
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut told)).await.expect("it is cut");
    assert!(!told.starts_with(b"HTTP/"), "{told:?}");
}

#[tokio::test]
async fn what_runs_is_finished_before_the_port_is_left_and_handshakes_are_not_waited_for() {
    let served = served("drain");
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut streamed = served.stream().await;
    let answer = asked(served.connect("a.test").await.unwrap(), "/stream").await;
    streamed.send_data(Bytes::from("before, ")).await.unwrap();
    served.shutdown.cancel();
    let _reset = timeout(PATIENCE, silent.read_u8()).await.expect("it is cut").unwrap_err();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    streamed.send_data(Bytes::from("after")).await.unwrap();
    drop(streamed);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "before, after");
    timeout(PATIENCE, served.serving).await.unwrap().unwrap();
}
