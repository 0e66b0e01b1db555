//! Requests that policies make: where they may go, what they carry, and what bounds them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use policy::run::{Call, CallFailed, Called, Effect, Outcome};
use proxy::effects::{Effects, Hops, Whose, outcome};

use crate::server::{Server, answer, redirect};
use crate::{at_home, effects, whose};

const TOKEN: &str = "ng-abc-g1-0123456789abcdef";

fn call(url: &str) -> Call {
    Call {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"hello"),
        timeout: Duration::from_secs(20),
        max_redirects: 0,
        max_bytes: 1000,
    }
}

async fn make(effects: &Effects, whose: Whose, call: Call) -> Result<Called, CallFailed> {
    match outcome(effects, whose, Effect::Call(call)).await {
        Outcome::Call(called) => called,
        other => panic!("{other:?}"),
    }
}

async fn reason(effects: &Effects, whose: Whose, call: Call) -> &'static str {
    make(effects, whose, call).await.unwrap_err().reason
}

#[tokio::test]
async fn what_is_not_public_is_refused_and_looks_like_what_is_not_there() {
    let mut server = Server::saying(answer(200, "")).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "[fd00::1]",
        "a-name-that-is-nobodys.invalid",
    ] {
        let reason = reason(&effects(""), whose(1, 1), call(&format!("http://{host}:{port}/"))).await;
        assert_eq!(reason, "the host has no address that may be reached from here", "{host}");
    }
    // What the operator allows is that and no more.
    let told = reason(&effects("10.0.0.0/8"), whose(1, 1), call(&server.url("/"))).await;
    assert_eq!(told, "the host has no address that may be reached from here");
    for url in ["ftp://a.example/", "http://user@a.example/", "/path", "http:///", "not an address"] {
        let told = reason(&at_home(), whose(1, 1), call(url)).await;
        assert_eq!(told, "the address is not one that can be called", "{url}");
    }
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn a_call_carries_what_the_policy_says_and_how_many_policies_stand_behind_it() {
    let mut server = Server::saying(answer(404, "nobody")).await;
    let mut call = call(&server.url("/path?a=b"));
    for (name, value) in [
        ("user-agent", "tollgate"),
        ("x-mine", "kept"),
        ("host", "elsewhere.example"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("tollgate-policy-calls", "0"),
        ("authorization", TOKEN),
    ] {
        call.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut arrived = HeaderMap::new();
    arrived.insert("tollgate-policy-calls", HeaderValue::from_static("2"));
    let behind_two = Whose { hops: Hops::of(&arrived), ..whose(1, 1) };
    let called = make(&at_home(), behind_two, call).await.unwrap();
    assert_eq!((called.status.as_u16(), &called.body[..]), (404, &b"nobody"[..]));
    assert_eq!(called.resolved_ip, Some(server.address.ip()));
    let sent = server.asked.recv().await.unwrap();
    assert!(sent.starts_with("POST /path?a=b HTTP/1.1\r\n") && sent.ends_with("\r\n\r\nhello"), "{sent}");
    let host = format!("host: {}", server.address);
    for line in
        ["user-agent: tollgate", "x-mine: kept", "tollgate-policy-calls: 3", "content-length: 5", &host]
    {
        assert!(sent.contains(&format!("{line}\r\n")), "{line} in {sent}");
    }
    for absent in ["authorization", "chunked", "elsewhere"] {
        assert!(!sent.contains(absent), "{absent} in {sent}");
    }
}

#[tokio::test]
async fn the_fourth_policy_in_a_row_calls_nobody() {
    let mut server = Server::saying(answer(200, "")).await;
    let mut arrived = HeaderMap::new();
    arrived.insert("tollgate-policy-calls", HeaderValue::from_static("3"));
    let behind_three = Whose { hops: Hops::of(&arrived), ..whose(1, 1) };
    assert!(behind_three.hops.at_limit());
    let told = reason(&at_home(), behind_three, call(&server.url("/"))).await;
    assert_eq!(told, "gateways call each other in a circle");
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn a_gateway_token_goes_nowhere() {
    let mut server = Server::saying(answer(200, "")).await;
    let in_body = Call { body: Bytes::from_static(TOKEN.as_bytes()), ..call(&server.url("/")) };
    for call in [
        call(&server.url(&format!("/{TOKEN}"))),
        call(&server.url(&format!("/?key={TOKEN}"))),
        call(&server.url("/?key=ng%2Dabc%2Dg1%2D0123456789abcdef")),
        in_body,
    ] {
        let told = reason(&at_home(), whose(1, 1), call).await;
        assert_eq!(told, "a gateway token would have been sent on");
    }
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn redirects_are_followed_as_often_as_the_policy_says_and_never_to_another_host() {
    let mut server = Server::saying(redirect("/next")).await;
    for (redirects, asked) in [(0, 1), (2, 3)] {
        let call = Call { max_redirects: redirects, ..call(&server.url("/")) };
        assert_eq!(make(&at_home(), whose(1, 1), call).await.unwrap().status.as_u16(), 302);
        assert_eq!(server.times(), asked);
    }
    let mut other = Server::saying(answer(200, "")).await;
    for location in [other.url("/"), "http://169.254.169.254/".to_owned(), "http://localhost/".to_owned()] {
        server.say(redirect(&location));
        let call = Call { max_redirects: 5, ..call(&server.url("/")) };
        assert_eq!(make(&at_home(), whose(1, 1), call).await.unwrap().status.as_u16(), 302, "{location}");
        assert_eq!((server.times(), other.times()), (1, 0), "{location}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_in_time_or_is_too_long_is_none() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let server = Server::saying(half.to_owned()).await;
    let slow = Call { timeout: Duration::from_millis(200), ..call(&server.url("/")) };
    assert_eq!(reason(&at_home(), whose(1, 1), slow).await, "no complete answer in time");
    server.say(answer(200, &"x".repeat(1001)));
    assert_eq!(reason(&at_home(), whose(1, 1), call(&server.url("/"))).await, "the answer is too long");
    server.say(answer(200, &"x".repeat(1000)));
    assert!(make(&at_home(), whose(1, 1), call(&server.url("/"))).await.is_ok());
    server.say("HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n".to_owned());
    let told = reason(&at_home(), whose(1, 1), call(&server.url("/"))).await;
    assert_eq!(told, "the connection broke before the answer was complete");
}

#[tokio::test]
async fn a_gateway_cannot_take_the_room_of_others() {
    let effects = Arc::new(at_home());
    let mut server = Server::silent(answer(200, "")).await;
    let start = |gateway| {
        let (effects, call) = (Arc::clone(&effects), call(&server.url("/")));
        tokio::spawn(async move { make(&effects, whose(1, gateway), call).await })
    };
    // A quarter of the sixteen that may be under way.
    let mut under_way: Vec<_> = (0..4).map(|_| start(1)).collect();
    for _ in 0..4 {
        server.asked.recv().await.unwrap();
    }
    let told = reason(&effects, whose(1, 1), call(&server.url("/"))).await;
    assert_eq!(told, "too many requests of this gateway are under way");
    let other = {
        let (effects, call) = (Arc::clone(&effects), call(&server.url("/")));
        tokio::spawn(async move { make(&effects, whose(1, 2), call).await })
    };
    server.asked.recv().await.unwrap();
    // Who hangs up makes room again.
    let gone = under_way.remove(0);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    server.open();
    assert!(make(&effects, whose(1, 1), call(&server.url("/"))).await.is_ok());
    assert!(other.await.unwrap().is_ok());
    for made in under_way {
        assert!(made.await.unwrap().is_ok());
    }
}
