//! Gateway tokens: Tollgate's own addition. Each works for one gateway, and its value is shown once.

use axum::extract::State;
use model::document::{self, Exact, Mistake, instant, nullable, text};
use model::gateway::Budget;
use model::id::GatewayTokenId;
use model::token::{self, TokenKind};
use model::{AccountId, Secret};
use serde::Serialize;
use serde_json::Value;
use store::gateway_tokens::{self, Terms};
use store::gateways::Gateway;
use store::{Store, StoreError};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, revoke))
}

/// A token with the gateway that the path names beside it.
#[derive(Debug)]
pub struct TokenOfGateway {
    gateway: Gateway,
    token: gateway_tokens::GatewayToken,
}

impl TokenOfGateway {
    /// The token.
    pub fn token(&self) -> &gateway_tokens::GatewayToken {
        &self.token
    }
}

impl Guarded for TokenOfGateway {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        let Some(id) = path.id::<GatewayTokenId>("token_id") else { return Ok(None) };
        let Some(gateway) = Gateway::find(store, account, path).await? else { return Ok(None) };
        let token = gateway_tokens::get(store, account, gateway.internal_id, id).await?;
        Ok(token.map(|token| Self { gateway, token }))
    }
}

/// Create a gateway token
///
/// The answer carries its value, which is kept nowhere and never shown again.
#[utoipa::path(
    post,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens",
    tag = "Gateway tokens",
    request_body(content = NewGatewayToken, example = json!({
        "name": "continuous integration",
        "budget": {"limit": 5, "period": "day", "hard_stop": true},
    })),
    responses((status = 200, body = Envelope<GatewayToken>)),
)]
async fn create(
    gateway: Authorized<Gateway, AiGatewayWrite>,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<GatewayToken> {
    let now = OffsetDateTime::now_utc();
    let NewGatewayToken { name, expires_on, budget } = NewGatewayToken::of(&body, now)?;
    let terms = Terms { name, budget };
    let id = GatewayTokenId(Uuid::now_v7());
    let (value, digest) = token::mint(TokenKind::Gateway, id.0, super::random()?);
    let mut tx = store.config_tx().await?;
    let created = gateway_tokens::create(
        &mut tx,
        gateway.account,
        gateway.internal_id,
        id,
        &digest,
        &terms,
        expires_on,
    )
    .await?
    .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(GatewayToken::of(&created, now, Some(&value))))
}

/// List a gateway's tokens
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens",
    tag = "Gateway tokens",
    params(PageParams),
    responses((status = 200, body = Paged<GatewayToken>)),
)]
async fn list(
    gateway: Authorized<Gateway, AiGatewayRead>,
    page: Page,
    State(store): State<Store>,
) -> PagedResult<GatewayToken> {
    let now = OffsetDateTime::now_utc();
    let (found, total) =
        gateway_tokens::list(&store, gateway.account, gateway.internal_id, page.limit(), page.offset())
            .await?;
    let documents = found.iter().map(|token| GatewayToken::of(token, now, None)).collect();
    Ok(Paged::page(documents, page, total))
}

/// Show a gateway token
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}",
    tag = "Gateway tokens",
    responses((status = 200, body = Envelope<GatewayToken>)),
)]
async fn show(found: Authorized<TokenOfGateway, AiGatewayRead>) -> ApiResult<GatewayToken> {
    Ok(Envelope::of(GatewayToken::of(&found.token, OffsetDateTime::now_utc(), None)))
}

/// Change a gateway token
///
/// Its name, or what it may spend; what the body leaves out stays. What it opened stays open. What was
/// spent counts on, unless the budget's period is another.
#[utoipa::path(
    patch,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}",
    tag = "Gateway tokens",
    request_body = GatewayTokenChange,
    responses((status = 200, body = Envelope<GatewayToken>)),
)]
async fn change(
    found: Authorized<TokenOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<GatewayToken> {
    let (gateway, id) = (&found.gateway, found.token.id);
    let mut tx = store.config_tx().await?;
    let before = gateway_tokens::lock(&mut tx, gateway.account, gateway.internal_id, id).await?;
    let terms = changed(before.ok_or(ApiError::NotFound)?, &body)?;
    let changed =
        gateway_tokens::set_terms(&mut tx, gateway.account, gateway.internal_id, id, &terms).await?;
    let changed = changed.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(GatewayToken::of(&changed, OffsetDateTime::now_utc(), None)))
}

/// Revoke a gateway token
///
/// Within a second no proxy accepts it, and the streams that it opened end.
#[utoipa::path(
    delete,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}",
    tag = "Gateway tokens",
    responses((status = 200, body = Envelope<GatewayToken>)),
)]
async fn revoke(
    found: Authorized<TokenOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<GatewayToken> {
    let mut tx = store.config_tx().await?;
    let gateway = &found.gateway;
    if !gateway_tokens::revoke(&mut tx, gateway.account, gateway.internal_id, found.token.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(GatewayToken::of(&found.token, OffsetDateTime::now_utc(), None)))
}

/// A gateway token to be created.
#[derive(Debug, ToSchema)]
pub struct NewGatewayToken {
    /// What people call it, 1 to 120 characters.
    name: String,
    /// Not good from then on; absent or null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<OffsetDateTime>,
    /// The most that it may spend, on credits and own keys alike; absent or null for no bound.
    budget: Option<Budget>,
}

/// What may be changed of a gateway token. What is absent stays.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `changed` reads")]
pub struct GatewayTokenChange {
    /// What people call it, 1 to 120 characters.
    name: Option<String>,
    /// The most that it may spend; null for no bound.
    budget: Option<Budget>,
}

fn changed(before: gateway_tokens::GatewayToken, body: &Value) -> Result<Terms, Vec<Mistake>> {
    document::read(body, |document| {
        let name = document.optional("name", before.name, text(1..=120));
        let budget = match document.has("budget") {
            true => document.object("budget", Budget::of),
            false => Some(before.budget),
        };
        Some(Terms { name: name?, budget: budget? })
    })
}

impl NewGatewayToken {
    fn of(body: &Value, now: OffsetDateTime) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let name = document.required("name", text(1..=120));
            let expires_on = document.optional(
                "expires_on",
                None,
                nullable(|value| {
                    let at = instant(value)?;
                    if at > now { Ok(at) } else { Err("must be in the future".to_owned()) }
                }),
            );
            let budget = document.object("budget", Budget::of);
            Some(Self { name: name?, expires_on: expires_on?, budget: budget? })
        })
    }
}

/// A gateway token as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayToken {
    #[schema(value_type = String)]
    id: GatewayTokenId,
    name: String,
    status: GatewayTokenStatus,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_on: Option<OffsetDateTime>,
    /// The most that it may spend.
    budget: Option<Budget>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When a request with it came last, within a minute; null if none has.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_on: Option<OffsetDateTime>,
    /// The token itself, in the answer that creates it and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayTokenStatus {
    /// It is.
    Active,
    /// It was.
    Expired,
}

impl GatewayToken {
    fn of(token: &gateway_tokens::GatewayToken, now: OffsetDateTime, value: Option<&Secret>) -> Self {
        let gateway_tokens::GatewayToken { id, name, expires_on, budget, created_at, last_used_at } = token;
        let expired = expires_on.is_some_and(|at| at <= now);
        Self {
            id: *id,
            name: name.clone(),
            status: if expired { GatewayTokenStatus::Expired } else { GatewayTokenStatus::Active },
            expires_on: *expires_on,
            budget: *budget,
            created_at: *created_at,
            last_used_on: *last_used_at,
            value: value.map(|value| value.expose().to_owned()),
        }
    }
}
