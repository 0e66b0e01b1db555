//! Telling Redis what accounts have: on their first use in an era, between two batches, so that nothing
//! is on its way meanwhile.

use std::collections::BTreeMap;

use meter::desk::{CounterValue, Load};
use model::{AccountId, Shard};
use store::ledger::{self, Standing, Used};

use super::{Ledger, LedgerError};

/// Accounts that are read together.
const TOGETHER: usize = 100;
/// Counters in one call, give or take an account, so that Redis answers others soon.
const COUNTERS: usize = 300;

impl Ledger {
    /// Loads the accounts that somebody waits for.
    pub(super) async fn load_wanted(&mut self) -> Result<(), LedgerError> {
        let eras: Vec<_> = self.open_places().iter().map(|place| (place.shard, place.era)).collect();
        if eras.is_empty() {
            return Ok(());
        }
        let wanted = self.redis.wanted(&eras).await?.concat();
        self.load(&wanted).await
    }

    /// Loads these accounts unless this desk has done so in this era.
    pub(super) async fn ensure_loaded(&mut self, accounts: &[AccountId]) -> Result<(), LedgerError> {
        let mut new: Vec<AccountId> =
            accounts.iter().filter(|account| !self.loaded.contains(account)).copied().collect();
        new.sort();
        new.dedup();
        self.load(&new).await
    }

    async fn load(&mut self, accounts: &[AccountId]) -> Result<(), LedgerError> {
        let mut by_shard: BTreeMap<Shard, Vec<AccountId>> = BTreeMap::new();
        for account in accounts {
            by_shard.entry(account.shard()).or_default().push(*account);
        }
        for (shard, accounts) in by_shard {
            let Some(place) = self.known_place(shard) else { continue };
            for accounts in accounts.chunks(TOGETHER) {
                let loads = self.loads(accounts).await?;
                for loads in in_calls(&loads) {
                    self.redis.load(place, loads).await?;
                    self.loaded.extend(loads.iter().map(|load| load.account));
                    self.points.reached("desk_loaded")?;
                }
            }
        }
        Ok(())
    }

    /// What these accounts have, as of one moment.
    async fn loads(&self, accounts: &[AccountId]) -> Result<Vec<Load>, LedgerError> {
        let (standings, used) = ledger::loads(&self.store, accounts).await?;
        let mut counters: BTreeMap<AccountId, Vec<CounterValue>> = BTreeMap::new();
        for Used { account, counter, measure: _, window, amount } in used {
            let value = CounterValue { counter, window, value: amount };
            counters.entry(account).or_default().push(value);
        }
        let load = |Standing { account, balance, sequence }| Load {
            account,
            balance,
            sequence: u64::try_from(sequence).unwrap_or_default(),
            counters: counters.remove(&account).unwrap_or_default(),
        };
        Ok(standings.into_iter().map(load).collect())
    }
}

/// As much as goes into one call.
fn in_calls(loads: &[Load]) -> impl Iterator<Item = &[Load]> {
    let mut counters = 0;
    loads.chunk_by(move |one, next| {
        counters += one.counters.len();
        let has_room = counters + next.counters.len() <= COUNTERS;
        if !has_room {
            counters = 0;
        }
        has_room
    })
}
