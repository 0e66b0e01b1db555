//! The operator's keys at providers, with which requests on credits are sent. A secret is sealed as it
//! arrives; nothing here can open it again.

use axum::extract::State;
use model::Secret;
use model::document::Mistake;
use model::id::OperatorKeyId;
use model::operator_key::Cancel;
use model::provider_key::DEFAULT_ALIAS;
use providers::catalog;
use serde::{Deserialize, Deserializer, Serialize};
use store::operator_keys::{self, ALIAS_TAKEN, OperatorKey, Terms};
use store::provider_keys::SealedSecret;
use store::{ConfigTx, Store, StoreError};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::Sealer;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};
use super::provider_keys::{checked_alias, checked_secret, mistake};
use crate::installation_keys;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update, delete))
}

/// Store an operator's key
///
/// Accounts without a key of their own then reach this provider on credits, at every proxy within a
/// second. The key is sealed at once and never shown again.
#[utoipa::path(post, path = "/operator/provider_keys", tag = "Operator",
    request_body(content = NewOperatorProviderKey, example = json!({
        "provider_slug": "openai",
        "secret": "sk-the-operators-key",
        "alias": "main",
    })),
    responses(
        (status = 200, body = Envelope<OperatorProviderKey>),
        (status = 409, description = "There is a key of this provider and alias"),
    ))]
async fn create(
    _: Operator,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(new): Body<NewOperatorProviderKey>,
) -> ApiResult<OperatorProviderKey> {
    let (provider, terms, secret) = new.checked()?;
    let id = OperatorKeyId(Uuid::now_v7());
    let mut tx = store.config_tx().await?;
    let sealed = sealed(&mut tx, &sealer, id, &provider, &secret).await?;
    let created =
        operator_keys::create(&mut tx, id, &provider, &terms, &sealed).await.map_err(alias_taken)?;
    tx.commit().await?;
    Ok(Envelope::of(created.into()))
}

/// List the operator's keys
///
/// By provider, in the order in which they are used.
#[utoipa::path(get, path = "/operator/provider_keys", tag = "Operator", params(PageParams),
    responses((status = 200, body = Paged<OperatorProviderKey>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<OperatorProviderKey> {
    let (found, total) = operator_keys::list(&store, page.limit(), page.offset()).await?;
    Ok(Paged::page(found.into_iter().map(OperatorProviderKey::from).collect(), page, total))
}

/// Show an operator's key
#[utoipa::path(get, path = "/operator/provider_keys/{provider_key_id}", tag = "Operator",
    responses((status = 200, body = Envelope<OperatorProviderKey>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<OperatorProviderKey> {
    Ok(Envelope::of(found(&store, &path).await?.into()))
}

/// Change an operator's key
///
/// Usually its `secret`, when it was replaced at the provider; what the body leaves out stays.
#[utoipa::path(put, path = "/operator/provider_keys/{provider_key_id}", tag = "Operator",
    request_body(content = OperatorProviderKeyChange, example = json!({"secret": "sk-its-successor"})),
    responses((status = 200, body = Envelope<OperatorProviderKey>)))]
async fn update(
    _: Operator,
    path: PathIds,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(change): Body<OperatorProviderKeyChange>,
) -> ApiResult<OperatorProviderKey> {
    let OperatorKey { id, provider, terms, .. } = found(&store, &path).await?;
    let (terms, secret) = change.checked(&terms)?;
    let mut tx = store.config_tx().await?;
    let secret = match secret {
        Some(secret) => Some(sealed(&mut tx, &sealer, id, &provider, &secret).await?),
        None => None,
    };
    let updated = operator_keys::update(&mut tx, id, &terms, secret.as_ref())
        .await
        .map_err(alias_taken)?
        .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(Envelope::of(updated.into()))
}

/// Delete an operator's key
///
/// Within a second no proxy uses it.
#[utoipa::path(delete, path = "/operator/provider_keys/{provider_key_id}", tag = "Operator",
    responses((status = 200, body = Envelope<OperatorProviderKey>)))]
async fn delete(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<OperatorProviderKey> {
    let key = found(&store, &path).await?;
    let mut tx = store.config_tx().await?;
    if !operator_keys::delete(&mut tx, key.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(key.into()))
}

async fn found(store: &Store, path: &PathIds) -> Result<OperatorKey, ApiError> {
    let id = path.id("provider_key_id").ok_or(ApiError::NotFound)?;
    operator_keys::get(store, id).await?.ok_or(ApiError::NotFound)
}

async fn sealed(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    id: OperatorKeyId,
    provider: &str,
    secret: &Secret,
) -> Result<SealedSecret, ApiError> {
    let keys = installation_keys::load_or_create(tx, sealer).await.map_err(ApiError::Internal)?;
    let sealed = sealer.seal_operator_key(&keys, id, provider, secret)?;
    Ok(SealedSecret { sealed, preview: secret.preview() })
}

fn alias_taken(error: StoreError) -> ApiError {
    match error.constraint() {
        Some(ALIAS_TAKEN) => {
            ApiError::Conflict("There is a key of this provider and alias already; choose another alias")
        }
        _ => error.into(),
    }
}

/// An operator's key to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperatorProviderKey {
    /// A provider's slug, such as `openai`.
    provider_slug: String,
    /// The key itself.
    #[schema(value_type = String)]
    secret: Secret,
    /// What it is called: 1 to 64 letters, digits, `-`, `_` and `.`; `default` unless said.
    alias: Option<String>,
    /// Which of a provider's keys is used: the lowest first, those of the same number in turn; 0 unless
    /// said.
    priority: Option<u32>,
    /// What the provider does with a request whose caller has left, where the catalogue is wrong for this
    /// key: `drain` if it goes on billing, `stop` if it does not.
    cancel: Option<Cancel>,
}

impl NewOperatorProviderKey {
    fn checked(self) -> Result<(String, Terms, Secret), Vec<Mistake>> {
        let Self { provider_slug, secret, alias, priority, cancel } = self;
        let mut mistakes = Vec::new();
        // Whichever of its names a client knows, a provider's keys are kept under one.
        let slug = catalog::slug(&provider_slug).map(str::to_owned);
        if slug.is_none() {
            mistakes.push(mistake("provider_slug", "is not the slug of a provider, such as `openai`"));
        }
        let alias = checked_alias(alias.unwrap_or_else(|| DEFAULT_ALIAS.to_owned()), &mut mistakes);
        let priority = checked_priority(priority.unwrap_or(0), &mut mistakes);
        match (slug, checked_secret(&secret, &mut mistakes), mistakes.is_empty()) {
            (Some(slug), Some(secret), true) => Ok((slug, Terms { alias, priority, cancel }, secret)),
            _ => Err(mistakes),
        }
    }
}

/// What may be changed of an operator's key. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorProviderKeyChange {
    /// The new key.
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
    /// The new alias.
    alias: Option<String>,
    /// Which of a provider's keys is used: the lowest first.
    priority: Option<u32>,
    /// `drain`, `stop`, or null for what the catalogue says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Cancel>)]
    cancel: Option<Option<Cancel>>,
}

impl OperatorProviderKeyChange {
    fn checked(self, now: &Terms) -> Result<(Terms, Option<Secret>), Vec<Mistake>> {
        let Self { secret, alias, priority, cancel } = self;
        let mut mistakes = Vec::new();
        let terms = Terms {
            alias: alias.map_or_else(|| now.alias.clone(), |alias| checked_alias(alias, &mut mistakes)),
            priority: priority.map_or(now.priority, |priority| checked_priority(priority, &mut mistakes)),
            cancel: cancel.unwrap_or(now.cancel),
        };
        let secret = secret.and_then(|secret| checked_secret(&secret, &mut mistakes));
        if mistakes.is_empty() { Ok((terms, secret)) } else { Err(mistakes) }
    }
}

/// Null is something else than nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Cancel>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn checked_priority(priority: u32, mistakes: &mut Vec<Mistake>) -> u32 {
    const HIGHEST: u32 = 1_000_000;
    if priority > HIGHEST {
        mistakes.push(mistake("priority", "must be a whole number from 0 to 1000000"));
    }
    priority
}

/// An operator's key as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorProviderKey {
    #[schema(value_type = String)]
    id: OperatorKeyId,
    /// The provider's slug.
    provider_slug: String,
    /// What it is called.
    alias: String,
    /// Which of a provider's keys is used: the lowest first.
    priority: u32,
    /// What the provider does with a request whose caller has left; null for what the catalogue says.
    cancel: Option<Cancel>,
    /// At most the last four characters of the key.
    secret_preview: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
}

impl From<OperatorKey> for OperatorProviderKey {
    fn from(key: OperatorKey) -> Self {
        let OperatorKey { id, provider, terms, preview, created_at, modified_at } = key;
        let Terms { alias, priority, cancel } = terms;
        Self {
            id,
            provider_slug: provider,
            alias,
            priority,
            cancel,
            secret_preview: preview,
            created_at,
            modified_at,
        }
    }
}
