//! What Redis should know of accounts, for whoever compares.

use std::collections::BTreeMap;

use model::money::Nanos;
use model::{AccountId, Shard};
use uuid::Uuid;

use super::outbox::Credit;
use crate::shards::{self, MoneyShard};
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
    /// How often money has arrived.
    arrivals: u64,
}

/// A shard's accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredShard {
    /// Which shard.
    pub shard: Shard,
    /// The era whose stream is being read.
    pub era: u64,
    /// The last entry of it that is posted.
    pub position: String,
    /// Those that were asked for.
    pub accounts: BTreeMap<AccountId, Mirrored>,
}

impl Mirrored {
    /// What Redis should show in all, if the last deposit that it knows is this one.
    pub fn balance_at(&self, sequence: u64) -> Nanos {
        let unknown = |credit: &&Credit| u64::try_from(credit.sequence).is_ok_and(|number| number > sequence);
        let arriving = self.arriving.iter().filter(unknown).map(|credit| credit.amount).sum();
        self.balance - arriving + self.leaving
    }

    /// How many deposits Redis will never hear of, if the last that it knows is this one: nobody is left to
    /// tell it.
    pub fn lost_after(&self, sequence: u64) -> u64 {
        let waiting = self.arriving.iter().filter_map(|credit| u64::try_from(credit.sequence).ok());
        let waiting = waiting.filter(|number| *number > sequence).count() as u64;
        self.arrivals.saturating_sub(sequence).saturating_sub(waiting)
    }
}

/// Every shard, with all accounts that ever had money or with these, whether they had or not; as of one
/// moment.
pub async fn mirrored(
    store: &Store,
    accounts: Option<&[AccountId]>,
) -> Result<Vec<MirroredShard>, StoreError> {
    let mut tx = outbox::read_only(store).await?;
    let ids: Option<Vec<Uuid>> = accounts.map(|accounts| accounts.iter().map(|account| account.0).collect());
    let mut shards: BTreeMap<Shard, MirroredShard> = BTreeMap::new();
    for row in shards::standing(&mut tx).await? {
        let MoneyShard { shard, era, position, .. } = row;
        shards.insert(shard, MirroredShard { shard, era, position, accounts: BTreeMap::new() });
    }
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
         select a.account_id, sum(a.balance)::bigint, max(a.credit_sequence),
                coalesce(max(l.amount) filter (where a.kind = 'credits'), 0)::bigint
         from ledger_accounts a join money_shards m on m.shard = a.shard
         left join leaving l on l.account_id = a.account_id and l.era = m.era
         where a.kind in ('credits', 'promotion') and ($1::uuid[] is null or a.account_id = any($1))
         group by a.account_id",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    let nothing = ids.into_iter().flatten().map(|id| (id, 0, 0, 0));
    for (id, balance, arrivals, leaving) in rows.into_iter().chain(nothing) {
        let account = AccountId(id);
        let Some(shard) = shards.get_mut(&account.shard()) else { continue };
        shard.accounts.entry(account).or_insert_with(|| Mirrored {
            account,
            balance: Nanos(balance),
            arriving: arriving.remove(&id).unwrap_or_default(),
            leaving: Nanos(leaving),
            arrivals: u64::try_from(arrivals).unwrap_or_default(),
        });
    }
    Ok(shards.into_values().collect())
}
