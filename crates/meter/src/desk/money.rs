//! What the desk tells Redis of money, and asks of it.

use std::collections::HashMap;

use model::{AccountId, Nanos, Shard};
use redis::{Cmd, FromRedisValue as _, Value};
use uuid::Uuid;

use super::eras::KEPT;
use super::{Desk, DeskError, Place, Standing};
use crate::protocol::calls::id;
use crate::protocol::{Script, key};

/// Accounts of one shard that are asked for at once.
const WANTED: usize = 1000;

/// Something that is to be taken from what an account has free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collect {
    /// A record's id, or a withdrawal's own.
    pub id: Uuid,
    /// From whom. All accounts of one call are of one shard.
    pub account: AccountId,
    /// How much is missing.
    pub missing: Nanos,
}

/// A withdrawal that was collected, and then committed or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// As it was collected.
    pub id: Uuid,
    /// From whom.
    pub account: AccountId,
    /// What Postgres did not take after all.
    pub back: Nanos,
}

/// What Postgres has committed of one shard's stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Posting {
    /// Up to where.
    pub place: Place,
    /// What became of the money.
    pub accounts: Vec<PostedAccount>,
    /// What became of the counts.
    pub counters: Vec<PostedCounter>,
    /// Ids whose collecting is done with.
    pub collected: Vec<Uuid>,
}

impl Posting {
    /// A position and nothing else.
    pub fn of(place: Place) -> Self {
        Self { place, accounts: Vec::new(), counters: Vec::new(), collected: Vec::new() }
    }
}

/// What a committed batch means for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedAccount {
    /// Which.
    pub account: AccountId,
    /// No longer unposted: everything that the batch's records had paid, duplicates included, and
    /// what was collected for them.
    pub unposted: Nanos,
    /// The part of it that the ledger did not take, because a record was known, or was charged less than
    /// had been taken: free again.
    pub back: Nanos,
}

/// What a committed batch means for a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedCounter {
    /// Whose.
    pub account: AccountId,
    /// Its id.
    pub counter: String,
    /// Which window.
    pub window: i64,
    /// What Postgres counts by now that the batch's records had counted in Redis: see
    /// [`counted`](super::counted). It only matters before the account is loaded, so a desk that has loaded
    /// the account itself may leave it zero.
    pub there: i64,
    /// What was counted twice, because a record was known: counts less.
    pub back: i64,
}

/// What has arrived in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Which. All accounts of one call are of one shard.
    pub account: AccountId,
    /// How much.
    pub amount: Nanos,
    /// The account's credits are numbered without gaps.
    pub sequence: u64,
}

/// What became of a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credited {
    /// It can be spent.
    Free,
    /// It was there before, or the account is not loaded and will have it when it is.
    Known,
    /// One before it is missing.
    Gap,
}

/// What an account has, as Postgres had it at the place that is named with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Which.
    pub account: AccountId,
    /// All that can be spent: credits and promotional credits.
    pub balance: Nanos,
    /// The sequence of the last credit that is in the balance.
    pub sequence: u64,
    /// What is counted in Postgres, of windows that are not over or only just.
    pub counters: Vec<CounterValue>,
}

/// A count in Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterValue {
    /// The counter's id.
    pub counter: String,
    /// Which window.
    pub window: i64,
    /// How much.
    pub value: i64,
}

/// What Redis says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Whether Postgres has said what there is.
    pub is_loaded: bool,
    /// What can be set aside. Nothing is known of it before the account is loaded.
    pub free: Nanos,
    /// What is set aside.
    pub held: Nanos,
    /// What was paid and is not in Postgres yet. While nothing is pending, free, held and unposted of a
    /// loaded account add up to its balance.
    pub unposted: Nanos,
    /// The sequence of the last credit.
    pub applied: u64,
    /// The part of `held` that leases could give back.
    pub leased: Nanos,
}

/// What Redis says of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of its present window.
    pub window: i64,
    /// What is counted in it, with what is reserved.
    pub count: i64,
    /// What was counted in the one before.
    pub former: i64,
}

impl Desk {
    /// Takes what is missing, as far as it is free; answers how much for each. Nothing is taken of an
    /// account that is not loaded: its balance in Postgres is not shared with anybody. Repeating it gives
    /// the same answers until the ids are posted or withdrawn. `place` is where Postgres stands; if Redis
    /// has heard of a later position, the answer is [`DeskError::Moved`].
    pub async fn collect(&mut self, place: Place, asked: &[Collect]) -> Result<Vec<Nanos>, DeskError> {
        let mut command = self.call(place, Script::Collect);
        command.arg(place.position.to_string()).arg(asked.len());
        for Collect { id: cause, account, missing } in asked {
            id(&mut command, *cause);
            id(&mut command, account.0);
            command.arg(missing.0);
        }
        let taken: Vec<i64> = command.query_async(&mut self.commands).await?;
        Ok(taken.into_iter().map(Nanos).collect())
    }

    /// Reports withdrawals that are committed, or given up.
    pub async fn withdrawn(&mut self, place: Place, withdrawals: &[Withdrawal]) -> Result<(), DeskError> {
        let mut command = self.call(place, Script::Withdrawn);
        command.arg(withdrawals.len());
        for Withdrawal { id: cause, account, back } in withdrawals {
            id(&mut command, *cause);
            id(&mut command, account.0);
            command.arg(back.0);
        }
        Ok(command.query_async(&mut self.commands).await?)
    }

    /// Reports what Postgres has, so that proxies free their spools.
    pub async fn posted(&mut self, places: &[Place]) -> Result<Vec<Standing>, DeskError> {
        let postings: Vec<Posting> = places.iter().copied().map(Posting::of).collect();
        self.post(&postings).await
    }

    /// Reports what Postgres has, and what that means for accounts and counters. A position that was
    /// reached before changes nothing, so a desk repeats what its predecessor may not have said.
    pub async fn post(&mut self, postings: &[Posting]) -> Result<Vec<Standing>, DeskError> {
        let mut commands = redis::pipe();
        for Posting { place, accounts, counters, collected } in postings {
            let trim = place.position.milliseconds.saturating_sub(KEPT.as_millis() as u64);
            let mut command = self.call(*place, Script::Posted);
            command.arg(place.position.to_string()).arg(format!("{trim}-0")).arg(accounts.len());
            for PostedAccount { account, unposted, back } in accounts {
                id(&mut command, account.0);
                command.arg(unposted.0).arg(back.0);
            }
            command.arg(counters.len());
            for PostedCounter { account, counter, window, there, back } in counters {
                id(&mut command, account.0);
                command.arg(counter).arg(window).arg(there).arg(back);
            }
            command.arg(collected.len());
            collected.iter().for_each(|cause| id(&mut command, *cause));
            commands.add_command(command);
        }
        let answers = self.ask(commands).await?;
        answers
            .into_iter()
            .map(|answer| match answer {
                Ok(_) => Ok(Standing::Open),
                Err(DeskError::EraIsOver) => Ok(Standing::Over),
                Err(error) => Err(error),
            })
            .collect()
    }

    /// Lets what has arrived be spent.
    pub async fn credit(&mut self, place: Place, credits: &[Credit]) -> Result<Vec<Credited>, DeskError> {
        let mut command = self.call(place, Script::Credit);
        command.arg(credits.len());
        for Credit { account, amount, sequence } in credits {
            id(&mut command, account.0);
            command.arg(amount.0).arg(sequence);
        }
        let answers: Vec<i64> = command.query_async(&mut self.commands).await?;
        let read = |answer| match answer {
            1 => Credited::Free,
            0 => Credited::Known,
            _ => Credited::Gap,
        };
        Ok(answers.into_iter().map(read).collect())
    }

    /// Says what accounts have. `place` is where Postgres stood when they were read; if Redis has heard of
    /// a later position since, the answer is [`DeskError::Moved`]. Says of each whether it was new.
    pub async fn load(&mut self, place: Place, loads: &[Load]) -> Result<Vec<bool>, DeskError> {
        let mut command = self.call(place, Script::Load);
        command.arg(place.position.to_string()).arg(loads.len());
        for Load { account, balance, sequence, counters } in loads {
            id(&mut command, account.0);
            command.arg(balance.0).arg(sequence).arg(counters.len());
            for CounterValue { counter, window, value } in counters {
                command.arg(counter).arg(window).arg(value);
            }
        }
        Ok(command.query_async(&mut self.commands).await?)
    }

    /// Accounts that somebody waits for, by shard: some of them where there are very many.
    pub async fn wanted(&mut self, eras: &[(Shard, u64)]) -> Result<Vec<Vec<AccountId>>, DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("SRANDMEMBER").arg(key(*shard, *era, "want")).arg(WANTED);
        }
        let found: Vec<Vec<String>> = self.query(&commands).await?;
        let ids = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(found.into_iter().map(ids).collect())
    }

    /// What Redis says of accounts of one shard.
    pub async fn figures(
        &mut self,
        shard: Shard,
        era: u64,
        accounts: &[AccountId],
    ) -> Result<Vec<Figures>, DeskError> {
        let mut commands = redis::pipe();
        for account in accounts {
            commands.cmd("HGETALL").arg(key(shard, era, &format!("a:{account}")));
        }
        let found: Vec<HashMap<String, i64>> = self.query(&commands).await?;
        Ok(found.into_iter().map(figures).collect())
    }

    /// What Redis says of an account's counters; nothing of those that it does not know.
    pub async fn counts(
        &mut self,
        shard: Shard,
        era: u64,
        account: AccountId,
        counters: &[&str],
    ) -> Result<Vec<Option<Count>>, DeskError> {
        let mut commands = redis::pipe();
        for counter in counters {
            let name = format!("c:{account}:{counter}");
            commands.cmd("HMGET").arg(key(shard, era, &name)).arg(&["i", "c", "p"]);
        }
        let answers = self.ask(commands).await?;
        let read = |answer: Result<Value, DeskError>| {
            let found = Vec::<Option<i64>>::from_redis_value(answer?).map_err(redis::RedisError::from)?;
            let at = |index: usize| found.get(index).copied().flatten();
            Ok(at(0).map(|window| Count { window, count: at(1).unwrap_or(0), former: at(2).unwrap_or(0) }))
        };
        answers.into_iter().map(read).collect()
    }

    /// A call of the desk: with its fencing number.
    fn call(&mut self, place: Place, script: Script) -> Cmd {
        let mut command = self.scripts(place.shard, place.era).call(script);
        command.arg(self.fence).to_owned()
    }
}

/// An account as its hash has it.
pub(super) fn figures(fields: HashMap<String, i64>) -> Figures {
    let number = |name| fields.get(name).copied().unwrap_or(0);
    Figures {
        is_loaded: fields.contains_key("loaded"),
        free: Nanos(number("free")),
        held: Nanos(number("held")),
        unposted: Nanos(number("unposted")),
        applied: u64::try_from(number("applied")).unwrap_or(0),
        leased: Nanos(number("leased")),
    }
}
