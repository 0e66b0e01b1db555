//! Accounts: `/accounts`.

use axum::extract::State;
use model::AccountId;
use model::account::Role;
use model::id::{GatewayInternalId, MemberId};
use serde::{Deserialize, Serialize};
use store::accounts;
use store::users::User;
use store::{ConfigTx, Store, gateways, members};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vault::Sealer;

use super::ApiState;
use super::authorized::{AccountOwn, AccountRead, AccountWrite, Authorized};
use super::body::{Body, Query};
use super::caller::Caller;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace, delete))
}

/// Who pays.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    /// 32 hex digits.
    #[schema(value_type = String)]
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// Always `standard`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Settings of Cloudflare's that have no counterpart here.
    pub settings: AccountSettings,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_on: OffsetDateTime,
}

/// Settings of Cloudflare's that have no counterpart here; always the same.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct AccountSettings {
    enforce_twofactor: bool,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        let accounts::Account { id, name, created_at } = account;
        Self { id, name, kind: "standard", settings: AccountSettings::default(), created_on: created_at }
    }
}

/// What an account is created with, or renamed by. Cloudflare's other members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AccountFields {
    /// What people call it: 1 to 100 characters.
    pub name: String,
}

/// An id alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// What was deleted.
    pub id: String,
}

#[derive(Deserialize)]
struct Filter {
    name: Option<String>,
}

/// List accounts
///
/// Those that the caller is a member of; for an API token, its own.
#[utoipa::path(get, path = "/accounts", tag = "Accounts",
    params(PageParams, ("name" = Option<String>, Query, description = "Only accounts of exactly this name")),
    responses((status = 200, body = Paged<Account>)))]
async fn list(
    caller: Caller,
    State(store): State<Store>,
    page: Page,
    Query(Filter { name }): Query<Filter>,
) -> PagedResult<Account> {
    let (found, total) = match &caller {
        Caller::Person { user, .. } => {
            accounts::list_of_user(&store, user.id, name.as_deref(), page.limit(), page.offset()).await?
        }
        Caller::Token(token) => {
            let own = accounts::get(&store, token.account).await?;
            let own = own.filter(|account| name.as_ref().is_none_or(|name| *name == account.name));
            let total = own.iter().count() as i64;
            (own.into_iter().filter(|_| page.page == 1).collect(), total)
        }
    };
    Ok(Paged::page(found.into_iter().map(Account::from).collect(), page, total))
}

/// Create an account
///
/// Its creator becomes its owner. Only a person can own an account.
#[utoipa::path(post, path = "/accounts", tag = "Accounts", request_body = AccountFields,
    responses((status = 200, body = Envelope<Account>)))]
async fn create(
    caller: Caller,
    State(store): State<Store>,
    State(sealer): State<Sealer>,
    Body(AccountFields { name }): Body<AccountFields>,
) -> ApiResult<Account> {
    let user = caller.person()?;
    let mut tx = store.config_tx().await?;
    let account = create_owned(&mut tx, &sealer, &name, user).await?;
    tx.commit().await?;
    Ok(Envelope::of(account))
}

/// Get an account
#[utoipa::path(get, path = "/accounts/{account_id}", tag = "Accounts",
    responses((status = 200, body = Envelope<Account>)))]
async fn get(account: Authorized<accounts::Account, AccountRead>) -> ApiResult<Account> {
    Ok(Envelope::of(accounts::Account::clone(&account).into()))
}

/// Rename an account
#[utoipa::path(put, path = "/accounts/{account_id}", tag = "Accounts", request_body = AccountFields,
    responses((status = 200, body = Envelope<Account>)))]
async fn replace(
    account: Authorized<accounts::Account, AccountWrite>,
    State(store): State<Store>,
    Body(AccountFields { name }): Body<AccountFields>,
) -> ApiResult<Account> {
    let renamed = accounts::rename(&store, account.id, checked_name(&name)?).await?;
    Ok(Envelope::of(renamed.ok_or(ApiError::NotFound)?.into()))
}

/// Delete an account
///
/// Its data keys go with it, so everything that it ever sealed is unreadable from then on, in
/// backups too. Usage records stay: they are evidence of charges.
#[utoipa::path(delete, path = "/accounts/{account_id}", tag = "Accounts",
    responses((status = 200, body = Envelope<Deleted>)))]
async fn delete(
    account: Authorized<accounts::Account, AccountOwn>,
    State(store): State<Store>,
) -> ApiResult<Deleted> {
    let mut tx = store.config_tx().await?;
    if !accounts::delete(&mut tx, account.id).await? {
        return Err(ApiError::NotFound);
    }
    tx.commit().await?;
    Ok(Envelope::of(Deleted { id: account.id.to_string() }))
}

/// Creates an account with new data keys, its first owner and its gateway `default`.
pub(super) async fn create_owned(
    tx: &mut ConfigTx,
    sealer: &Sealer,
    name: &str,
    owner: &User,
) -> Result<Account, ApiError> {
    let id = AccountId(Uuid::now_v7());
    let keys = sealer.new_account_keys(id)?;
    let account = accounts::create(tx, id, checked_name(name)?, &keys).await?;
    gateways::create_default(tx, id, GatewayInternalId(Uuid::now_v7())).await?;
    members::create(tx, MemberId(Uuid::now_v7()), id, owner.id, &owner.email, Role::Owner).await?;
    Ok(account.into())
}

fn checked_name(name: &str) -> Result<&str, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(ApiError::body("name", "expected 1 to 100 characters"));
    }
    Ok(name)
}
