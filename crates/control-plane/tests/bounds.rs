//! The management API before what no well-behaved client sends, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes and reads what comes until the connection ends: the status and the body.
async fn told(api: &Api, sent: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    // A server that refuses early may close before all is sent.
    let _early = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

fn login(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /client/v4/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn code(body: &str) -> Option<u64> {
    let envelope: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&envelope["success"], &envelope["result"]), (&Value::Bool(false), &Value::Null));
    envelope["errors"][0]["code"].as_u64()
}

#[sqlx::test(migrations = "../../migrations")]
async fn bodies_that_are_no_json_are_refused_in_the_envelope(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 6] = [
        b"{\"email\":",
        b"{\"email\":\"\xff\xfe\",\"password\":\"x\"}",
        b"\xef\xbb\xbf{}",
        b"{\"email\":\"\\ud800\",\"password\":\"x\"}",
        b"\x00\x01\x02",
        deep.as_bytes(),
    ];
    for body in bodies {
        let (status, answer) = told(&api, &login(body)).await;
        assert_eq!((status, code(&answer)), (400, Some(7001)), "{answer}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn too_large_a_body_is_refused_whether_its_length_is_told_or_not(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    // The length alone is reason enough; nothing of the body is waited for.
    let announced = b"POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n";
    let (status, answer) = told(&api, announced).await;
    assert_eq!((status, code(&answer)), (413, Some(10413)));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).repeat(16);
    let chunked = format!(
        "POST /auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n"
    );
    let (status, answer) = told(&api, chunked.as_bytes()).await;
    assert_eq!((status, code(&answer)), (413, Some(10413)));
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endless_head_is_refused(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let endless = format!("GET /accounts HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(64 * 1024));
    assert_eq!(told(&api, &endless.as_bytes()[..64 * 1024]).await.0, 431);
}
