//! Telling Redis of money that has arrived, from the outbox that was written with it.

use std::collections::BTreeMap;

use meter::desk::{Credit, Credited};
use model::Shard;
use store::ledger;
use tracing::error;

use super::{Ledger, LedgerError, metrics};

/// Entries of the outbox at once: few enough for Redis to answer others soon.
const TOGETHER: i64 = 300;

impl Ledger {
    /// Passes on all that has arrived. What cannot be told, because an era is not open yet, waits, and what
    /// came later does not wait for it.
    pub(super) async fn pass_on_credits(&mut self) -> Result<(), LedgerError> {
        let mut after = None;
        loop {
            let arrived = ledger::unacknowledged_credits(&self.store, after, TOGETHER).await?;
            let Some(last) = arrived.last() else { return Ok(()) };
            after = Some((last.account, last.sequence));
            self.pass_on(arrived).await?;
        }
    }

    async fn pass_on(&mut self, arrived: Vec<ledger::Credit>) -> Result<(), LedgerError> {
        let mut by_shard: BTreeMap<Shard, Vec<ledger::Credit>> = BTreeMap::new();
        for credit in arrived {
            by_shard.entry(credit.account.shard()).or_default().push(credit);
        }
        for (shard, arrived) in by_shard {
            let Some(place) = self.open_place(shard) else { continue };
            let credits: Vec<Credit> = arrived.iter().map(credit).collect();
            let answers = self.redis.credit(place, &credits).await?;
            self.points.reached("desk_credited")?;
            let mut told = Vec::new();
            for (credit, answer) in arrived.into_iter().zip(answers) {
                if answer == Credited::Gap {
                    metrics::gap();
                    error!(
                        account.id = %credit.account,
                        sequence = credit.sequence,
                        "Redis lacks a deposit before this one; the account gets it with the next era"
                    );
                } else {
                    told.push(credit);
                }
            }
            ledger::acknowledge_credits(&self.store, &told).await?;
        }
        Ok(())
    }
}

fn credit(credit: &ledger::Credit) -> Credit {
    let ledger::Credit { account, sequence, amount } = *credit;
    Credit { account, amount, sequence: u64::try_from(sequence).unwrap_or_default() }
}
