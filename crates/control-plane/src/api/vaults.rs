//! Vaults: places for secrets that traffic policies refer to by name.

use axum::extract::State;
use model::AccountId;
use model::document::Mistake;
use model::id::VaultId;
use model::vault_secret::is_name;
use serde::{Deserialize, Serialize};
use store::accounts::Account;
use store::vaults::{self, NAME_TAKEN, NOT_EMPTY, Terms, Vault};
use store::{ConfigTx, Store, StoreError, Window};
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

/// How many vaults an account can have. Far more than people name, and few enough to be listed.
const MOST: i64 = 1000;

/// What a name can be, for people.
pub(crate) const NAME: &str = "must be 1 to 255 letters, digits, `_`, `/`, `.` and `-`";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, delete))
}

/// Why a vault was not changed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The account has no such vault.
    NoSuch,
    /// It has one of that name.
    NameTaken,
    /// It has as many as it can have.
    TooMany,
    /// There are secrets in it.
    NotEmpty,
    /// Postgres refused.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error.constraint() {
            Some(NAME_TAKEN) => Self::NameTaken,
            Some(NOT_EMPTY) => Self::NotEmpty,
            _ => Self::Store(error),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoSuch => Self::NotFound,
            Refused::NameTaken => Self::Conflict("A vault with this name exists already"),
            Refused::TooMany => Self::Conflict("The account has as many vaults as it can have"),
            Refused::NotEmpty => Self::Conflict("There are secrets in this vault; delete them first"),
            Refused::Store(error) => error.into(),
        }
    }
}

/// Creates a vault whose terms are in order.
pub(crate) async fn create_vault(
    tx: &mut ConfigTx,
    account: AccountId,
    terms: &Terms,
    by: &str,
) -> Result<Vault, Refused> {
    if !vaults::lock_account(tx, account).await? {
        return Err(Refused::NoSuch);
    }
    if vaults::count(tx, account).await? >= MOST {
        return Err(Refused::TooMany);
    }
    let id = VaultId(Uuid::now_v7());
    vaults::create(tx, account, id, terms, by).await?.ok_or(Refused::NoSuch)
}

/// Replaces what people say about a vault.
pub(crate) async fn update_vault(
    tx: &mut ConfigTx,
    account: AccountId,
    id: VaultId,
    terms: &Terms,
    by: &str,
) -> Result<Vault, Refused> {
    vaults::update(tx, account, id, terms, by).await?.ok_or(Refused::NoSuch)
}

/// Deletes an empty vault.
pub(crate) async fn delete_vault(tx: &mut ConfigTx, account: AccountId, id: VaultId) -> Result<(), Refused> {
    match vaults::delete(tx, account, id).await? {
        true => Ok(()),
        false => Err(Refused::NoSuch),
    }
}

impl Guarded for Vault {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        match path.id("vault_id") {
            Some(id) => vaults::get(store, account, id).await,
            None => Ok(None),
        }
    }
}

/// Create a vault
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/vaults", tag = "Vaults",
    request_body(content = VaultTerms, example = json!({"name": "openai"})),
    responses(
        (status = 200, body = Envelope<VaultShown>),
        (status = 409, description = "The account has a vault of this name"),
    ))]
async fn create(
    account: Authorized<Account, AiGatewayWrite>,
    State(store): State<Store>,
    Body(terms): Body<VaultTerms>,
) -> ApiResult<VaultShown> {
    let terms = terms.checked(None)?;
    let mut tx = store.config_tx().await?;
    let created = create_vault(&mut tx, account.id, &terms, &account.caller.signature()).await?;
    tx.commit().await?;
    Ok(Envelope::of(created.into()))
}

/// List an account's vaults
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/vaults", tag = "Vaults", params(PageParams),
    responses((status = 200, body = Paged<VaultShown>)))]
async fn list(
    account: Authorized<Account, AiGatewayRead>,
    page: Page,
    State(store): State<Store>,
) -> PagedResult<VaultShown> {
    let window = Window::Page { limit: page.limit(), offset: page.offset() };
    let found = vaults::list(&store, account.id, window).await?;
    let total = vaults::count(&mut *store.pool.acquire().await?, account.id).await?;
    Ok(Paged::page(found.into_iter().map(VaultShown::from).collect(), page, total))
}

/// Show a vault
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}", tag = "Vaults",
    responses((status = 200, body = Envelope<VaultShown>)))]
async fn show(vault: Authorized<Vault, AiGatewayRead>) -> ApiResult<VaultShown> {
    Ok(Envelope::of(Vault::clone(&vault).into()))
}

/// Change a vault
///
/// What the body leaves out stays. Policies must follow a new name: they refer to secrets by it.
#[utoipa::path(patch, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}", tag = "Vaults",
    request_body = VaultTerms, responses((status = 200, body = Envelope<VaultShown>)))]
async fn change(
    vault: Authorized<Vault, AiGatewayWrite>,
    State(store): State<Store>,
    Body(terms): Body<VaultTerms>,
) -> ApiResult<VaultShown> {
    let mut tx = store.config_tx().await?;
    let before = vaults::find(&mut tx, vault.account, vault.id).await?.ok_or(ApiError::NotFound)?;
    let terms = terms.checked(Some(before.terms))?;
    let changed = update_vault(&mut tx, vault.account, vault.id, &terms, &vault.caller.signature()).await?;
    tx.commit().await?;
    Ok(Envelope::of(changed.into()))
}

/// Delete an empty vault
#[utoipa::path(delete, path = "/accounts/{account_id}/ai-gateway/vaults/{vault_id}", tag = "Vaults",
    responses(
        (status = 200, body = Envelope<VaultShown>),
        (status = 409, description = "There are secrets in it"),
    ))]
async fn delete(
    vault: Authorized<Vault, AiGatewayWrite>,
    State(store): State<Store>,
) -> ApiResult<VaultShown> {
    let mut tx = store.config_tx().await?;
    delete_vault(&mut tx, vault.account, vault.id).await?;
    tx.commit().await?;
    Ok(Envelope::of(Vault::clone(&vault).into()))
}

/// What is said about a vault.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultTerms {
    /// What policies call it: 1 to 255 letters, digits, `_`, `/`, `.` and `-`.
    name: Option<String>,
    /// For people, at most 255 bytes.
    description: Option<String>,
    /// For machines, at most 4096 bytes.
    metadata: Option<String>,
}

impl VaultTerms {
    fn checked(self, before: Option<Terms>) -> Result<Terms, Vec<Mistake>> {
        let Self { name, description, metadata } = self;
        checked(Terms::default(), before, name, description, metadata)
    }
}

/// The terms of a vault or a secret, if they are in order. A new one needs a name.
pub(super) fn checked(
    empty: Terms,
    before: Option<Terms>,
    name: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
) -> Result<Terms, Vec<Mistake>> {
    let before = before.unwrap_or(empty);
    let terms = Terms {
        name: name.unwrap_or(before.name),
        description: description.unwrap_or(before.description),
        metadata: metadata.unwrap_or(before.metadata),
    };
    let wrong = [
        ("name", NAME, is_name(&terms.name)),
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

pub(super) fn mistake(field: &str, message: &str) -> Mistake {
    Mistake { path: vec!["body".to_owned(), field.to_owned()], message: message.to_owned() }
}

/// A vault as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct VaultShown {
    #[schema(value_type = String)]
    id: VaultId,
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

impl From<Vault> for VaultShown {
    fn from(vault: Vault) -> Self {
        let Vault { id, terms, created_by, last_updated_by, created_at, modified_at } = vault;
        let Terms { name, description, metadata } = terms;
        Self { id, name, description, metadata, created_by, last_updated_by, created_at, modified_at }
    }
}
