//! API tokens, in Cloudflare's shape: `/accounts/{account_id}/tokens`. One with AI Gateway Run is
//! what callers of a gateway present.

pub mod terms;

use axum::extract::State;
use model::id::ApiTokenId;
use model::permission::PERMISSION_GROUPS;
use model::token::{self, TokenDigest, TokenKind};
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use store::api_tokens::{self, Listing};
use store::{Store, StoreError};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::accounts::Deleted;
use super::authorized::{Authorized, Guarded, PathIds, TokensRead, TokensWrite};
use super::body::{Body, Query};
use super::caller::{Caller, PresentedToken};
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use super::{ApiState, random};
use terms::TokenTerms;
pub use terms::{Condition, Status, is_good};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(account_permission_groups))
        .routes(routes!(user_permission_groups))
        .routes(routes!(verify_in_account))
        .routes(routes!(verify))
        .routes(routes!(get, replace, delete))
        .routes(routes!(roll))
}

impl Guarded for api_tokens::ApiToken {
    async fn find(
        store: &Store,
        account: model::AccountId,
        path: &PathIds,
    ) -> Result<Option<Self>, StoreError> {
        match path.id("token_id") {
            Some(id) => api_tokens::get(store, account, id).await,
            None => Ok(None),
        }
    }
}

/// A token as it is shown: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiToken {
    /// Its id, which is inside the token.
    #[schema(value_type = String)]
    id: ApiTokenId,
    /// What people call it.
    name: String,
    status: Status,
    #[schema(value_type = Vec<terms::Policy>)]
    policies: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Condition>)]
    condition: Option<serde_json::Value>,
    #[serde(with = "time::serde::rfc3339")]
    issued_on: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_on: OffsetDateTime,
    /// When the management API was called with it last, to the minute.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    last_used_on: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    not_before: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    expires_on: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_email_at_creation: Option<String>,
}

impl From<api_tokens::ApiToken> for ApiToken {
    fn from(token: api_tokens::ApiToken) -> Self {
        let status = Status::of(&token.terms, OffsetDateTime::now_utc());
        let api_tokens::ApiToken {
            id,
            account: _,
            digest: _,
            terms,
            creator_email,
            issued_on,
            modified_on,
            last_used_on,
        } = token;
        let api_tokens::Terms {
            name,
            policies,
            condition,
            permissions: _,
            disabled: _,
            not_before,
            expires_on,
        } = terms;
        Self {
            id,
            name,
            status,
            policies,
            condition,
            issued_on,
            modified_on,
            last_used_on,
            not_before,
            expires_on,
            creator_email_at_creation: creator_email,
        }
    }
}

/// A token with its value, which is never shown again.
#[derive(Debug, Serialize, ToSchema)]
struct NewApiToken {
    #[serde(flatten)]
    token: ApiToken,
    /// What to present.
    value: String,
}

#[derive(Deserialize)]
struct Order {
    direction: Option<Direction>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Asc,
    Desc,
}

/// List API tokens
#[utoipa::path(get, path = "/accounts/{account_id}/tokens", tag = "API tokens",
    params(PageParams, ("direction" = Option<String>, Query, description = "`asc` or `desc` by age, `desc` unless said")),
    responses((status = 200, body = Paged<ApiToken>)))]
async fn list(
    account: Authorized<Account, TokensRead>,
    State(store): State<Store>,
    page: Page,
    Query(Order { direction }): Query<Order>,
) -> PagedResult<ApiToken> {
    let listing = Listing {
        newest_first: direction != Some(Direction::Asc),
        limit: page.limit(),
        offset: page.offset(),
    };
    let (tokens, total) = api_tokens::list(&store, account.id, listing).await?;
    Ok(Paged::page(tokens.into_iter().map(ApiToken::from).collect(), page, total))
}

/// Create an API token
///
/// Its value is shown here and never again. It cannot grant more than its creator may do.
#[utoipa::path(post, path = "/accounts/{account_id}/tokens", tag = "API tokens", request_body = TokenTerms,
    responses((status = 200, body = Envelope<NewApiToken>)))]
async fn create(
    account: Authorized<Account, TokensWrite>,
    State(store): State<Store>,
    Body(terms): Body<TokenTerms>,
) -> ApiResult<NewApiToken> {
    let terms = terms.checked(account.id, &account.permissions, false, OffsetDateTime::now_utc())?;
    let id = ApiTokenId(Uuid::now_v7());
    let (value, digest) = minted(id)?;
    let mut tx = store.config_tx().await?;
    let token = api_tokens::create(&mut tx, account.id, id, &digest, &terms, account.caller.email()).await?;
    tx.commit().await?;
    Ok(Envelope::of(NewApiToken { token: token.into(), value }))
}

/// Get an API token
#[utoipa::path(get, path = "/accounts/{account_id}/tokens/{token_id}", tag = "API tokens",
    responses((status = 200, body = Envelope<ApiToken>)))]
async fn get(token: Authorized<api_tokens::ApiToken, TokensRead>) -> ApiResult<ApiToken> {
    Ok(Envelope::of(api_tokens::ApiToken::clone(&token).into()))
}

/// Replace an API token's terms
///
/// Its value stays. Without `status` it stays switched on or off as it was.
#[utoipa::path(put, path = "/accounts/{account_id}/tokens/{token_id}", tag = "API tokens",
    request_body = TokenTerms, responses((status = 200, body = Envelope<ApiToken>)))]
async fn replace(
    token: Authorized<api_tokens::ApiToken, TokensWrite>,
    State(store): State<Store>,
    Body(terms): Body<TokenTerms>,
) -> ApiResult<ApiToken> {
    let now = OffsetDateTime::now_utc();
    let terms = terms.checked(token.account, &token.permissions, token.terms.disabled, now)?;
    let mut tx = store.config_tx().await?;
    let replaced = api_tokens::set_terms(&mut tx, token.account, token.id, &terms).await?;
    tx.commit().await?;
    Ok(Envelope::of(replaced.ok_or(ApiError::NotFound)?.into()))
}

/// Roll an API token
///
/// Answers with a new value, shown here and never again; the old one is worth nothing from then on.
#[utoipa::path(put, path = "/accounts/{account_id}/tokens/{token_id}/value", tag = "API tokens",
    responses((status = 200, body = Envelope<String>)))]
async fn roll(
    token: Authorized<api_tokens::ApiToken, TokensWrite>,
    State(store): State<Store>,
) -> ApiResult<String> {
    // Who learns the value can do what it can do.
    if !token.terms.permissions.is_subset(&token.permissions) {
        return Err(ApiError::Forbidden("This token may do more than you, so its value is not yours to see"));
    }
    let (value, digest) = minted(token.id)?;
    let mut tx = store.config_tx().await?;
    if !api_tokens::roll(&mut tx, token.account, token.id, &digest).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(value))
}

/// Delete an API token
#[utoipa::path(delete, path = "/accounts/{account_id}/tokens/{token_id}", tag = "API tokens",
    responses((status = 200, body = Envelope<Deleted>)))]
async fn delete(
    token: Authorized<api_tokens::ApiToken, TokensWrite>,
    State(store): State<Store>,
) -> ApiResult<Deleted> {
    let mut tx = store.config_tx().await?;
    if !api_tokens::delete(&mut tx, token.account, token.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(Deleted { id: token.id.to_string() }))
}

/// Whether a token is good.
#[derive(Debug, Serialize, ToSchema)]
struct Verified {
    #[schema(value_type = String)]
    id: ApiTokenId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    not_before: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    expires_on: Option<OffsetDateTime>,
}

/// Verify the API token that the call is made with
#[utoipa::path(get, path = "/user/tokens/verify", tag = "API tokens",
    responses((status = 200, body = Envelope<Verified>)))]
async fn verify(PresentedToken(token): PresentedToken) -> ApiResult<Verified> {
    let status = Status::of(&token.terms, OffsetDateTime::now_utc());
    let verified = Verified {
        id: token.id,
        status,
        not_before: token.terms.not_before,
        expires_on: token.terms.expires_on,
    };
    Ok(match status {
        Status::Active => Envelope::with_message(verified, 10000, "This API Token is valid and active"),
        Status::Disabled | Status::Expired => Envelope::of(verified),
    })
}

/// Verify the API token that the call is made with
///
/// As `/user/tokens/verify`, for tokens of this account.
#[utoipa::path(get, path = "/accounts/{account_id}/tokens/verify", tag = "API tokens",
    responses((status = 200, body = Envelope<Verified>)))]
async fn verify_in_account(path: PathIds, token: PresentedToken) -> ApiResult<Verified> {
    if path.id("account_id") != Some(token.0.account) {
        return Err(ApiError::NotFound);
    }
    verify(token).await
}

/// A permission group.
#[derive(Debug, Serialize, ToSchema)]
struct PermissionGroup {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    scopes: [&'static str; 1],
    category: &'static str,
    is_selectable: bool,
}

#[derive(Deserialize)]
struct GroupFilter {
    name: Option<String>,
    scope: Option<String>,
}

const ACCOUNT_SCOPE: &str = "com.cloudflare.api.account";

fn permission_groups(filter: GroupFilter) -> Vec<PermissionGroup> {
    let GroupFilter { name, scope } = filter;
    PERMISSION_GROUPS
        .iter()
        .filter(|group| name.as_ref().is_none_or(|name| name == group.name))
        .filter(|_| scope.as_ref().is_none_or(|scope| scope == ACCOUNT_SCOPE))
        .map(|group| PermissionGroup {
            id: group.id,
            name: group.name,
            description: group.description,
            scopes: [ACCOUNT_SCOPE],
            category: group.category,
            is_selectable: true,
        })
        .collect()
}

/// List permission groups
#[utoipa::path(get, path = "/accounts/{account_id}/tokens/permission_groups", tag = "API tokens",
    params(("name" = Option<String>, Query), ("scope" = Option<String>, Query)),
    responses((status = 200, body = Envelope<Vec<PermissionGroup>>)))]
async fn account_permission_groups(
    _: Authorized<Account, TokensRead>,
    Query(filter): Query<GroupFilter>,
) -> ApiResult<Vec<PermissionGroup>> {
    Ok(Envelope::of(permission_groups(filter)))
}

/// List permission groups
#[utoipa::path(get, path = "/user/tokens/permission_groups", tag = "API tokens",
    params(("name" = Option<String>, Query), ("scope" = Option<String>, Query)),
    responses((status = 200, body = Envelope<Vec<PermissionGroup>>)))]
async fn user_permission_groups(
    _: Caller,
    Query(filter): Query<GroupFilter>,
) -> ApiResult<Vec<PermissionGroup>> {
    Ok(Envelope::of(permission_groups(filter)))
}

fn minted(id: ApiTokenId) -> Result<(String, TokenDigest), ApiError> {
    let (value, digest) = token::mint(TokenKind::Api, id.0, random()?);
    Ok((value.expose().to_owned(), digest))
}
