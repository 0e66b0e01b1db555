//! Working off withdrawals: what is to leave is set aside in Redis, given away in Postgres, and then no
//! longer held in Redis.

use meter::desk::{Collect, Withdrawal as Told};
use model::Nanos;
use store::ledger::{self, Decision, State, Withdrawal, Withdrawn};
use store::{StoreError, shards};
use tracing::info;

use super::{Ledger, LedgerError};

/// Withdrawals that are looked at together.
const TOGETHER: i64 = 100;

impl Ledger {
    /// Works off what is due. It may be repeated from any point: what was set aside is remembered under
    /// the withdrawal's id, and what was decided is not decided again.
    pub(super) async fn work_off_withdrawals(&mut self) -> Result<(), LedgerError> {
        for withdrawal in ledger::open_withdrawals(&self.store, TOGETHER).await? {
            // In an era that is not open yet nothing can be set aside, and nothing is lost by waiting.
            if self.open_place(withdrawal.account.shard()).is_none() {
                continue;
            }
            let withdrawn = match (withdrawal.state, withdrawal.outcome) {
                (State::Requested, _) => self.withdraw(&withdrawal).await?,
                (State::Decided, Some(withdrawn)) => withdrawn,
                (State::Decided, None) | (State::Finished, _) => continue,
            };
            self.finish(&withdrawal, withdrawn).await?;
        }
        Ok(())
    }

    /// Tells Redis of withdrawals that another desk has decided, before an account is loaded without them.
    pub(super) async fn repeat_withdrawals(&mut self) -> Result<(), LedgerError> {
        for withdrawal in ledger::open_withdrawals(&self.store, i64::MAX).await? {
            if let (State::Decided, Some(withdrawn)) = (withdrawal.state, withdrawal.outcome) {
                self.finish(&withdrawal, withdrawn).await?;
            }
        }
        Ok(())
    }

    async fn withdraw(&mut self, withdrawal: &Withdrawal) -> Result<Withdrawn, LedgerError> {
        let Withdrawal { id, account, .. } = *withdrawal;
        self.ensure_loaded(&[account]).await?;
        let place = self.open_place(account.shard()).ok_or(LedgerError::Succeeded)?;
        let missing = withdrawal.wanted();
        let collected = if missing > Nanos::ZERO {
            let taken = self.redis.collect(place, &[Collect { id, account, missing }]).await?;
            taken.first().copied().unwrap_or_default()
        } else {
            Nanos::ZERO
        };
        self.points.reached("desk_set_aside")?;
        let mut tx = self.store.pool.begin().await.map_err(StoreError::from)?;
        shards::keep(&mut tx, self.fence, place.shard).await?;
        let decision = Decision { collected, era: place.era };
        let withdrawn = ledger::decide_withdrawal(&mut tx, withdrawal, decision).await?;
        tx.commit().await.map_err(StoreError::from)?;
        self.points.reached("desk_withdrew")?;
        info!(
            account.id = %account,
            cause = withdrawal.cause.kind.as_str(),
            taken = %withdrawn.taken,
            owed = %withdrawn.owed,
            "{} dollars left an account",
            withdrawn.taken
        );
        Ok(withdrawn)
    }

    /// Tells Redis, unless the era has ended: with it is forgotten what was set aside in it. That it has is
    /// for the present desk to say, who alone knows which era it is.
    async fn finish(&mut self, withdrawal: &Withdrawal, withdrawn: Withdrawn) -> Result<(), LedgerError> {
        let shard = withdrawal.account.shard();
        let place = self.place(shard).copied();
        if let Some(place) = place.filter(|place| place.era == withdrawn.era) {
            let told = Told { id: withdrawal.id, account: withdrawal.account, back: withdrawn.given_back };
            self.redis.withdrawn(place, &[told]).await?;
            self.points.reached("desk_told_withdrawal")?;
        }
        let mut tx = self.store.pool.begin().await.map_err(StoreError::from)?;
        shards::keep(&mut tx, self.fence, shard).await?;
        ledger::finish_withdrawal(&mut tx, withdrawal.id).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }
}
