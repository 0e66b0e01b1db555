//! The management API: Cloudflare's shapes, one file per noun.

pub mod account_terms;
pub mod accounts;
pub mod api_tokens;
pub mod attempts;
pub mod authorized;
pub mod billing;
pub mod body;
pub mod bound_keys;
pub mod caller;
pub mod costs;
pub mod credits;
pub mod debits;
pub mod endpoints;
pub mod envelope;
pub mod error;
pub mod gateway_tokens;
pub mod gateways;
pub mod join_tokens;
pub mod ledger;
pub mod logs;
pub mod members;
mod models;
mod observe;
pub mod openapi;
pub mod operator;
pub mod operator_keys;
pub mod operator_settings;
pub mod page;
pub mod passwords;
pub mod price_rules;
pub mod provider_keys;
pub mod proxies;
pub mod receipt_keys;
pub mod receipts;
pub mod reratings;
pub mod session_keys;
pub mod sessions;
mod spans;
pub mod spending_limit;
pub mod traffic_policies;
pub mod urls;
pub mod users;
pub mod vault_secrets;
pub mod vaults;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use model::Secret;
use process::{Leaving, Port, Tls, TrustedProxies};
use prometheus::{IntGauge, register_int_gauge};
use store::Store;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use vault::Sealer;

use attempts::Attempts;
use error::ApiError;
use passwords::Passwords;
use receipt_keys::ReceiptKeys;
use session_keys::SessionKeys;
pub use spans::Spans;

use crate::ngrok;
use crate::payments::Payments;

/// What handlers share. `State<Store>` and `State<Sealer>` can be asked for alone.
#[derive(Clone)]
pub struct ApiState {
    /// Postgres.
    pub store: Store,
    /// Seals provider keys; cannot open them.
    pub sealer: Sealer,
    /// Signs and reads access tokens.
    pub sessions: Arc<SessionKeys>,
    /// Signs receipts.
    pub receipts: Arc<ReceiptKeys>,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Failed attempts to log in.
    pub attempts: Arc<Attempts>,
    /// How credits are bought.
    pub payments: Payments,
    /// Where momentary figures of money are, for the check of the books.
    pub redis_url: Secret,
    /// What the operator said.
    pub settings: Arc<ApiSettings>,
    /// Where spans go, if anywhere.
    pub spans: Option<Spans>,
}

/// What the operator said about the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where callers reach the gateways, without a slash at the end.
    pub public_gateway_url: String,
    /// Where people reach this API, without a slash at the end.
    pub public_api_url: String,
    /// Whether anybody may sign up.
    pub sign_up_open: bool,
    /// The domains under which tenants may bind hosts; any host if there are none.
    pub endpoint_domains: Vec<String>,
    /// What traffic policies may name.
    pub policies: policy::Operator,
}

impl FromRef<ApiState> for Store {
    fn from_ref(state: &ApiState) -> Self {
        state.store.clone()
    }
}

impl FromRef<ApiState> for Arc<ReceiptKeys> {
    fn from_ref(state: &ApiState) -> Self {
        state.receipts.clone()
    }
}

impl FromRef<ApiState> for Sealer {
    fn from_ref(state: &ApiState) -> Self {
        state.sealer.clone()
    }
}

impl FromRef<ApiState> for Payments {
    fn from_ref(state: &ApiState) -> Self {
        state.payments.clone()
    }
}

/// Every route of ours. A noun is added here and nowhere else.
fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::empty())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(accounts::routes())
        .merge(members::routes())
        .merge(api_tokens::routes())
        .merge(gateways::routes())
        .merge(gateway_tokens::routes())
        .merge(bound_keys::routes())
        .merge(provider_keys::routes())
        .merge(traffic_policies::routes())
        .merge(endpoints::routes())
        .merge(vaults::routes())
        .merge(vault_secrets::routes())
        .merge(urls::routes())
        .merge(logs::routes())
        .merge(billing::routes())
        .merge(credits::routes())
        .merge(debits::routes())
        .merge(ledger::routes())
        .merge(receipts::routes())
        .merge(reratings::routes())
        .merge(proxies::routes())
        .merge(join_tokens::routes())
        .merge(operator_keys::routes())
        .merge(operator_settings::routes())
        .merge(account_terms::routes())
        .merge(spending_limit::routes())
        .merge(price_rules::routes())
        .merge(costs::routes())
        .merge(models::routes())
}

/// The whole API, with and without `/client/v4`.
pub fn router(state: ApiState) -> Router {
    let (routes, document) = routes().split_for_parts();
    let spans = state.spans.clone();
    let api = routes
        .merge(openapi::routes(openapi::finished(document)))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .with_state(state.clone());
    Router::new()
        .nest("/client/v4", api.clone())
        .merge(api)
        .merge(ngrok::routes(state.clone()))
        .merge(billing::stripe_webhook::routes().with_state(state))
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(body::LARGEST))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(spans, observe::observe))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
}

/// Whoever names the version of the second face is answered in its words.
async fn no_such_path(uri: Uri, headers: HeaderMap) -> Response {
    match headers.contains_key("ngrok-version") {
        true => ngrok::no_such_path(uri).await,
        false => ApiError::NotFound.into_response(),
    }
}

/// How long a caller may take to send a request's head.
const HEAD: Duration = Duration::from_secs(20);
/// Far more connections than people and their tools need, and far fewer than hurt.
const CONNECTIONS: usize = 1024;

static OPEN: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_api_connections", "Connections to the management API").ok()
});

/// Serves the API, with TLS if any is given, until `shutdown`, and then what is under way for as long as `drain`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    trusted: TrustedProxies,
    state: ApiState,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let port = Port { listener, head: HEAD, most: CONNECTIONS, open: OPEN.clone(), tls, trusted };
    let leaving = Leaving { shutdown, drain, ending: CancellationToken::new() };
    port.serve_router(leaving, router(state)).await;
}

/// The OpenAPI document of all routes.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finished(routes().into_openapi())
}

/// A moment as Postgres keeps it, to the microsecond: what an answer says now is what later ones say.
fn as_kept(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(at.nanosecond() / 1000 * 1000).unwrap_or(at)
}

/// This moment.
fn now() -> OffsetDateTime {
    as_kept(OffsetDateTime::now_utc())
}

/// Random bytes for a token.
pub(crate) fn random() -> Result<[u8; 32], ApiError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| ApiError::Internal(anyhow::anyhow!("no randomness: {error}")))?;
    Ok(bytes)
}
