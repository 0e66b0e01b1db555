//! Secrets are planted wherever the management API takes or makes one, and then looked for in every
//! table, every log line and every answer that has no business to carry them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use control_plane::payments::{self, PaymentsConfig};
use http::{Method, StatusCode};
use model::Secret;
use model::token::TokenDigest;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::installation;
use support::{Actor, Api};
use time::OffsetDateTime;
use tracing_subscriber::fmt::format::FmtSpan;

/// Everything that is logged by this process, at the lowest level there is.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn begin() -> Self {
        let logged = Self::default();
        let writer = logged.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        logged
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// The secrets, and the answers in which none of them may be.
#[derive(Default)]
struct Canaries {
    secrets: Vec<String>,
    answers: String,
}

impl Canaries {
    fn plant(&mut self, secret: &str) -> String {
        self.secrets.push(secret.to_owned());
        secret.to_owned()
    }

    /// Takes secrets out of an answer that may show them; the rest of the answer may not.
    fn shown<const N: usize>(&mut self, answer: &Value, members: [&str; N]) -> [String; N] {
        let secrets = members.map(|member| answer["result"][member].as_str().unwrap().to_owned());
        let mut rest = answer.to_string();
        for secret in &secrets {
            rest = rest.replace(secret, "");
            self.plant(secret);
        }
        self.answers.push_str(&rest);
        secrets
    }

    /// The canaries in `text`, in any of the forms in which bytes are written down.
    fn found_in(&self, text: &str) -> Vec<String> {
        let forms = |secret: &String| {
            [
                secret.clone(),
                hex::encode(secret),
                BASE64_STANDARD.encode(secret),
                BASE64_STANDARD_NO_PAD.encode(secret),
                BASE64_URL_SAFE_NO_PAD.encode(secret),
            ]
        };
        let text = text.to_lowercase();
        self.secrets.iter().flat_map(forms).filter(|form| text.contains(&form.to_lowercase())).collect()
    }
}

/// Every row of every table, as text.
async fn every_table(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(table_name) from information_schema.tables
         where table_schema = 'public' and table_type = 'BASE TABLE'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("select row::text from {table} row"));
        for row in sqlx::query_scalar::<_, String>(rows).fetch_all(pool).await.unwrap() {
            text.push_str(&row);
            text.push('\n');
        }
    }
    text
}

/// What opens a payment provider and a mail server, of which neither listens.
fn unreachable_payments(canaries: &mut Canaries) -> PaymentsConfig {
    let password = canaries.plant("canary-smtp-0123456789");
    PaymentsConfig {
        stripe_secret_key: Some(Secret::new(canaries.plant("sk_live_canary0123456789"))),
        stripe_webhook_secret: Some(Secret::new(canaries.plant("whsec_canary0123456789"))),
        stripe_url: "http://127.0.0.1:9".to_owned(),
        smtp_url: Some(Secret::new(format!("smtp://user:{password}@127.0.0.1:9"))),
        ..PaymentsConfig::default()
    }
}

/// What has to do with credits: vouchers, cards, notices that reach nobody, and events of nobody's.
async fn spend(api: &Api, owner: &Actor, account: &str, canaries: &mut Canaries) {
    let billing = |rest: &str| format!("/accounts/{account}/ai-gateway/billing/{rest}");
    let notices =
        json!({"threshold": 1000, "emails": ["ops@example.com"], "webhook_url": "http://127.0.0.1:9/"});
    let (status, set) = api.call(owner, Method::PUT, &billing("notices"), Some(notices)).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    canaries.shown(&set, ["webhook_secret"]);
    let voucher = json!({"amount": 100});
    let (status, made) = api.call(owner, Method::POST, "/operator/vouchers", Some(voucher)).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let code = canaries.plant(made["result"][0]["code"].as_str().unwrap());
    canaries.plant(&code.replace('-', ""));
    for (method, path, body) in [
        (Method::POST, billing("vouchers/redeem"), Some(json!({"code": code}))),
        (Method::POST, billing("vouchers/redeem"), Some(json!({"code": code}))),
        (Method::POST, billing("vouchers/redeem"), Some(json!({"code": {"code": code}}))),
        (Method::GET, "/operator/vouchers".to_owned(), None),
        (Method::POST, billing("topup"), Some(json!({"amount": 1000}))),
        (Method::GET, billing("topup/limits"), None),
        (Method::GET, billing("credit-balance"), None),
    ] {
        let (_, answer) = api.call(owner, method, &path, body).await;
        canaries.answers.push_str(&answer.to_string());
    }
    let now = OffsetDateTime::now_utc();
    payments::notices::notice(&api.store, now).await.unwrap();
    payments::notices::deliver(&api.store, &api.payments, now).await.unwrap();
    let headers = [("stripe-signature", "t=1,v1=00")];
    let refused = api.raw(Method::POST, "/stripe/webhook", &headers, "{}").await;
    canaries.answers.push_str(&String::from_utf8_lossy(refused.body()));
    let (_, shown) = api.call(owner, Method::GET, &billing("notices"), None).await;
    let latest = shown["result"]["latest"].as_array().unwrap();
    assert!(latest.len() == 2 && latest.iter().all(|told| told["error"].is_string()), "{shown}");
    canaries.answers.push_str(&shown.to_string());
}

#[sqlx::test(migrations = "../../migrations")]
async fn no_secret_reaches_a_table_a_log_or_an_answer_that_need_not_show_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let logged = Logged::begin();
    let owners_pool = pool.clone().connect_with(address.clone()).await.unwrap();
    let mut canaries = Canaries::default();
    let config = unreachable_payments(&mut canaries);
    let api = Api::start_paid(pool, address, &config).await;
    let nobody = Actor { bearer: canaries.plant("canary-bearer-0123456789"), user: None };

    // A person: the setup token, the password, both tokens of the session.
    let setup = canaries.plant("canary-setup-0123456789");
    let password = canaries.plant("canary-password-0123456789");
    installation::offer_setup(&api.store, &TokenDigest::of(&setup)).await.unwrap();
    let body = json!({"token": setup, "email": "owner@example.com", "password": password,
                      "account_name": "Acme"});
    let (status, arrival) = api.call(&nobody, Method::POST, "/setup", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{arrival}");
    let [access, _] = canaries.shown(&arrival, ["access_token", "refresh_token"]);
    let owner = Actor { bearer: access, user: None };
    let account = arrival["result"]["account"]["id"].as_str().unwrap().to_owned();

    // A gateway's token and an API token, which are shown once.
    let gateways = format!("/accounts/{account}/ai-gateway/gateways");
    let tokens = format!("{gateways}/default/tokens");
    let (_, made) = api.call(&owner, Method::POST, &tokens, Some(json!({"name": "app"}))).await;
    canaries.shown(&made, ["value"]);
    let account_id = account.parse().unwrap();
    let token = api.token(account_id, &owner, &["AI Gateway Read", "AI Gateway Write"]).await;
    canaries.plant(&token.bearer);

    // A vault's secret and a token's own provider key, each stored and then sent where it does not belong.
    let in_vault = canaries.plant("canary-in-vault-0123456789");
    let bound = canaries.plant("sk-canary-bound-0123456789-0123456789");
    let vaults = format!("/accounts/{account}/ai-gateway/vaults");
    let (_, vault) = api.call(&owner, Method::POST, &vaults, Some(json!({"name": "openai"}))).await;
    let secrets = format!("{vaults}/{}/secrets", vault["result"]["id"].as_str().unwrap());
    let own_keys = format!("{tokens}/{}/provider_keys", made["result"]["id"].as_str().unwrap());
    for (path, body) in [
        (&secrets, json!({"name": "api-key", "value": in_vault})),
        (&secrets, json!({"name": "api-key", "value": in_vault})),
        (&secrets, json!({"name": format!("{in_vault} ?"), "value": [in_vault]})),
        (&own_keys, json!({"provider": "openai", "value": bound})),
        (&own_keys, json!({"provider": bound, "value": 7})),
    ] {
        let (status, answer) = api.call(&owner, Method::POST, path, Some(body)).await;
        assert!(status.as_u16() < 500, "{path}: {status} {answer}");
        canaries.answers.push_str(&answer.to_string());
        canaries.answers.push_str(&api.call(&owner, Method::GET, path, None).await.1.to_string());
    }

    // Provider keys: stored, changed, refused in each way there is, and sent where they do not belong.
    let first = canaries.plant("sk-canary-first-0123456789");
    let second = canaries.plant("sk-canary-second-0123456789");
    let misplaced = canaries.plant("sk-canary-misplaced-0123456789");
    let keys = format!("{gateways}/default/provider_configs");
    let key = json!({"alias": "default", "default_config": true, "provider_slug": "openai", "secret": first});
    let with = |member: &str, value: Value| {
        let mut body = key.clone();
        body[member] = value;
        body
    };
    let (status, made) = api.call(&token, Method::POST, &keys, Some(key.clone())).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let own = format!("{keys}/{}", made["result"]["id"].as_str().unwrap());
    // The operator's keys: the person who set the installation up is the operator.
    let operators = canaries.plant("sk-canary-operator-0123456789");
    let operator_keys = "/operator/provider_keys".to_owned();
    let operator_key = json!({"provider_slug": "openai", "secret": operators});
    let with_operators = |member: &str, value: &str| {
        let mut body = operator_key.clone();
        body[member] = json!(value);
        body
    };
    let (status, made) = api.call(&owner, Method::POST, &operator_keys, Some(operator_key.clone())).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    canaries.answers.push_str(&made.to_string());
    let own_operator_key = format!("{operator_keys}/{}", made["result"]["id"].as_str().unwrap());
    let calls = [
        (Method::GET, own_operator_key.clone(), None),
        (Method::PUT, own_operator_key, Some(json!({"secret": operators, "priority": 1}))),
        (Method::POST, operator_keys.clone(), Some(operator_key.clone())),
        (Method::POST, operator_keys.clone(), Some(with_operators("cancel", &misplaced))),
        (Method::POST, operator_keys.clone(), Some(with_operators("priority", &misplaced))),
        (Method::POST, operator_keys.clone(), Some(with_operators("provider_slug", &misplaced))),
        (Method::POST, operator_keys.clone(), Some(with_operators("alias", &format!("{misplaced} ?")))),
        (Method::GET, operator_keys.clone(), None),
        (Method::PATCH, "/operator/settings".to_owned(), Some(json!({"calls_a_minute": misplaced}))),
        (Method::POST, "/operator/price_rules".to_owned(), Some(json!({"provider": misplaced}))),
        (Method::GET, own.clone(), None),
        (Method::GET, keys.clone(), None),
        (Method::PUT, own.clone(), Some(json!({"secret": second}))),
        (Method::POST, keys.clone(), Some(key.clone())),
        (Method::POST, keys.clone(), Some(with("alias", json!(format!("{misplaced} ?"))))),
        (Method::POST, keys.clone(), Some(with("default_config", json!(misplaced)))),
        (Method::POST, keys.clone(), Some(with("provider_slug", json!(misplaced)))),
        (Method::POST, keys.clone(), Some(with("rate_limit", json!(misplaced)))),
        (Method::POST, keys.clone(), Some(with("secret", json!([misplaced])))),
        (Method::POST, keys.clone(), Some(with("invented", json!(misplaced)))),
        (Method::POST, gateways.clone(), Some(json!({"id": misplaced, "collect_logs": misplaced}))),
        (Method::POST, tokens.clone(), Some(json!({"name": 1, "expires_on": misplaced}))),
        (Method::POST, "/auth/login".to_owned(), Some(json!({"email": "x@example.com", "password": second}))),
        (Method::GET, format!("/accounts/{account}"), None),
        (Method::GET, format!("/accounts/{account}/tokens"), None),
        (Method::GET, tokens, None),
        (Method::DELETE, own, None),
    ];
    for (method, path, body) in calls {
        let (status, answer) = api.call(&owner, method.clone(), &path, body).await;
        assert!(status.as_u16() < 500, "{method} {path}: {status} {answer}");
        canaries.answers.push_str(&answer.to_string());
        let (_, answer) = api.call(&nobody, method, &path, None).await;
        canaries.answers.push_str(&answer.to_string());
    }
    api.call(&owner, Method::POST, &keys, Some(key)).await;
    spend(&api, &owner, &account, &mut canaries).await;

    let tables = every_table(&owners_pool).await;
    assert!(tables.contains("owner@example.com"), "the tables were read");
    let text = logged.text();
    assert!(text.contains("insert into provider_keys"), "the log was heard");
    assert_eq!(canaries.found_in(&tables), [""; 0], "in a table");
    assert_eq!(canaries.found_in(&text), [""; 0], "in the log");
    assert_eq!(canaries.found_in(&canaries.answers), [""; 0], "in an answer");
}
