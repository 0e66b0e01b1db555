//! The management API behind a real socket, and the people and tokens that call it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]
#![allow(dead_code, reason = "not every test needs every actor")]

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use control_plane::api::passwords::Passwords;
use control_plane::api::receipt_keys::ReceiptKeys;
use control_plane::api::session_keys::SessionKeys;
use control_plane::api::{self, ApiSettings, ApiState};
use control_plane::payments::{Payments, PaymentsConfig};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::account::Role;
use model::id::{MemberId, SessionId, UserId};
use model::token::TokenDigest;
use model::{AccountId, Secret};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::{Store, members, operators, sessions, users};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{ContentsBox, RootRing, Sealer};

/// A running API with a database of its own.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) credentials: Secret,
    pub(crate) contents: Secret,
    sessions: Arc<SessionKeys>,
    pub(crate) address: SocketAddr,
    pub(crate) payments: Payments,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Somebody who calls: what stands after `Bearer`.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) bearer: String,
    pub(crate) user: Option<UserId>,
}

/// An answer: its status and its body.
pub(crate) type Answer = (StatusCode, Value);

/// Postgres waits seconds for connections that linger before it drops a test's database.
impl Drop for Api {
    fn drop(&mut self) {
        let pool = self.store.pool.clone();
        tokio::spawn(async move { pool.close().await });
    }
}

impl Api {
    pub(crate) async fn start(pool: PgPoolOptions, address: PgConnectOptions) -> Self {
        Self::start_with(pool, address, false).await
    }

    /// The same where anybody may sign up, if `sign_up_open`.
    pub(crate) async fn start_with(
        pool: PgPoolOptions,
        address: PgConnectOptions,
        sign_up_open: bool,
    ) -> Self {
        Self::start_as(pool, address, sign_up_open, &PaymentsConfig::default()).await
    }

    /// The same where payments are taken and notices sent as configured.
    pub(crate) async fn start_paid(
        pool: PgPoolOptions,
        address: PgConnectOptions,
        payments: &PaymentsConfig,
    ) -> Self {
        Self::start_as(pool, address, false, payments).await
    }

    async fn start_as(
        pool: PgPoolOptions,
        address: PgConnectOptions,
        sign_up_open: bool,
        payments: &PaymentsConfig,
    ) -> Self {
        let store = Store::open(pool, address).await.unwrap();
        let (credentials, contents) =
            (RootRing::generate("one").unwrap(), RootRing::generate("one").unwrap());
        let ring = |text: &Secret| RootRing::parse("KEYS", text.expose()).unwrap();
        let contents_box = ContentsBox::new(ring(&contents));
        let sessions = Arc::new(SessionKeys::load(&store, &contents_box).await.unwrap());
        let payments = Payments::open(payments, &contents_box).unwrap();
        let known = providers::catalog::all().iter().map(|provider| (provider.id, provider.names()));
        let state = ApiState {
            store: store.clone(),
            sealer: Sealer::new(ring(&credentials), ring(&contents)),
            sessions: sessions.clone(),
            receipts: Arc::new(ReceiptKeys::load(&store, &contents_box).await.unwrap()),
            passwords: Passwords::new().unwrap(),
            attempts: Arc::default(),
            payments: payments.clone(),
            redis_url: Secret::new(std::env::var("REDIS_URL").unwrap_or_default()),
            settings: Arc::new(ApiSettings {
                public_gateway_url: "http://gateway.example".to_owned(),
                public_api_url: "http://api.example".to_owned(),
                sign_up_open,
                endpoint_domains: Vec::new(),
                policies: policy::Operator::of(known),
            }),
            spans: None,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trusted, shutdown) = (process::TrustedProxies::default(), CancellationToken::new());
        tokio::spawn(api::serve(listener, None, trusted, state, shutdown, std::time::Duration::ZERO));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { store, credentials, contents, sessions, address, payments, client }
    }

    /// A person with a session, and a place in no account yet.
    pub(crate) async fn person(&self) -> Actor {
        let user = UserId(Uuid::now_v7());
        let mut connection = self.store.pool.acquire().await.unwrap();
        let email = format!("{}@example.com", user.0.simple());
        users::create(&mut connection, user, &email, "no password").await.unwrap();
        let session = SessionId(Uuid::now_v7());
        let now = OffsetDateTime::now_utc();
        let refresh = TokenDigest::of("refresh");
        sessions::create(&self.store, session, user, &refresh, now + Duration::hours(1)).await.unwrap();
        let bearer = self.sessions.issue(user, session, now).unwrap().expose().to_owned();
        Actor { bearer, user: Some(user) }
    }

    /// A new account and its owner.
    pub(crate) async fn owner(&self) -> (AccountId, Actor) {
        let owner = self.person().await;
        let (status, body) =
            self.call(&owner, Method::POST, "/accounts", Some(json!({"name": "Acme"}))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        (body["result"]["id"].as_str().unwrap().parse().unwrap(), owner)
    }

    /// A person with a role in an account.
    pub(crate) async fn member(&self, account: AccountId, role: Role) -> Actor {
        self.member_called(account, role, "member@example.com").await
    }

    /// A person with a role in an account, under an email of their own there.
    pub(crate) async fn member_called(&self, account: AccountId, role: Role, email: &str) -> Actor {
        let person = self.person().await;
        let mut connection = self.store.pool.acquire().await.unwrap();
        let (id, user) = (MemberId(Uuid::now_v7()), person.user.unwrap());
        members::create(&mut connection, id, account, user, email, role).await.unwrap();
        person
    }

    /// An API token with the named permission groups, created as `owner` would.
    pub(crate) async fn token(&self, account: AccountId, owner: &Actor, groups: &[&str]) -> Actor {
        let (_, body) = self
            .call(owner, Method::GET, &format!("/accounts/{account}/tokens/permission_groups"), None)
            .await;
        let ids: Vec<Value> = body["result"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|group| groups.contains(&group["name"].as_str().unwrap()))
            .map(|group| json!({"id": group["id"]}))
            .collect();
        assert_eq!(ids.len(), groups.len());
        let resources = json!({format!("com.cloudflare.api.account.{account}"): "*"});
        let policies = json!([{"effect": "allow", "permission_groups": ids, "resources": resources}]);
        let body = json!({"name": "token", "policies": policies});
        let (status, body) =
            self.call(owner, Method::POST, &format!("/accounts/{account}/tokens"), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        Actor { bearer: body["result"]["value"].as_str().unwrap().to_owned(), user: None }
    }

    /// What clients are given as their base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    /// The person who runs the installation.
    pub(crate) async fn operator(&self) -> Actor {
        let operator = self.person().await;
        let mut connection = self.store.pool.acquire().await.unwrap();
        operators::appoint(&mut connection, operator.user.unwrap()).await.unwrap();
        operator
    }

    /// Somebody who shows nothing.
    pub(crate) fn nobody(&self) -> Actor {
        Actor { bearer: String::new(), user: None }
    }

    /// One call as it stands: nothing is added to the path or the headers.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<Bytes> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        http::Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// One call; the path is without `/client/v4`.
    pub(crate) async fn call(
        &self,
        actor: &Actor,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.call_with(actor, method, path, &[], body).await
    }

    /// The same with more headers.
    pub(crate) async fn call_with(
        &self,
        actor: &Actor,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("authorization", format!("Bearer {}", actor.bearer))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}
