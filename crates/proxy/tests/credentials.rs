//! Who may call, with which credential, and what the provider gets to see of it.

mod support;

use std::time::Duration;

use model::gateway::{GatewaySettings, StoredKeys};
use support::provider::Provider;
use support::{COMPLETION, Gateway, QUESTION, STORED_KEY, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const CHAT: &str = "openai/chat/completions";

async fn gateway(shard: u8, settings: GatewaySettings) -> (Provider, Gateway) {
    let provider = Provider::saying(COMPLETION).await;
    let setup = Setup { settings, ..Setup::default() };
    let gateway = Gateway::start(provider.address, shard, setup).await;
    (provider, gateway)
}

#[tokio::test]
async fn the_truth_table_of_an_authenticated_gateway() {
    let settings = GatewaySettings { authentication: true, ..GatewaySettings::default() };
    let (provider, gateway) = gateway(1, settings).await;
    let garbled = format!("{}0", &gateway.token[..gateway.token.len() - 1]);
    for (token, status) in [
        (Some(gateway.token.as_str()), 200),
        (Some(gateway.api_token.as_str()), 200),
        (None, 401),
        (Some("undefined"), 401),
        (Some(""), 401),
        (Some("somebody-elses"), 401),
        (Some(garbled.as_str()), 401),
        (Some(gateway.other_gateways_token.as_str()), 401),
        (Some(gateway.expired_token.as_str()), 401),
        (Some(gateway.early_api_token.as_str()), 401),
        (Some("tg_gw_nonsense"), 401),
    ] {
        let written = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("authorization", "Bearer sk-own")];
        headers.extend(written.as_deref().map(|token| ("cf-aig-authorization", token)));
        let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
        assert_eq!(told.status, status, "{token:?}: {}", told.text());
        if status == 401 && token.is_some() {
            assert_eq!(told.json()["error"][0]["code"], 2009, "{}", told.text());
        }
    }
    assert_eq!(provider.times_asked(), 2);
}

#[tokio::test]
async fn an_open_gateway_takes_anybody_but_not_an_invalid_token_of_ours() {
    let (_provider, mut gateway) = gateway(2, GatewaySettings::default()).await;
    for (token, status) in [
        (None, 200),
        (Some("undefined"), 200),
        (Some("somebody-elses"), 200),
        (Some(gateway.token.clone().as_str()), 200),
        (Some(gateway.expired_token.clone().as_str()), 401),
        (Some("tg_gw_nonsense"), 401),
    ] {
        let written = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("authorization", "Bearer sk-own")];
        headers.extend(written.as_deref().map(|token| ("cf-aig-authorization", token)));
        let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
        assert_eq!(told.status, status, "{token:?}");
        let record = gateway.record().await;
        assert_eq!(record.status, status);
        assert_eq!(record.id.to_string(), told.header("cf-aig-request-id"));
    }
}

#[tokio::test]
async fn a_token_as_the_sdks_own_key_means_the_stored_key() {
    let (provider, mut gateway) = gateway(3, GatewaySettings::default()).await;
    for header in ["authorization", "cf-aig-authorization", "x-api-key"] {
        let token = format!("Bearer {}", gateway.token);
        let told = gateway.call("POST", &gateway.path(CHAT), &[(header, &token)], QUESTION).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let asked = provider.asked();
        assert_eq!(asked.headers["authorization"], format!("Bearer {STORED_KEY}"));
        assert!(!format!("{:?}", asked.headers).contains("tg_"));
        let record = gateway.record().await;
        assert_eq!(record.key_source.unwrap().as_str(), "stored_key");
        assert_eq!(record.key_alias, "default");
        assert!(record.token.starts_with("gwt_"));
    }
}

#[tokio::test]
async fn the_callers_key_comes_before_the_stored_one() {
    let (provider, mut gateway) = gateway(4, GatewaySettings::default()).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("authorization", "Bearer sk-own"), ("cf-aig-authorization", token.as_str())];
    assert_eq!(gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await.status, 200);
    assert_eq!(provider.asked().headers["authorization"], "Bearer sk-own");
    // In whichever order they stand in the same header.
    for headers in [["Bearer sk-own", token.as_str()], [token.as_str(), "Bearer sk-own"]] {
        let headers = headers.map(|value| ("authorization", value));
        assert_eq!(gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await.status, 200);
        assert_eq!(provider.asked().headers["authorization"], "Bearer sk-own");
    }
    assert_eq!(gateway.record().await.key_source.unwrap().as_str(), "request");
}

#[tokio::test]
async fn a_token_of_ours_goes_nowhere_else() {
    let (provider, mut gateway) = gateway(5, GatewaySettings::default()).await;
    let token = gateway.token.clone();
    for (header, value) in [
        ("x-my-header", token.clone()),
        ("cookie", format!("session={token}")),
        ("user-agent", format!("agent ({token})")),
        ("cf-aig-event-id", token.clone()),
        ("cf-aig-metadata", format!(r#"{{"user":"{token}"}}"#)),
        ("authorization", "Basic dGdfZ3dfc2VjcmV0Og==".to_owned()),
        ("authorization", "Basic dGdfZ3dfc2VjcmV0Og".to_owned()),
        ("authorization", format!("Bearer{token}")),
    ] {
        let told = gateway.call("POST", &gateway.path(CHAT), &[(header, &value)], QUESTION).await;
        assert_eq!(told.status, 401, "{header}");
        assert!(!format!("{:?}", gateway.record().await).contains("tg_"), "{header}");
    }
    for rest in [format!("openai/models/{token}"), format!("openai/models/%74g{}", &token[2..])] {
        let key = [("authorization", "Bearer sk-own")];
        assert_eq!(gateway.call("GET", &gateway.path(&rest), &key, "").await.status, 401, "{rest}");
        assert_eq!(gateway.record().await.path, "");
    }
    for query in [format!("key={token}"), format!("key=%74g{}", &token[2..])] {
        let path = format!("{}?{query}", gateway.path(CHAT));
        let told = gateway.call("POST", &path, &[("authorization", "Bearer sk-own")], QUESTION).await;
        assert_eq!(told.status, 401, "{query}");
    }
    let path = format!("{}?note=mytg_x&b=2", gateway.path(CHAT));
    let told = gateway.call("POST", &path, &[("authorization", "Bearer sk-own")], QUESTION).await;
    assert_eq!(told.status, 200);
    assert_eq!(provider.asked().path, "/v1/chat/completions?note=mytg_x&b=2");
    assert_eq!(provider.times_asked(), 1);
}

#[tokio::test]
async fn stored_keys_are_for_callers_with_a_token_unless_the_gateway_is_generous() {
    let (_provider, gateway) = gateway(6, GatewaySettings::default()).await;
    let told = gateway.call("POST", &gateway.path(CHAT), &[], QUESTION).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (401, Some("stored_key_needs_token")));
    // Nor need they send a body to learn it.
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{{",
        gateway.path(CHAT)
    );
    let told = gateway.raw(head.as_bytes(), Duration::from_secs(1)).await;
    assert!(told.starts_with("HTTP/1.1 401"), "{told}");
    let told = gateway.call("POST", &gateway.path(CHAT), &[("cf-aig-byok-alias", "guess")], QUESTION).await;
    assert_eq!((told.status, told.text().contains("Configured aliases")), (401, false));

    let settings = GatewaySettings { stored_keys: StoredKeys::Open, ..GatewaySettings::default() };
    let (provider, gateway) = self::gateway(7, settings).await;
    assert_eq!(gateway.call("POST", &gateway.path(CHAT), &[], QUESTION).await.status, 200);
    assert_eq!(provider.asked().headers["authorization"], format!("Bearer {STORED_KEY}"));
}

#[tokio::test]
async fn an_unknown_alias_and_a_missing_key_are_told_apart() {
    let (provider, gateway) = gateway(8, GatewaySettings::default()).await;
    let token = format!("Bearer {}", gateway.token);
    let headers = [("cf-aig-authorization", token.as_str()), ("cf-aig-byok-alias", "spare")];
    let told = gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await;
    assert_eq!(told.status, 400);
    assert_eq!(told.json()["error"][0]["code"], 2040);
    let message = told.json()["error"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        "Provider 'openai' has no BYOK credential named 'spare'. Configured aliases: 'default'"
    );

    let other = gateway.path(CHAT).replace("/demo/", "/other/");
    let token = format!("Bearer {}", gateway.other_gateways_token);
    let told = gateway.call("POST", &other, &[("authorization", token.as_str())], QUESTION).await;
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (400, Some("no_credential")));
    let headers = [("authorization", token.as_str()), ("cf-aig-no-wholesale", "true")];
    let told = gateway.call("POST", &other, &headers, QUESTION).await;
    assert_eq!(told.status, 400);
    assert!(told.json()["message"].as_str().unwrap().contains("cf-aig-no-wholesale"));
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn a_provider_sees_what_is_meant_for_it_and_nothing_else() {
    let (provider, gateway) = gateway(9, GatewaySettings::default()).await;
    let headers = [
        ("authorization", "Bearer sk-own"),
        ("x-api-key", "sk-other-provider"),
        ("cookie", "a=b"),
        ("cf-aig-metadata", r#"{"user":"x"}"#),
        ("cf-aig-skip-cache", "true"),
        ("cf-access-token", "x"),
        ("tollgate-anything", "x"),
        ("connection", "keep-alive, x-private"),
        ("x-private", "x"),
        ("te", "trailers"),
        ("openai-organization", "org-1"),
        ("openai-beta", "assistants=v2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("content-type", "application/json"),
        ("user-agent", "test/1"),
    ];
    assert_eq!(gateway.call("POST", &gateway.path(CHAT), &headers, QUESTION).await.status, 200);
    let asked = provider.asked();
    let mut names: Vec<&str> = asked.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "openai-beta",
        "openai-organization",
        "te",
        "traceparent",
        "user-agent",
    ];
    assert_eq!(names, expected);
    assert_eq!(asked.headers["host"], provider.address.to_string());
    assert!(
        asked.headers["traceparent"].to_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-")
    );
    assert_eq!(asked.body, QUESTION);
}

#[tokio::test]
async fn no_provider_is_asked_to_send_a_credential_back() {
    let (provider, gateway) = gateway(10, GatewaySettings::default()).await;
    for method in ["TRACE", "CONNECT", "PROPFIND"] {
        let ask = format!(
            "{method} {} HTTP/1.1\r\nhost: x\r\ncf-aig-authorization: {}\r\nconnection: close\r\n\r\n",
            gateway.path("openai/models"),
            gateway.token
        );
        let told = gateway.raw(ask.as_bytes(), Duration::from_secs(1)).await;
        assert!(told.starts_with("HTTP/1.1 405"), "{method}: {told}");
    }
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn a_requests_trailers_stay_here() {
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::start(provider.local_addr().unwrap(), 11, Setup::default()).await;
    let arrived = tokio::spawn(async move {
        let (mut stream, _) = provider.accept().await.unwrap();
        let mut arrived = Vec::new();
        while !arrived.ends_with(b"\r\n0\r\n\r\n") && stream.read_buf(&mut arrived).await.unwrap() > 0 {}
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(arrived).unwrap()
    });
    let ask = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-own\r\ntrailer: cf-aig-authorization\r\n\
         transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ncf-aig-authorization: {}\r\n\r\n",
        gateway.path("openai/files"),
        gateway.token
    );
    let told = gateway.raw(ask.as_bytes(), Duration::from_secs(1)).await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    let arrived = arrived.await.unwrap();
    assert!(arrived.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n") && !arrived.contains("trailer"), "{arrived}");
}
