//! `/billing/notices`, and what those who are to be told receive. What time it is, the tests say.

use control_plane::payments::notices::{deliver, notice};
use control_plane::payments::{PaymentsConfig, signature};
use egress::EgressConfig;
use http::{Method, StatusCode};
use model::{AccountId, Secret};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use time::{Duration, OffsetDateTime};

use crate::receiver::Receiver;
use crate::smtp_sink::SmtpSink;
use crate::support::{Actor, Answer, Api};
use crate::{billing, give, take};

/// An account with twenty dollars, its owner, and both ways of being told.
struct Told {
    api: Api,
    account: AccountId,
    owner: Actor,
    mail: SmtpSink,
    hook: Receiver,
    now: OffsetDateTime,
}

impl Told {
    /// Where webhooks may reach this machine if `allow` says so.
    async fn start(pool: PgPoolOptions, address: PgConnectOptions, allow: &[&str]) -> Self {
        let (mail, hook) = (SmtpSink::start().await, Receiver::start().await);
        let config = PaymentsConfig {
            smtp_url: Some(mail.url()),
            smtp_from: "Tollgate <billing@tollgate.example>".to_owned(),
            egress: EgressConfig { allow: allow.iter().map(|range| range.parse().unwrap()).collect() },
            ..PaymentsConfig::default()
        };
        let api = Api::start_paid(pool, address, &config).await;
        let (account, owner) = api.owner().await;
        give(&api, account, 20).await;
        Self { api, account, owner, mail, hook, now: OffsetDateTime::now_utc() }
    }

    async fn put(&self, body: Value) -> Answer {
        self.api.call(&self.owner, Method::PUT, &billing(self.account, "notices"), Some(body)).await
    }

    async fn show(&self) -> Value {
        let (_, body) =
            self.api.call(&self.owner, Method::GET, &billing(self.account, "notices"), None).await;
        body["result"].clone()
    }

    /// One round of the desk, so much later than the last one.
    async fn round(&mut self, later: Duration) {
        self.now += later;
        notice(&self.api.store, self.now).await.unwrap();
        deliver(&self.api.store, &self.api.payments, self.now).await.unwrap();
    }
}

const HERE: &[&str] = &["127.0.0.0/8"];

#[sqlx::test(migrations = "../../migrations")]
async fn each_crossing_is_told_once_by_letter_and_by_a_signed_call(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut told = Told::start(pool, address, HERE).await;
    let body = json!({"threshold": 1000, "emails": ["ops@example.com"], "webhook_url": told.hook.url()});
    let (status, set) = told.put(body).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let secret = set["result"]["webhook_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    assert!(!told.show().await.to_string().contains(&secret), "it is shown once");

    told.round(Duration::ZERO).await;
    assert!(told.mail.received().is_empty(), "twenty dollars are not below ten");
    take(&told.api, told.account, 11).await;
    for _ in 0..3 {
        told.round(Duration::HOUR).await;
    }
    take(&told.api, told.account, 1).await;
    told.round(Duration::HOUR).await;

    let letters = told.mail.received();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].to, ["ops@example.com"]);
    assert!(letters[0].text.contains("From: Tollgate <billing@tollgate.example>"), "{}", letters[0].text);
    assert!(letters[0].text.contains("Subject: Low balance: Acme has less than 10 dollars left"));
    let calls = told.hook.received();
    assert_eq!(calls.len(), 1);
    let header = calls[0].headers["tollgate-signature"].to_str().unwrap();
    let at = header.strip_prefix("t=").unwrap().split_once(',').unwrap().0.parse().unwrap();
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
    assert_eq!(signature::check(&[Secret::new(secret)], header, &calls[0].body, at), Ok(()));
    let call: Value = serde_json::from_slice(&calls[0].body).unwrap();
    assert_eq!((&call["type"], &call["account_id"]), (&json!("low_balance"), &json!(told.account)));
    assert_eq!((&call["data"]["balance"], &call["data"]["balance_usd"]), (&json!(900), &json!("9")));
    assert_eq!(call["data"]["threshold_usd"], "10");
    let latest = told.show().await["latest"].clone();
    assert_eq!((&latest[0]["status"], &latest[1]["status"]), (&json!("delivered"), &json!("delivered")));
    assert_eq!(latest[0]["notice_id"], call["id"]);

    // Above it and below it again is another crossing.
    give(&told.api, told.account, 5).await;
    told.round(Duration::HOUR).await;
    take(&told.api, told.account, 5).await;
    told.round(Duration::HOUR).await;
    assert_eq!((told.mail.received().len(), told.hook.received().len()), (1, 1));
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_does_not_answer_is_told_again_later(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut told = Told::start(pool, address, HERE).await;
    let body = json!({"threshold": 3000, "emails": ["ops@example.com"], "webhook_url": told.hook.url()});
    told.put(body).await;
    told.hook.answers(StatusCode::SERVICE_UNAVAILABLE);
    told.mail.answers(451);
    told.round(Duration::ZERO).await;
    let first = told.hook.received();
    told.round(Duration::seconds(59)).await;
    assert_eq!((first.len(), told.hook.received().len()), (1, 0), "the pause is not over");
    told.round(Duration::seconds(1)).await;
    let second = told.hook.received();
    assert_eq!(second.len(), 1);
    assert_eq!(first[0].body, second[0].body, "it is the same notice");
    let latest = told.show().await["latest"].clone();
    assert!(latest.as_array().unwrap().iter().all(|told| told["status"] == "pending"), "{latest}");
    assert!(latest.to_string().contains("503"), "{latest}");

    told.hook.answers(StatusCode::OK);
    told.mail.answers(250);
    told.round(Duration::minutes(2)).await;
    assert_eq!((told.mail.received().len(), told.hook.received().len()), (1, 1));
    told.round(Duration::DAY).await;
    assert_eq!((told.mail.received().len(), told.hook.received().len()), (0, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_is_gone_or_silent_for_too_long_is_given_up(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut told = Told::start(pool, address, HERE).await;
    told.put(json!({"threshold": 3000, "emails": ["nobody@example.com"], "webhook_url": told.hook.url()}))
        .await;
    told.hook.answers(StatusCode::INTERNAL_SERVER_ERROR);
    told.mail.answers(550);
    let mut calls = 0;
    for _ in 0..20 {
        told.round(Duration::hours(6)).await;
        calls += told.hook.received().len();
    }
    assert_eq!(calls, 12);
    let latest = told.show().await["latest"].clone();
    assert!(latest.as_array().unwrap().iter().all(|told| told["status"] == "given_up"), "{latest}");

    // The next crossing is told anew, and 410 is an answer for good.
    told.hook.answers(StatusCode::GONE);
    give(&told.api, told.account, 15).await;
    told.round(Duration::HOUR).await;
    take(&told.api, told.account, 15).await;
    for _ in 0..3 {
        told.round(Duration::hours(6)).await;
    }
    assert_eq!(told.hook.received().len(), 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_webhook_reaches_nothing_but_what_is_public_or_allowed(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut told = Told::start(pool, address, &[]).await;
    told.put(json!({"threshold": 3000, "webhook_url": told.hook.url()})).await;
    told.round(Duration::ZERO).await;
    assert!(told.hook.received().is_empty());
    let latest = told.show().await["latest"].clone();
    assert_eq!(latest[0]["error"], "the host has no address that may be reached from here");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_address_that_is_not_set_any_more_is_not_called_any_more(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let mut told = Told::start(pool, address, HERE).await;
    told.put(json!({"threshold": 3000, "webhook_url": told.hook.url()})).await;
    notice(&told.api.store, told.now).await.unwrap();
    told.put(json!({"threshold": 3000})).await;
    told.round(Duration::ZERO).await;
    assert!(told.hook.received().is_empty());
    assert_eq!(told.show().await["latest"][0]["status"], "given_up");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_signing_secret_stays_until_a_new_one_is_asked_for(pool: PgPoolOptions, address: PgConnectOptions) {
    let told = Told::start(pool, address, HERE).await;
    let (_, first) = told.put(json!({"threshold": 1, "webhook_url": "https://a.example/"})).await;
    let (_, second) = told.put(json!({"threshold": 1, "webhook_url": "https://b.example/"})).await;
    assert_eq!(second["result"].get("webhook_secret"), None);
    let body = json!({"threshold": 1, "webhook_url": "https://b.example/", "rotate_webhook_secret": true});
    let (_, third) = told.put(body).await;
    let (old, new) = (&first["result"]["webhook_secret"], &third["result"]["webhook_secret"]);
    assert!(old.is_string() && new.is_string() && old != new);
    let sealed: Vec<u8> = sqlx::query_scalar("select webhook_secret from notice_settings")
        .fetch_one(&told.api.store.pool)
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains(&new.as_str().unwrap()[6..]));
    // What is shown can be sent back, and nothing changes.
    let shown = told.show().await;
    let (status, again) = told.put(shown.clone()).await;
    assert_eq!((status, &again["result"]), (StatusCode::OK, &shown));
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_cannot_be_is_told_with_its_path(pool: PgPoolOptions, address: PgConnectOptions) {
    let told = Told::start(pool, address, HERE).await;
    for (body, field) in [
        (json!({"threshold": 0}), "threshold"),
        (json!({"threshold": 400_000_001}), "threshold"),
        (json!({"emails": ["no address"]}), "emails"),
        (json!({"emails": ["a@example.com\r\nBcc: b@example.com"]}), "emails"),
        (json!({"emails": vec!["a@example.com"; 6]}), "emails"),
        (json!({"webhook_url": "ftp://example.com"}), "webhook_url"),
        (json!({"webhook_url": "https://user:password@example.com/"}), "webhook_url"),
        (json!({"webhook": "https://example.com/"}), "webhook"),
    ] {
        let (status, answer) = told.put(body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer["errors"][0]["path"], json!(["body", field]), "{body}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn without_a_mail_server_nobody_is_promised_a_letter(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let body = json!({"threshold": 100, "emails": ["ops@example.com"]});
    let (status, answer) = api.call(&owner, Method::PUT, &billing(account, "notices"), Some(body)).await;
    assert_eq!((status, &answer["errors"][0]["path"]), (StatusCode::BAD_REQUEST, &json!(["body", "emails"])));
}
