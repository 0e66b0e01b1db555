//! Provider keys that belong to one gateway token: requests with that token use them before whatever the
//! gateway has. Sealed as they arrive; nothing here can open one again.

use axum::extract::State;
use model::document::Mistake;
use model::id::{BoundKeyId, GatewayTokenId};
use model::{AccountId, Secret};
use providers::catalog;
use serde::{Deserialize, Serialize};
use store::bound_keys::{self, Added, BoundKey, NewKey, Terms};
use store::gateways::Gateway;
use store::provider_keys::SealedSecret;
use store::{ConfigTx, Store, StoreError, Window, accounts, gateway_tokens};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::{Sealer, VaultError};

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::gateway_tokens::TokenOfGateway;
use super::page::{Page, PageParams};
use super::vaults::mistake;

/// The longest secret; a service account's JSON has about 2,500 characters.
const LONGEST_SECRET: usize = 16 * 1024;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
}

/// Why a key was not stored.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The account has no such token.
    NoToken,
    /// The token has as many keys of this provider as it can have.
    TooMany,
    /// Postgres refused.
    Store(StoreError),
    /// It could not be sealed.
    Vault(VaultError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<VaultError> for Refused {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoToken => Self::NotFound,
            Refused::TooMany => {
                Self::Conflict("The token has 15 keys of this provider already; delete one of them first")
            }
            Refused::Store(error) => error.into(),
            Refused::Vault(error) => error.into(),
        }
    }
}

/// The provider that is called so, as keys name it.
pub(crate) fn provider_of(name: &str) -> Option<String> {
    catalog::slug(name).map(str::to_owned)
}

/// Whether a text can be a key.
pub(crate) fn is_value(value: &Secret) -> bool {
    (1..=LONGEST_SECRET).contains(&value.expose().len())
}

/// Seals and stores a key whose terms are in order.
pub(crate) async fn create_key(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    account: AccountId,
    token: GatewayTokenId,
    new: &ProviderSecret<'_>,
    by: &str,
) -> Result<BoundKey, Refused> {
    let ProviderSecret { provider, terms, value } = *new;
    let id = BoundKeyId(Uuid::now_v7());
    let keys = accounts::sealed_keys(tx, account).await?.ok_or(Refused::NoToken)?;
    let sealed = sealer.seal_bound_key(&keys, account, id, provider, value)?;
    let secret = &SealedSecret { sealed, preview: preview(value) };
    match bound_keys::create(tx, account, token, NewKey { id, provider, terms, secret, by }).await? {
        Added::Key(key) => Ok(*key),
        Added::NoToken => Err(Refused::NoToken),
        Added::TooMany => Err(Refused::TooMany),
    }
}

/// A key to be stored.
#[derive(Clone, Copy)]
pub(crate) struct ProviderSecret<'a> {
    /// The provider's slug.
    pub(crate) provider: &'a str,
    /// What people say about it.
    pub(crate) terms: &'a Terms,
    /// The key itself.
    pub(crate) value: &'a Secret,
}

/// A form that people can recognise: the beginning and the end of a long key, the end of a shorter one.
fn preview(secret: &Secret) -> String {
    let text = secret.expose();
    let (long, middling) = (32, 16);
    if !text.is_ascii() || text.len() < middling {
        return "***".to_owned();
    }
    let end = &text[text.len() - 4..];
    if text.len() < long { format!("***{end}") } else { format!("{}***{end}", &text[..10]) }
}

/// A key with the token and the gateway that the path names beside it.
#[derive(Debug)]
pub struct KeyOfToken(BoundKey);

impl Guarded for KeyOfToken {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        let (Some(token), Some(id)) = (path.id::<GatewayTokenId>("token_id"), path.id("key_id")) else {
            return Ok(None);
        };
        let Some(gateway) = Gateway::find(store, account, path).await? else { return Ok(None) };
        if gateway_tokens::get(store, account, gateway.internal_id, token).await?.is_none() {
            return Ok(None);
        }
        let found = bound_keys::get(store, account, id).await?;
        Ok(found.filter(|key| key.gateway_token == token).map(Self))
    }
}

/// Give a gateway token a provider key of its own
///
/// Requests with this token use the newest of its keys first, and nobody else's. At most 15 per provider.
#[utoipa::path(post,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}/provider_keys",
    tag = "Gateway tokens",
    request_body(content = NewBoundKey, example = json!({"provider": "openai", "value": "sk-…"})),
    responses(
        (status = 200, body = Envelope<BoundKeyShown>),
        (status = 409, description = "The token has 15 keys of this provider"),
    ))]
async fn create(
    found: Authorized<TokenOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(new): Body<NewBoundKey>,
) -> ApiResult<BoundKeyShown> {
    let NewBoundKey { provider, value, name, description, metadata } = new;
    let terms = checked(Terms::default(), name, description, metadata)?;
    let provider = provider_of(&provider)
        .ok_or_else(|| ApiError::body("provider", "is not the name of a provider, such as `openai`"))?;
    if !is_value(&value) {
        return Err(ApiError::body("value", "must have 1 to 16384 bytes"));
    }
    let new = ProviderSecret { provider: &provider, terms: &terms, value: &value };
    let (token, by) = (found.token().id, found.caller.signature());
    let mut tx = store.config_tx().await?;
    let created = create_key(&mut tx, &sealer, found.account, token, &new, &by).await?;
    tx.commit().await?;
    Ok(Envelope::of(created.into()))
}

/// List a gateway token's provider keys
#[utoipa::path(get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}/provider_keys",
    tag = "Gateway tokens", params(PageParams), responses((status = 200, body = Paged<BoundKeyShown>)))]
async fn list(
    found: Authorized<TokenOfGateway, AiGatewayRead>,
    page: Page,
    State(store): State<Store>,
) -> PagedResult<BoundKeyShown> {
    let token = Some(found.token().id);
    let window = Window::Page { limit: page.limit(), offset: page.offset() };
    let keys = bound_keys::list(&store, found.account, token, window).await?;
    let total = bound_keys::count(&store, found.account, token).await?;
    Ok(Paged::page(keys.into_iter().map(BoundKeyShown::from).collect(), page, total))
}

/// Show a gateway token's provider key
#[utoipa::path(get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}/provider_keys/{key_id}",
    tag = "Gateway tokens", responses((status = 200, body = Envelope<BoundKeyShown>)))]
async fn show(key: Authorized<KeyOfToken, AiGatewayRead>) -> ApiResult<BoundKeyShown> {
    Ok(Envelope::of(key.0.clone().into()))
}

/// Change what is said about a gateway token's provider key
///
/// Its value stays: add another, and delete this one.
#[utoipa::path(patch,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}/provider_keys/{key_id}",
    tag = "Gateway tokens", request_body = BoundKeyChange,
    responses((status = 200, body = Envelope<BoundKeyShown>)))]
async fn change(
    key: Authorized<KeyOfToken, AiGatewayWrite>,
    State(store): State<Store>,
    Body(change): Body<BoundKeyChange>,
) -> ApiResult<BoundKeyShown> {
    let BoundKeyChange { name, description, metadata } = change;
    let mut tx = store.config_tx().await?;
    let before = bound_keys::find(&mut tx, key.account, key.0.id).await?.ok_or(ApiError::NotFound)?;
    let terms = checked(before.terms, name, description, metadata)?;
    let changed = bound_keys::update(&mut tx, key.account, key.0.id, &terms, &key.caller.signature()).await?;
    tx.commit().await?;
    Ok(Envelope::of(changed.ok_or(ApiError::NotFound)?.into()))
}

/// Take a provider key from a gateway token
///
/// Within a second no proxy uses it.
#[utoipa::path(delete,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/tokens/{token_id}/provider_keys/{key_id}",
    tag = "Gateway tokens", responses((status = 200, body = Envelope<BoundKeyShown>)))]
async fn delete(
    key: Authorized<KeyOfToken, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<BoundKeyShown> {
    let mut tx = store.config_tx().await?;
    if !bound_keys::delete(&mut tx, key.account, key.0.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(key.0.clone().into()))
}

fn checked(
    before: Terms,
    name: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
) -> Result<Terms, Vec<Mistake>> {
    let terms = Terms {
        name: name.unwrap_or(before.name),
        description: description.unwrap_or(before.description),
        metadata: metadata.unwrap_or(before.metadata),
    };
    let wrong = [
        ("name", "must have at most 255 bytes", terms.name.len() <= 255),
        ("description", "must have at most 255 bytes", terms.description.len() <= 255),
        ("metadata", "must have at most 4096 bytes", terms.metadata.len() <= 4096),
    ];
    let mistakes: Vec<Mistake> = wrong
        .into_iter()
        .filter(|(_, _, right)| !right)
        .map(|(field, told, _)| mistake(field, told))
        .collect();
    if mistakes.is_empty() { Ok(terms) } else { Err(mistakes) }
}

/// A key to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBoundKey {
    /// A provider's slug or another of its names, such as `openai`.
    provider: String,
    /// The key itself, at most 16384 bytes.
    #[schema(value_type = String)]
    value: Secret,
    /// What people call it, at most 255 bytes.
    name: Option<String>,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
}

/// What may be changed of a key. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundKeyChange {
    /// What people call it, at most 255 bytes.
    name: Option<String>,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
}

/// A key as it is shown: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoundKeyShown {
    #[schema(value_type = String)]
    id: BoundKeyId,
    provider: String,
    name: String,
    description: String,
    metadata: String,
    /// As much of the value as tells keys apart.
    preview: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
    /// When a provider was asked with it last, within a minute; null if none was.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_on: Option<OffsetDateTime>,
}

impl From<BoundKey> for BoundKeyShown {
    fn from(key: BoundKey) -> Self {
        let BoundKey {
            id,
            gateway_token: _,
            provider,
            terms: Terms { name, description, metadata },
            preview,
            created_by: _,
            last_updated_by: _,
            created_at,
            modified_at,
            last_used_at: last_used_on,
        } = key;
        Self { id, provider, name, description, metadata, preview, created_at, modified_at, last_used_on }
    }
}
