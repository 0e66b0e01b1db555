//! What Redis should know of accounts, for whoever compares.

use std::collections::{BTreeMap, HashSet};

use model::money::Nanos;
use model::{AccountId, Shard};
use uuid::Uuid;

use super::outbox::Credit;
use crate::{Store, StoreError, outbox};

/// An account that ever had money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// Whose.
    pub account: AccountId,
    /// All that is in its credits and promotions.
    balance: Nanos,
    /// What has arrived and Redis may not have been told of.
    arriving: Vec<Credit>,
    /// What has left and Redis may not have been told of.
    leaving: Nanos,
}

impl Mirrored {
    /// What Redis should show in all, if the last deposit that it knows is this one.
    pub fn balance_at(&self, sequence: u64) -> Nanos {
        let unknown = |credit: &&Credit| u64::try_from(credit.sequence).is_ok_and(|number| number > sequence);
        let arriving = self.arriving.iter().filter(unknown).map(|credit| credit.amount).sum();
        self.balance - arriving + self.leaving
    }
}

/// All accounts or these, by shard and era, as of one moment.
pub async fn mirrored(
    store: &Store,
    accounts: Option<&HashSet<AccountId>>,
) -> Result<BTreeMap<(Shard, u64), Vec<Mirrored>>, StoreError> {
    let mut tx = outbox::read_only(store).await?;
    let ids: Option<Vec<Uuid>> = accounts.map(|accounts| accounts.iter().map(|account| account.0).collect());
    let credits: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "select account_id, sequence, amount from ledger_credits
         where $1::uuid[] is null or account_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    let mut arriving: BTreeMap<Uuid, Vec<Credit>> = BTreeMap::new();
    for (account, sequence, amount) in credits {
        let credit = Credit { account: AccountId(account), sequence, amount: Nanos(amount) };
        arriving.entry(account).or_default().push(credit);
    }
    let rows: Vec<(Uuid, i64, i64, i64)> = sqlx::query_as(
        "with leaving as (
             select account_id, era, sum(collected - given_back) amount from ledger_withdrawals
             where state = 'decided' group by account_id, era)
         select a.account_id, m.era, sum(a.balance)::bigint,
                coalesce(max(l.amount) filter (where a.kind = 'credits'), 0)::bigint
         from ledger_accounts a join money_shards m on m.shard = a.shard
         left join leaving l on l.account_id = a.account_id and l.era = m.era
         where a.kind in ('credits', 'promotion') and ($1::uuid[] is null or a.account_id = any($1))
         group by a.account_id, m.era",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    let mut mirrored: BTreeMap<(Shard, u64), Vec<Mirrored>> = BTreeMap::new();
    for (id, era, balance, leaving) in rows {
        let era = u64::try_from(era).map_err(|_| StoreError::Unreadable("era"))?;
        let account = AccountId(id);
        mirrored.entry((account.shard(), era)).or_default().push(Mirrored {
            account,
            balance: Nanos(balance),
            arriving: arriving.remove(&id).unwrap_or_default(),
            leaving: Nanos(leaving),
        });
    }
    Ok(mirrored)
}
