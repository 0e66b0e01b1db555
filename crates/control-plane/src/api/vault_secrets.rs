//! Secrets in vaults. Each is sealed as it arrives; nothing here can open it again.

use axum::extract::State;
use model::document::Mistake;
use model::id::{VaultId, VaultSecretId};
use model::vault_secret::LONGEST_VALUE;
use model::{AccountId, Secret};
use serde::{Deserialize, Serialize};
use store::vault_secrets::{self, NAME_TAKEN, Terms, VaultSecret};
use store::vaults::{self, Vault};
use store::{ConfigTx, Store, StoreError, Window, accounts};
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
use super::page::{Page, PageParams};
pub(crate) use super::vaults::NAME;
use super::vaults::{checked, mistake};

/// How many secrets an account can have: each of them is kept by every proxy that serves it.
const MOST: i64 = 10_000;

/// What a value can be, for people.
pub(crate) const VALUE: &str = "must have 1 to 16384 bytes";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
}

/// Why a secret was not stored.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The account has no such secret.
    NoSuch,
    /// It has no such vault.
    NoSuchVault,
    /// The vault has one of that name.
    NameTaken,
    /// The account has as many as it can have.
    TooMany,
    /// Postgres refused.
    Store(StoreError),
    /// It could not be sealed.
    Vault(VaultError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some(NAME_TAKEN) => Self::NameTaken,
            _ => Self::Store(error),
        }
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
            Refused::NoSuch | Refused::NoSuchVault => Self::NotFound,
            Refused::NameTaken => Self::Conflict("The vault has a secret with this name already"),
            Refused::TooMany => Self::Conflict("The account has as many secrets as it can have"),
            Refused::Store(error) => error.into(),
            Refused::Vault(error) => error.into(),
        }
    }
}

/// Whether a text can be a secret.
pub(crate) fn is_value(value: &Secret) -> bool {
    (1..=LONGEST_VALUE).contains(&value.expose().len())
}

/// Seals and stores a secret whose terms are in order.
pub(crate) async fn create_secret(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    account: AccountId,
    vault: VaultId,
    terms: &Terms,
    value: &Secret,
    by: &str,
) -> Result<VaultSecret, Refused> {
    if !vaults::lock_account(tx, account).await? {
        return Err(Refused::NoSuchVault);
    }
    if vault_secrets::count(tx, account, None).await? >= MOST {
        return Err(Refused::TooMany);
    }
    let id = VaultSecretId(Uuid::now_v7());
    let sealed = sealed(tx, sealer, account, id, value).await?;
    vault_secrets::create(tx, account, vault, id, terms, &sealed, by).await?.ok_or(Refused::NoSuchVault)
}

/// Replaces what people say about a secret, and its value if there is a new one.
pub(crate) async fn update_secret(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    account: AccountId,
    id: VaultSecretId,
    terms: &Terms,
    value: Option<&Secret>,
    by: &str,
) -> Result<VaultSecret, Refused> {
    let sealed = match value {
        Some(value) => Some(sealed(tx, sealer, account, id, value).await?),
        None => None,
    };
    vault_secrets::update(tx, account, id, terms, sealed.as_deref(), by).await?.ok_or(Refused::NoSuch)
}

async fn sealed(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    account: AccountId,
    id: VaultSecretId,
    value: &Secret,
) -> Result<Vec<u8>, Refused> {
    let keys = accounts::sealed_keys(tx, account).await?.ok_or(Refused::NoSuch)?;
    Ok(sealer.seal_vault_secret(&keys, account, id, value)?)
}

impl Guarded for VaultSecret {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        let (Some(vault), Some(id)) = (path.id::<VaultId>("vault_id"), path.id("secret_id")) else {
            return Ok(None);
        };
        let found = vault_secrets::get(store, account, id).await?;
        Ok(found.filter(|secret| secret.vault == vault))
    }
}

/// Store a secret
///
/// The value is sealed at once and never shown again. Policies read it as
/// `secrets.get('<vault>', '<name>')`.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}/secrets", tag = "Vaults",
    request_body(content = NewSecret, example = json!({"name": "api-key", "value": "sk-…"})),
    responses(
        (status = 200, body = Envelope<SecretShown>),
        (status = 409, description = "The vault has a secret of this name"),
    ))]
async fn create(
    vault: Authorized<Vault, AiGatewayWrite>,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(new): Body<NewSecret>,
) -> ApiResult<SecretShown> {
    let NewSecret { name, value, description, metadata } = new;
    let terms = checked(Terms::default(), None, Some(name), description, metadata)?;
    let value = checked_value(value)?;
    let mut tx = store.config_tx().await?;
    let (account, by) = (vault.account, vault.caller.signature());
    let created = create_secret(&mut tx, &sealer, account, vault.id, &terms, &value, &by).await?;
    tx.commit().await?;
    Ok(Envelope::of(created.into()))
}

/// List a vault's secrets
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}/secrets", tag = "Vaults",
    params(PageParams), responses((status = 200, body = Paged<SecretShown>)))]
async fn list(
    vault: Authorized<Vault, AiGatewayRead>,
    page: Page,
    State(store): State<Store>,
) -> PagedResult<SecretShown> {
    let window = Window::Page { limit: page.limit(), offset: page.offset() };
    let found = vault_secrets::list(&store, vault.account, Some(vault.id), window).await?;
    let mut connection = store.pool.acquire().await?;
    let total = vault_secrets::count(&mut connection, vault.account, Some(vault.id)).await?;
    Ok(Paged::page(found.into_iter().map(SecretShown::from).collect(), page, total))
}

/// Show a secret, without its value
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}/secrets/{secret_id}",
    tag = "Vaults", responses((status = 200, body = Envelope<SecretShown>)))]
async fn show(secret: Authorized<VaultSecret, AiGatewayRead>) -> ApiResult<SecretShown> {
    Ok(Envelope::of(VaultSecret::clone(&secret).into()))
}

/// Change a secret
///
/// What the body leaves out stays. A new value is used within a second.
#[utoipa::path(patch, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}/secrets/{secret_id}",
    tag = "Vaults", request_body = SecretChange, responses((status = 200, body = Envelope<SecretShown>)))]
async fn change(
    secret: Authorized<VaultSecret, AiGatewayWrite>,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(change): Body<SecretChange>,
) -> ApiResult<SecretShown> {
    let SecretChange { name, value, description, metadata } = change;
    let value = value.map(checked_value).transpose()?;
    let mut tx = store.config_tx().await?;
    let (account, id, by) = (secret.account, secret.id, secret.caller.signature());
    let before = vault_secrets::find(&mut tx, account, id).await?.ok_or(ApiError::NotFound)?;
    let terms = checked(Terms::default(), Some(before.terms), name, description, metadata)?;
    let changed = update_secret(&mut tx, &sealer, account, id, &terms, value.as_ref(), &by).await?;
    tx.commit().await?;
    Ok(Envelope::of(changed.into()))
}

/// Delete a secret
///
/// Within a second no policy finds it.
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}/secrets/{secret_id}",
    tag = "Vaults", responses((status = 200, body = Envelope<SecretShown>)))]
async fn delete(
    secret: Authorized<VaultSecret, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<SecretShown> {
    let mut tx = store.config_tx().await?;
    if !vault_secrets::delete(&mut tx, secret.account, secret.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(VaultSecret::clone(&secret).into()))
}

fn checked_value(value: Secret) -> Result<Secret, Vec<Mistake>> {
    if is_value(&value) { Ok(value) } else { Err(vec![mistake("value", VALUE)]) }
}

/// A secret to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// What policies call it: 1 to 255 letters, digits, `_`, `/`, `.` and `-`.
    name: String,
    /// The secret itself, at most 16384 bytes.
    #[schema(value_type = String)]
    value: Secret,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
}

/// What may be changed of a secret. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretChange {
    /// What policies call it.
    name: Option<String>,
    /// The secret itself.
    #[schema(value_type = Option<String>)]
    value: Option<Secret>,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
}

/// A secret as it is shown: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecretShown {
    #[schema(value_type = String)]
    id: VaultSecretId,
    #[schema(value_type = String)]
    vault_id: VaultId,
    vault_name: String,
    name: String,
    description: String,
    metadata: String,
    /// Who created it: an email, or the id of an API token.
    created_by: String,
    /// Who changed it last.
    last_updated_by: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    modified_at: OffsetDateTime,
}

impl From<VaultSecret> for SecretShown {
    fn from(secret: VaultSecret) -> Self {
        let VaultSecret {
            id,
            vault,
            vault_name,
            terms: Terms { name, description, metadata },
            created_by,
            last_updated_by,
            created_at,
            modified_at,
        } = secret;
        Self {
            id,
            vault_id: vault,
            vault_name,
            name,
            description,
            metadata,
            created_by,
            last_updated_by,
            created_at,
            modified_at,
        }
    }
}
