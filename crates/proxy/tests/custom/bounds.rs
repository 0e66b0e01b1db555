//! What servers of tenants' own cannot make us do.

use model::usage::Outcome;

use super::support::provider::{Provider, whole};
use super::support::{COMPLETION, Gateway, Setup};
use super::{OLLAMA, ask, asking, chat, under};

/// A policy of one server at this address, for as long as the tests run.
fn at(base_url: &str) -> &'static str {
    let provider = format!("{{id: box, base_url: \"{base_url}\", models: [{{id: m}}]}}");
    let policy = format!("on_http_request: [{{type: ai-gateway, config: {{providers: [{provider}]}}}}]");
    Box::leak(policy.into_boxed_str())
}

#[tokio::test]
async fn what_only_we_can_reach_is_not_reached_for_tenants() {
    let secret = Provider::saying(COMPLETION).await;
    let port = secret.address.port();
    // What no certificate can be for is not even looked up.
    let (refused, unnamed) = ("no address that may be reached", "no connection to the host");
    let names = [
        ("127.0.0.1", refused),
        ("localhost", refused),
        ("[::ffff:127.0.0.1]", refused),
        ("LOCALHOST.", refused),
        ("2130706433", unnamed),
        ("127.1", unnamed),
    ];
    for (shard, (name, reason)) in (0xe7..).zip(names) {
        let policy = at(&format!("https://{name}:{port}/v1"));
        let mut gateway = Gateway::start(secret.address, shard, under(policy, &[])).await;
        let told = chat(&gateway, "sk-own", "box:m").await;
        assert_eq!((told.status, told.text().contains(reason)), (502, true), "{name}: {}", told.text());
        let record = gateway.record().await;
        assert_eq!((record.provider.as_str(), record.outcome), ("box", Outcome::Failed));
    }
    // Without TLS it is not even a policy.
    let plain = at(&format!("http://localhost:{port}/v1"));
    let gateway = Gateway::start(secret.address, 0xee, under(plain, &[])).await;
    assert_eq!(chat(&gateway, "sk-own", "box:m").await.status, 500);
    assert_eq!(secret.times_asked(), 0);
}

#[tokio::test]
async fn a_host_that_the_operator_trusts_is_called_without_tls() {
    let server = Provider::saying(COMPLETION).await;
    let port = server.address.port();
    let policy = at(&format!("http://localhost:{port}"));
    let mut setup = under(policy, &[]);
    setup.trusted_hosts.plain = vec![format!("localhost:{port}")];
    let gateway = Gateway::start(server.address, 0xef, setup).await;
    assert_eq!(chat(&gateway, "sk-own", "box:m").await.status, 200);
    assert_eq!(server.asked().headers["host"], format!("localhost:{port}"));
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_cannot_prove_who_it_is() {
    let plain = Provider::saying(COMPLETION).await;
    let policy = at(&format!("https://127.0.0.1:{}", plain.address.port()));
    let setup = Setup { egress: Setup::default().egress, ..under(policy, &[]) };
    let gateway = Gateway::start(plain.address, 0xf0, setup).await;
    let told = chat(&gateway, "sk-own", "box:m").await;
    assert_eq!((told.status, plain.times_asked()), (502, 0), "{}", told.text());
}

#[tokio::test]
async fn an_answer_without_an_end_to_its_head_is_not_waited_for() {
    let mut endless = b"HTTP/1.1 200 OK\r\nx-long: ".to_vec();
    endless.resize(10 << 20, b'x');
    let server = Provider::raw(Box::leak(endless.into_boxed_slice())).await;
    let setup = under(OLLAMA, &[("ollama.internal", server.address)]);
    let gateway = Gateway::start(server.address, 0xf1, setup).await;
    let told = chat(&gateway, "sk-own", "ollama:m").await;
    assert_eq!(told.status, 502, "{}", told.text());
}

#[tokio::test]
async fn a_redirect_is_handed_on_and_not_followed() {
    let server = Provider::answering(|_| {
        Box::pin(async {
            let mut answer = whole(307, "text/plain", "");
            answer.headers_mut().insert("location", "http://169.254.169.254/".parse().unwrap());
            answer
        })
    })
    .await;
    let setup = under(OLLAMA, &[("ollama.internal", server.address)]);
    let gateway = Gateway::start(server.address, 0xf2, setup).await;
    let told = chat(&gateway, "sk-own", "ollama:m").await;
    assert_eq!((told.status, server.times_asked()), (307, 1));
}

#[tokio::test]
async fn gateways_that_are_each_others_servers_come_to_an_end() {
    let policy = r#"
on_http_request:
  - actions: [{type: remove-headers, config: {headers: [tollgate-policy-calls]}}]
  - type: ai-gateway
    config:
      providers: [{id: other-gateway, base_url: https://gpu.internal}]
"#;
    let server = Provider::saying(COMPLETION).await;
    let setup = under(policy, &[("gpu.internal", server.address)]);
    let gateway = Gateway::start(server.address, 0xf4, setup).await;
    for (said, told) in [("0", "1"), ("2", "3")] {
        let headers = [("tollgate-policy-calls", said)];
        let answer = ask(&gateway, "/v1/chat/completions", &headers, &asking("other-gateway:m")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(server.asked().headers["tollgate-policy-calls"], told);
    }
    let headers = [("tollgate-policy-calls", "3")];
    let answer = ask(&gateway, "/v1/chat/completions", &headers, &asking("other-gateway:m")).await;
    assert_eq!((answer.status, server.times_asked()), (508, 2), "{}", answer.text());
}

#[tokio::test]
async fn a_policys_key_that_is_made_of_a_callers_token_goes_nowhere() {
    let policy = r#"
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: collector
          base_url: https://gpu.internal
          api_keys: [{value: "${req.headers['authorization'][0]}"}]
"#;
    let server = Provider::saying(COMPLETION).await;
    let setup = under(policy, &[("gpu.internal", server.address)]);
    let gateway = Gateway::start(server.address, 0xf5, setup).await;
    for token in [&gateway.token, &gateway.second_form] {
        let told = chat(&gateway, token, "collector:m").await;
        assert_eq!((told.status, server.times_asked()), (401, 0), "{}", told.text());
    }
}
