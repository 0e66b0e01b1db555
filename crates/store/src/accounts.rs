//! Accounts: who pays, and whose data keys these are.

use model::AccountId;
use model::id::{
    ApiTokenId, BoundKeyId, EndpointId, GatewayInternalId, GatewayTokenId, PriceRuleId, ProviderKeyId,
    UserId, VaultSecretId,
};
use model::resource::{ResourceId, ResourceKey};
use model::terms::AccountTerms;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConfigTx, Store, StoreError, endpoints};
pub use model::account::SealedKeys;

/// Who pays.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    created_at: OffsetDateTime,
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        let Row { id, name, created_at } = row;
        Self { id: AccountId(id), name, created_at }
    }
}

/// Creates an account with its data keys.
pub async fn create(
    tx: &mut ConfigTx,
    id: AccountId,
    name: &str,
    keys: &SealedKeys,
) -> Result<Account, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into accounts (id, name, credentials_key, contents_key) values ($1, $2, $3, $4)
         returning id, name, created_at",
    )
    .bind(id.0)
    .bind(name)
    .bind(&keys.credentials)
    .bind(&keys.contents)
    .fetch_one(&mut **tx)
    .await?;
    tx.touch(ResourceKey { account: id, kind: ResourceId::Account });
    Ok(row.into())
}

/// An account.
pub async fn get(store: &Store, id: AccountId) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> = sqlx::query_as("select id, name, created_at from accounts where id = $1")
        .bind(id.0)
        .fetch_optional(&store.pool)
        .await?;
    Ok(row.map(Account::from))
}

/// The account's sealed data keys.
pub async fn sealed_keys(
    connection: &mut PgConnection,
    id: AccountId,
) -> Result<Option<SealedKeys>, StoreError> {
    let keys: Option<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("select credentials_key, contents_key from accounts where id = $1")
            .bind(id.0)
            .fetch_optional(connection)
            .await?;
    Ok(keys.map(|(credentials, contents)| SealedKeys { credentials, contents }))
}

/// On what terms an account buys and spends credits.
pub async fn terms(connection: &mut PgConnection, id: AccountId) -> Result<Option<AccountTerms>, StoreError> {
    let terms: Option<Json<AccountTerms>> = sqlx::query_scalar("select terms from accounts where id = $1")
        .bind(id.0)
        .fetch_optional(connection)
        .await?;
    Ok(terms.map(|Json(terms)| terms))
}

/// The same, for somebody who is about to change them: nobody else changes them meanwhile.
pub async fn lock_terms(tx: &mut ConfigTx, id: AccountId) -> Result<Option<AccountTerms>, StoreError> {
    let terms: Option<Json<AccountTerms>> =
        sqlx::query_scalar("select terms from accounts where id = $1 for no key update")
            .bind(id.0)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(terms.map(|Json(terms)| terms))
}

/// Replaces an account's terms.
pub async fn set_terms(tx: &mut ConfigTx, id: AccountId, terms: &AccountTerms) -> Result<(), StoreError> {
    sqlx::query("update accounts set terms = $2 where id = $1")
        .bind(id.0)
        .bind(Json(terms))
        .execute(&mut **tx)
        .await?;
    tx.touch(ResourceKey { account: id, kind: ResourceId::Account });
    Ok(())
}

/// The accounts that a user is a member of, by name, and how many there are in all.
pub async fn list_of_user(
    store: &Store,
    user: UserId,
    name: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Account>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select accounts.id, accounts.name, accounts.created_at
         from accounts join members on members.account_id = accounts.id
         where members.user_id = $1 and ($2::text is null or accounts.name = $2)
         order by accounts.name, accounts.id limit $3 offset $4",
    )
    .bind(user.0)
    .bind(name)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from accounts join members on members.account_id = accounts.id
         where members.user_id = $1 and ($2::text is null or accounts.name = $2)",
    )
    .bind(user.0)
    .bind(name)
    .fetch_one(&store.pool)
    .await?;
    Ok((rows.into_iter().map(Account::from).collect(), total))
}

/// Renames an account. Its name is nothing that proxies know.
pub async fn rename(store: &Store, id: AccountId, name: &str) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("update accounts set name = $2 where id = $1 returning id, name, created_at")
            .bind(id.0)
            .bind(name)
            .fetch_optional(&store.pool)
            .await?;
    Ok(row.map(Account::from))
}

/// Deletes an account, its data keys and with them the meaning of all they sealed. Its usage records
/// stay: they are evidence of charges.
pub async fn delete(tx: &mut ConfigTx, id: AccountId) -> Result<bool, StoreError> {
    // Locked first, so that nothing can be added below the account while its resources are named.
    let found: Option<Uuid> = sqlx::query_scalar("select id from accounts where id = $1 for update")
        .bind(id.0)
        .fetch_optional(&mut **tx)
        .await?;
    if found.is_none() {
        return Ok(false);
    }
    for key in resources(tx, id).await? {
        tx.touch(key);
    }
    sqlx::query("delete from accounts where id = $1").bind(id.0).execute(&mut **tx).await?;
    tx.touch(ResourceKey { account: id, kind: ResourceId::Account });
    Ok(true)
}

async fn resources(connection: &mut PgConnection, id: AccountId) -> Result<Vec<ResourceKey>, StoreError> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select 'gateway', internal_id from gateways where account_id = $1
         union all select 'gateway_token', id from gateway_tokens where account_id = $1
         union all select 'provider_key', id from provider_keys where account_id = $1
         union all select 'bound_key', id from bound_keys where account_id = $1
         union all select 'vault_secret', id from vault_secrets where account_id = $1
         union all select 'api_token', id from api_tokens where account_id = $1
         union all select 'price_rule', id from price_rules where account_id = $1",
    )
    .bind(id.0)
    .fetch_all(&mut *connection)
    .await?;
    let hosts: Vec<Uuid> = sqlx::query_scalar("select id from endpoints where account_id = $1")
        .bind(id.0)
        .fetch_all(connection)
        .await?;
    let own = rows.into_iter().map(|(kind, resource)| match kind.as_str() {
        "gateway" => ResourceId::Gateway(GatewayInternalId(resource)),
        "gateway_token" => ResourceId::GatewayToken(GatewayTokenId(resource)),
        "provider_key" => ResourceId::ProviderKey(ProviderKeyId(resource)),
        "bound_key" => ResourceId::BoundKey(BoundKeyId(resource)),
        "vault_secret" => ResourceId::VaultSecret(VaultSecretId(resource)),
        "price_rule" => ResourceId::PriceRule(PriceRuleId(resource)),
        _ => ResourceId::ApiToken(ApiTokenId(resource)),
    });
    let own = own.map(|kind| ResourceKey { account: id, kind });
    Ok(own.chain(hosts.into_iter().map(|id| endpoints::key(EndpointId(id)))).collect())
}
