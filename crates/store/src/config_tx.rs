//! The only way to change configuration: a transaction that writes the outbox with the change, so
//! that no change can be forgotten.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use model::resource::{ResourceId, ResourceKey};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::StoreError;

/// A change of configuration under way. Dropped without [`commit`](Self::commit), nothing happened.
pub struct ConfigTx {
    transaction: Transaction<'static, Postgres>,
    touched: BTreeSet<ResourceKey>,
}

impl ConfigTx {
    pub(crate) fn new(transaction: Transaction<'static, Postgres>) -> Self {
        Self { transaction, touched: BTreeSet::new() }
    }

    /// Says that proxies must read this resource again, or that it is gone.
    pub fn touch(&mut self, key: ResourceKey) {
        self.touched.insert(key);
    }

    /// Commits the change with its outbox entries, and says which number the revision has. `None` when
    /// nothing was touched.
    pub async fn commit(mut self) -> Result<Option<i64>, StoreError> {
        if self.touched.is_empty() {
            self.transaction.commit().await?;
            return Ok(None);
        }
        // Last of all changes: whoever holds this row's lock commits next, so a reader that sees
        // revision n sees everything that the revisions up to n changed.
        let revision: i64 =
            sqlx::query_scalar("update config_revision set number = number + 1 returning number")
                .fetch_one(&mut *self.transaction)
                .await?;
        let mut accounts = Vec::with_capacity(self.touched.len());
        let mut kinds = Vec::with_capacity(self.touched.len());
        let mut ids = Vec::with_capacity(self.touched.len());
        for key in &self.touched {
            let (kind, id) = row(*key);
            accounts.push(key.account.0);
            kinds.push(kind);
            ids.push(id);
        }
        sqlx::query(
            "insert into config_outbox (revision, account_id, kind, resource_id)
             select $1, * from unnest($2::uuid[], $3::text[], $4::uuid[])",
        )
        .bind(revision)
        .bind(accounts)
        .bind(kinds)
        .bind(ids)
        .execute(&mut *self.transaction)
        .await?;
        sqlx::query("select pg_notify('config', $1)")
            .bind(revision.to_string())
            .execute(&mut *self.transaction)
            .await?;
        self.transaction.commit().await?;
        Ok(Some(revision))
    }
}

impl Deref for ConfigTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for ConfigTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

/// A key as the outbox writes it: the kind, and the resource's id, which for an account and for terms
/// is the account's.
fn row(key: ResourceKey) -> (&'static str, Uuid) {
    match key.kind {
        ResourceId::Account => ("account", key.account.0),
        ResourceId::Gateway(id) => ("gateway", id.0),
        ResourceId::GatewayToken(id) => ("gateway_token", id.0),
        ResourceId::ApiToken(id) => ("api_token", id.0),
        ResourceId::ProviderKey(id) => ("provider_key", id.0),
        ResourceId::OperatorKey(id) => ("operator_key", id.0),
        ResourceId::Terms => ("terms", key.account.0),
        ResourceId::PriceRule(id) => ("price_rule", id.0),
        ResourceId::Endpoint(id) => ("endpoint", id.0),
        ResourceId::VaultSecret(id) => ("vault_secret", id.0),
        ResourceId::BoundKey(id) => ("bound_key", id.0),
    }
}
