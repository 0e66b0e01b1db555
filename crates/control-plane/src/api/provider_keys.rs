//! Stored provider keys, which Cloudflare calls provider configs. A secret is sealed as it arrives;
//! nothing here can open it again.

use axum::extract::State;
use model::document::Mistake;
use model::id::ProviderKeyId;
use model::provider_key::is_alias;
use model::{AccountId, Secret};
use providers::catalog;
use serde::{Deserialize, Serialize};
use store::gateways::Gateway;
use store::provider_keys::{self, ALIAS_TAKEN, ProviderKey, SealedSecret, Terms};
use store::{Store, StoreError, accounts};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::Sealer;

use super::ApiState;
use super::authorized::{AiGatewayRead, AiGatewayWrite, Authorized, Guarded, PathIds};
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use crate::exposure;

/// The longest secret; a service account's JSON has about 2,500 characters.
const MAX_SECRET: usize = 16 * 1024;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// A key with the gateway that the path names beside it.
#[derive(Debug)]
pub struct KeyOfGateway {
    gateway: Gateway,
    key: ProviderKey,
}

impl Guarded for KeyOfGateway {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        let Some(id) = path.id::<ProviderKeyId>("provider_config_id") else { return Ok(None) };
        let Some(gateway) = Gateway::find(store, account, path).await? else { return Ok(None) };
        let key = provider_keys::get(store, account, gateway.internal_id, id).await?;
        Ok(key.map(|key| Self { gateway, key }))
    }
}

/// Store a provider key
///
/// The key is sealed at once and never shown again. A new default takes the place of the old one of
/// the same provider.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/provider_configs",
    tag = "Provider keys", request_body = NewProviderConfig,
    responses(
        (status = 200, body = Envelope<ProviderConfig>),
        (status = 409, description = "The gateway has a key of this provider and alias"),
    ))]
async fn create(
    gateway: Authorized<Gateway, AiGatewayWrite>,
    State(state): State<ApiState>,
    Body(new): Body<NewProviderConfig>,
) -> ApiResult<ProviderConfig> {
    let (provider, terms, secret) = new.checked()?;
    let id = ProviderKeyId(Uuid::now_v7());
    let mut tx = state.store.config_tx().await?;
    let sealed = sealed(&mut tx, &state.sealer, gateway.account, id, &provider, &secret).await?;
    let (account, internal_id) = (gateway.account, gateway.internal_id);
    let created = provider_keys::create(&mut tx, account, internal_id, id, &provider, &terms, &sealed)
        .await
        .map_err(alias_taken)?
        .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    exposure::warnings_of_changed(&state, account, internal_id).await?;
    Ok(Envelope::of(ProviderConfig::of(&gateway, created)))
}

/// List a gateway's provider keys
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/provider_configs",
    tag = "Provider keys", params(PageParams), responses((status = 200, body = Paged<ProviderConfig>)))]
async fn list(
    gateway: Authorized<Gateway, AiGatewayRead>,
    page: Page,
    State(store): State<Store>,
) -> PagedResult<ProviderConfig> {
    let (account, internal_id) = (gateway.account, gateway.internal_id);
    let (found, total) =
        provider_keys::list(&store, account, internal_id, page.limit(), page.offset()).await?;
    Ok(Paged::page(found.into_iter().map(|key| ProviderConfig::of(&gateway, key)).collect(), page, total))
}

/// Show a provider key
#[utoipa::path(get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/provider_configs/{provider_config_id}",
    tag = "Provider keys", responses((status = 200, body = Envelope<ProviderConfig>)))]
async fn show(found: Authorized<KeyOfGateway, AiGatewayRead>) -> ApiResult<ProviderConfig> {
    Ok(Envelope::of(ProviderConfig::of(&found.gateway, found.key.clone())))
}

/// Change a provider key
///
/// Usually its `secret`, when it was replaced at the provider; what the body leaves out stays.
#[utoipa::path(put,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/provider_configs/{provider_config_id}",
    tag = "Provider keys", request_body = ProviderConfigChange,
    responses((status = 200, body = Envelope<ProviderConfig>)))]
async fn update(
    found: Authorized<KeyOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(change): Body<ProviderConfigChange>,
) -> ApiResult<ProviderConfig> {
    let KeyOfGateway { gateway, key } = &*found;
    let (terms, secret) = change.checked(&key.terms)?;
    let mut tx = store.config_tx().await?;
    let secret = match secret {
        Some(secret) => {
            Some(sealed(&mut tx, &sealer, gateway.account, key.id, &key.provider, &secret).await?)
        }
        None => None,
    };
    let (account, internal_id) = (gateway.account, gateway.internal_id);
    let updated = provider_keys::update(&mut tx, account, internal_id, key.id, &terms, secret.as_ref())
        .await
        .map_err(alias_taken)?
        .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(ProviderConfig::of(gateway, updated)))
}

/// Delete a provider key
///
/// Within a second no proxy uses it.
#[utoipa::path(delete,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/provider_configs/{provider_config_id}",
    tag = "Provider keys", responses((status = 200, body = Envelope<ProviderConfig>)))]
async fn delete(
    found: Authorized<KeyOfGateway, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<ProviderConfig> {
    let KeyOfGateway { gateway, key } = &*found;
    let mut tx = store.config_tx().await?;
    if !provider_keys::delete(&mut tx, gateway.account, gateway.internal_id, key.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(ProviderConfig::of(gateway, key.clone())))
}

async fn sealed(
    connection: &mut sqlx::PgConnection,
    sealer: &Sealer,
    account: AccountId,
    id: ProviderKeyId,
    provider: &str,
    secret: &Secret,
) -> Result<SealedSecret, ApiError> {
    let keys = accounts::sealed_keys(connection, account).await?.ok_or(ApiError::NotFound)?;
    let sealed = sealer.seal_provider_key(&keys, account, id, provider, secret)?;
    Ok(SealedSecret { sealed, preview: secret.preview() })
}

fn alias_taken(error: StoreError) -> ApiError {
    match error.constraint() {
        Some(ALIAS_TAKEN) => ApiError::Conflict(
            "This gateway has a key of this provider and alias already; choose another alias",
        ),
        _ => error.into(),
    }
}

/// A provider key to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProviderConfig {
    /// What requests call it (`cf-aig-byok-alias`): 1 to 64 letters, digits, `-`, `_` and `.`.
    alias: String,
    /// Whether it is used when a request names no alias.
    default_config: bool,
    /// A provider's slug, such as `openai`.
    provider_slug: String,
    /// The key itself.
    #[schema(value_type = String)]
    secret: Option<Secret>,
    /// Not supported: there is no Secrets Store; give `secret`.
    secret_id: Option<String>,
    /// Kept, not obeyed yet: requests per period.
    rate_limit: Option<f64>,
    /// Kept, not obeyed yet: seconds, 60 unless said.
    rate_limit_period: Option<f64>,
}

impl NewProviderConfig {
    fn checked(self) -> Result<(String, Terms, Secret), Vec<Mistake>> {
        let Self { alias, default_config, provider_slug, secret, secret_id, rate_limit, rate_limit_period } =
            self;
        let mut mistakes = Vec::new();
        // Whichever of its names a client knows, a provider's keys are kept under one.
        let slug = catalog::slug(&provider_slug).map(str::to_owned);
        if slug.is_none() {
            mistakes.push(mistake("provider_slug", "is not the slug of a provider, such as `openai`"));
        }
        let alias = checked_alias(alias, &mut mistakes);
        // Older clients send `secret_id` beside `secret`, empty or invented; then the secret decides.
        let secret = match (secret, secret_id) {
            (Some(secret), _) => checked_secret(&secret, &mut mistakes),
            (None, Some(_)) => {
                let message = "cannot be used: there is no Secrets Store here; give the key as `secret`";
                mistakes.push(mistake("secret_id", message));
                None
            }
            (None, None) => {
                mistakes.push(mistake("secret", "is required"));
                None
            }
        };
        let rate_limit = whole("rate_limit", rate_limit, 0, &mut mistakes);
        let rate_limit_period = whole("rate_limit_period", rate_limit_period, 1, &mut mistakes);
        match (slug, secret, mistakes.is_empty()) {
            (Some(slug), Some(secret), true) => {
                let terms = Terms { alias, is_default: default_config, rate_limit, rate_limit_period };
                Ok((slug, terms, secret))
            }
            _ => Err(mistakes),
        }
    }
}

/// What may be changed of a provider key. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfigChange {
    /// The new key.
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
    /// The new alias.
    alias: Option<String>,
    /// Whether it is used when a request names no alias.
    default_config: Option<bool>,
    /// Kept, not obeyed yet: requests per period.
    rate_limit: Option<f64>,
    /// Kept, not obeyed yet: seconds.
    rate_limit_period: Option<f64>,
}

impl ProviderConfigChange {
    fn checked(self, now: &Terms) -> Result<(Terms, Option<Secret>), Vec<Mistake>> {
        let Self { secret, alias, default_config, rate_limit, rate_limit_period } = self;
        let mut mistakes = Vec::new();
        let terms = Terms {
            alias: alias.map_or_else(|| now.alias.clone(), |alias| checked_alias(alias, &mut mistakes)),
            is_default: default_config.unwrap_or(now.is_default),
            rate_limit: whole("rate_limit", rate_limit, 0, &mut mistakes).or(now.rate_limit),
            rate_limit_period: whole("rate_limit_period", rate_limit_period, 1, &mut mistakes)
                .or(now.rate_limit_period),
        };
        let secret = secret.and_then(|secret| checked_secret(&secret, &mut mistakes));
        if mistakes.is_empty() { Ok((terms, secret)) } else { Err(mistakes) }
    }
}

/// A provider key as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderConfig {
    #[schema(value_type = String)]
    id: ProviderKeyId,
    /// What requests call it.
    alias: String,
    /// Whether it is used when a request names no alias.
    default_config: bool,
    /// The gateway's id.
    gateway_id: String,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
    /// The provider's slug.
    provider_slug: String,
    /// The same as `id`: here every secret belongs to one provider key.
    #[schema(value_type = String)]
    secret_id: ProviderKeyId,
    /// At most the last four characters of the key.
    secret_preview: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_period: Option<u32>,
}

impl ProviderConfig {
    fn of(gateway: &Gateway, key: ProviderKey) -> Self {
        let ProviderKey { id, provider, terms, preview, created_at: _, modified_at } = key;
        let Terms { alias, is_default, rate_limit, rate_limit_period } = terms;
        Self {
            id,
            alias,
            default_config: is_default,
            gateway_id: gateway.id.to_string(),
            modified_at,
            provider_slug: provider,
            secret_id: id,
            secret_preview: preview,
            rate_limit,
            // Sixty is Cloudflare's default, and means something only beside a limit.
            rate_limit_period: rate_limit_period.or(rate_limit.map(|_| 60)),
        }
    }
}

pub(super) fn mistake(field: &str, message: &str) -> Mistake {
    Mistake { path: vec!["body".to_owned(), field.to_owned()], message: format!("`{field}` {message}") }
}

pub(super) fn checked_alias(alias: String, mistakes: &mut Vec<Mistake>) -> String {
    if !is_alias(&alias) {
        mistakes.push(mistake("alias", "must be 1 to 64 letters, digits, `-`, `_` or `.`"));
    }
    alias
}

/// Without the white space that comes along when a key is pasted.
pub(super) fn checked_secret(secret: &Secret, mistakes: &mut Vec<Mistake>) -> Option<Secret> {
    let trimmed = secret.expose().trim();
    if trimmed.is_empty() || trimmed.len() > MAX_SECRET {
        mistakes.push(mistake("secret", "must be a string of 1 to 16384 bytes"));
        return None;
    }
    Some(Secret::new(trimmed))
}

/// A whole number that a client may have written as a float.
fn whole(field: &str, value: Option<f64>, least: u32, mistakes: &mut Vec<Mistake>) -> Option<u32> {
    let value = value?;
    if value.fract() == 0.0 && value >= f64::from(least) && value <= f64::from(u32::MAX) {
        return Some(value as u32);
    }
    mistakes.push(mistake(field, &format!("must be a whole number from {least} on")));
    None
}
