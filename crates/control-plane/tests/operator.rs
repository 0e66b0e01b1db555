//! `/operator/proxies` and `/operator/join-tokens`, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use control_plane::join_token;
use http::{Method, StatusCode};
use model::Revision;
use model::id::{JoinTokenId, ProxyId};
use model::resource::OBEYED;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::proxies::{CertificateRow, Refused};
use store::{outbox, proxies};
use support::Api;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use vault::{ContentsBox, RootRing};

const PROXY: ProxyId = ProxyId(Uuid::from_u128(7));

/// The control plane's first start makes the authority; the command line does too.
async fn join_token_of_the_command_line(api: &Api) -> JoinTokenId {
    let contents = ContentsBox::new(RootRing::parse("KEYS", api.contents.expose()).unwrap());
    join_token::create(&api.store, &contents, "first", join_token::LIFETIME).await.unwrap().1.id
}

async fn enrol(api: &Api) {
    let token = join_token_of_the_command_line(api).await;
    let expires_at = OffsetDateTime::now_utc() + Duration::days(1);
    let certificate = CertificateRow { digest: [1; 32], expires_at };
    assert!(proxies::enrol(&api.store, token, PROXY, "host-a", certificate).await.unwrap());
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_creates_a_join_token_and_takes_it_back(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let body = json!({"name": "eu-west", "lifetime_seconds": 600});
    let (status, _) = api.call(&operator, Method::POST, "/operator/join-tokens", Some(body.clone())).await;
    assert_eq!(status, StatusCode::CONFLICT, "there is no authority yet");
    join_token_of_the_command_line(&api).await;

    let (status, created) = api.call(&operator, Method::POST, "/operator/join-tokens", Some(body)).await;
    assert_eq!((status, &created["result"]["status"]), (StatusCode::OK, &json!("active")), "{created}");
    let (token, certificate) = created["result"]["value"].as_str().unwrap().split_once('.').unwrap();
    assert!(token.starts_with("tg_join_") && certificate.len() > 100);

    let (_, listed) = api.call(&operator, Method::GET, "/operator/join-tokens", None).await;
    assert_eq!(listed["result_info"]["total_count"], 2);
    assert!(!listed.to_string().contains(token), "it is shown once");

    let path = format!("/operator/join-tokens/{}", created["result"]["id"].as_str().unwrap());
    let (status, revoked) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!((status, &revoked["result"]["status"]), (StatusCode::OK, &json!("revoked")));
    let (status, _) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_operator_sees_how_far_a_proxy_has_come_and_shuts_it_out(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    api.owner().await;
    enrol(&api).await;
    let path = format!("/operator/proxies/{PROXY}");
    let (_, shown) = api.call(&operator, Method::GET, &path, None).await;
    assert_eq!((&shown["result"]["status"], &shown["result"]["revision"]), (&json!("away"), &Value::Null));

    let head = outbox::newest(&api.store).await.unwrap();
    let serving = Revision { number: head.number - 1, ..head };
    let refused = Refused {
        account_id: "a".to_owned(),
        kind: "gateway".to_owned(),
        id: "gw_1".to_owned(),
        reason: "needs `guardrails`".to_owned(),
    };
    assert!(proxies::report(&api.store, PROXY, "9.9.9", Some(serving), &[refused]).await.unwrap());
    let but_one: Vec<String> = OBEYED[1..].iter().map(|&name| name.to_owned()).collect();
    proxies::set_obeys(&api.store, PROXY, &but_one).await.unwrap();
    let (_, listed) = api.call(&operator, Method::GET, "/operator/proxies", None).await;
    let shown = &listed["result"][0];
    assert_eq!((&shown["name"], &shown["status"]), (&json!("host-a"), &json!("connected")));
    assert_eq!((&shown["software_version"], &shown["lag"]), (&json!("9.9.9"), &json!(1)));
    assert_eq!(shown["refused"][0]["reason"], "needs `guardrails`");
    assert_eq!(shown["not_obeyed"], json!([OBEYED[0]]));

    let (status, revoked) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!((status, &revoked["result"]["status"]), (StatusCode::OK, &json!("revoked")));
    let (status, _) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn to_everyone_else_the_operators_routes_do_not_exist(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    enrol(&api).await;
    let groups = ["AI Gateway Write", "Account Settings Write", "Account API Tokens Write"];
    let token = api.token(account, &owner, &groups).await;
    let (proxy, join_token) =
        (format!("/operator/proxies/{PROXY}"), "/operator/join-tokens/jtk_00000000000000000000000000000001");
    for (method, path) in [
        (Method::GET, "/operator/proxies"),
        (Method::GET, &proxy),
        (Method::DELETE, &proxy),
        (Method::GET, "/operator/join-tokens"),
        (Method::POST, "/operator/join-tokens"),
        (Method::DELETE, join_token),
    ] {
        for (actor, expected) in [
            (&owner, StatusCode::NOT_FOUND),
            (&token, StatusCode::NOT_FOUND),
            (&api.nobody(), StatusCode::UNAUTHORIZED),
        ] {
            let body = (method == Method::POST).then(|| json!({}));
            let (status, _) = api.call(actor, method.clone(), path, body).await;
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    assert!(proxies::get(&api.store, PROXY).await.unwrap().unwrap().revoked_at.is_none());
}
