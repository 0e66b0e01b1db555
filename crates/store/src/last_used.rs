//! When gateway tokens and the provider keys that belong to them were used last. Nobody decides it, so it is
//! no configuration and changes without a word to proxies.

use model::AccountId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A gateway token.
    GatewayToken,
    /// A provider key of a gateway token.
    BoundKey,
}

/// A use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Whose it is.
    pub account: AccountId,
    /// What was used.
    pub id: Uuid,
    /// When.
    pub at: OffsetDateTime,
}

/// Notes uses, each id at most once, and says of which that is done. One that somebody is changing is left
/// out rather than waited for: whoever notes this has money to post.
pub async fn note(store: &Store, kind: Kind, uses: &[Use]) -> Result<Vec<Uuid>, StoreError> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let table = match kind {
        Kind::GatewayToken => "gateway_tokens",
        Kind::BoundKey => "bound_keys",
    };
    let done = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "with used as (
             select kept.id, used.at from {table} kept
             join unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) used (account_id, id, at)
                 on kept.account_id = used.account_id and kept.id = used.id
             for no key update of kept skip locked)
         update {table} kept set last_used_at = greatest(kept.last_used_at, used.at)
         from used where kept.id = used.id returning kept.id"
    )))
    .bind(uses.iter().map(|one| one.account.0).collect::<Vec<_>>())
    .bind(uses.iter().map(|one| one.id).collect::<Vec<_>>())
    .bind(uses.iter().map(|one| one.at).collect::<Vec<_>>())
    .fetch_all(&store.pool)
    .await?;
    Ok(done)
}
