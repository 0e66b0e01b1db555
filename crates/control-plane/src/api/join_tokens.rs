//! Join tokens: the operator lets one proxy in with each.

use std::time::Duration;

use axum::extract::State;
use model::Secret;
use model::document::{self, Mistake, integer, text};
use model::id::{JoinTokenId, ProxyId};
use serde::Serialize;
use serde_json::Value;
use store::{Store, certificate_authority, join_tokens};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};
use crate::join_token;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// Create a join token
///
/// The answer carries what a proxy is given as `TOLLGATE_JOIN_TOKEN`. It enrols one proxy, and is
/// never shown again.
#[utoipa::path(post, path = "/operator/join-tokens", tag = "Operator",
    request_body(content = NewJoinToken, example = json!({"name": "eu-west", "lifetime_seconds": 3600})),
    responses((status = 200, body = Envelope<JoinToken>)))]
async fn create(_: Operator, State(store): State<Store>, Body(body): Body<Value>) -> ApiResult<JoinToken> {
    let NewJoinToken { name, lifetime_seconds } = NewJoinToken::of(&body)?;
    let authority = certificate_authority::get(&store)
        .await?
        .ok_or(ApiError::Conflict("No proxy can join yet: the control plane has not opened its gRPC port"))?;
    let lifetime = Duration::from_secs(lifetime_seconds);
    let (value, created) = join_token::create_under(&store, &authority.certificate_der, &name, lifetime)
        .await
        .map_err(ApiError::Internal)?;
    Ok(Envelope::of(JoinToken::of(&created, OffsetDateTime::now_utc(), Some(&value))))
}

/// List join tokens
#[utoipa::path(get, path = "/operator/join-tokens", tag = "Operator", params(PageParams),
    responses((status = 200, body = Paged<JoinToken>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<JoinToken> {
    let now = OffsetDateTime::now_utc();
    let (found, total) = join_tokens::list(&store, page.limit(), page.offset()).await?;
    Ok(Paged::page(found.iter().map(|token| JoinToken::of(token, now, None)).collect(), page, total))
}

/// Revoke a join token
///
/// The proxy that joined with it, if one did, is not affected: revoke the proxy.
#[utoipa::path(delete, path = "/operator/join-tokens/{join_token_id}", tag = "Operator",
    responses((status = 200, body = Envelope<JoinToken>)))]
async fn revoke(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<JoinToken> {
    let id: JoinTokenId = path.id("join_token_id").ok_or(ApiError::NotFound)?;
    let revoked = join_tokens::revoke(&store, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(JoinToken::of(&revoked, OffsetDateTime::now_utc(), None)))
}

/// A join token to be created.
#[derive(Debug, ToSchema)]
pub struct NewJoinToken {
    /// What people call it, 1 to 120 characters; `proxy` unless said.
    #[schema(value_type = Option<String>)]
    name: String,
    /// How long it can be used, 60 seconds to 30 days; a day unless said.
    #[schema(value_type = Option<u64>)]
    lifetime_seconds: u64,
}

impl NewJoinToken {
    fn of(body: &Value) -> Result<Self, Vec<Mistake>> {
        const LONGEST: u64 = 30 * 24 * 3600;
        document::read(body, |document| {
            let name = document.optional("name", "proxy".to_owned(), text(1..=120));
            let day = join_token::LIFETIME.as_secs();
            let lifetime_seconds = document.optional("lifetime_seconds", day, integer(60..=LONGEST));
            Some(Self { name: name?, lifetime_seconds: lifetime_seconds? })
        })
    }
}

/// A join token as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct JoinToken {
    #[schema(value_type = String)]
    id: JoinTokenId,
    name: String,
    status: JoinTokenStatus,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// The proxy that joined with it.
    #[schema(value_type = Option<String>)]
    proxy_id: Option<ProxyId>,
    /// What a proxy is given, in the answer that creates it and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// What a join token is still good for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinTokenStatus {
    /// One proxy may join with it.
    Active,
    /// One has.
    Used,
    /// Taken back.
    Revoked,
    /// Too old.
    Expired,
}

impl JoinToken {
    fn of(token: &join_tokens::JoinToken, now: OffsetDateTime, value: Option<&Secret>) -> Self {
        let join_tokens::JoinToken { id, name, created_at, expires_at, revoked_at, used_by } = token;
        let status = match (used_by, revoked_at) {
            (Some(_), _) => JoinTokenStatus::Used,
            (None, Some(_)) => JoinTokenStatus::Revoked,
            (None, None) if *expires_at <= now => JoinTokenStatus::Expired,
            (None, None) => JoinTokenStatus::Active,
        };
        Self {
            id: *id,
            name: name.clone(),
            status,
            created_at: *created_at,
            expires_at: *expires_at,
            proxy_id: *used_by,
            value: value.map(|value| value.expose().to_owned()),
        }
    }
}
