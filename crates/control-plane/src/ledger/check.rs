//! The check of all books: the ledger by itself, and what Redis says of the same accounts.
//!
//! Money is on its way while it is compared, so an account is looked at as of one moment in Redis and as of
//! one moment in Postgres, and the two count only where the same entries were posted in both. Nobody is
//! stopped meanwhile. What was right at one such look is right; what was wrong at every one of them is told.

mod comparison;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use comparison::differences;
use meter::desk::{Desk, DeskError, Figures, Place, Standing};
use model::{AccountId, Nanos, Secret, Shard};
use store::ledger::{self, Check, Finding, MirroredShard};
use store::{Store, StoreError};
use uuid::Uuid;

/// How often what differs is looked at, and how long it has in between to come right.
const LOOKS: usize = 20;
const BETWEEN: Duration = Duration::from_millis(50);
/// Accounts in one look.
const TOGETHER: usize = 200;

/// Checks the ledger, and compares it with Redis.
pub async fn checked(store: &Store, redis_url: &Secret) -> anyhow::Result<Check> {
    let mut check = ledger::check(store).await?;
    match compared(store, redis_url).await {
        Ok(findings) => check.findings.extend(findings),
        Err(Uncomparable::Redis(error)) => check.findings.push(Finding {
            rule: "redis_does_not_answer",
            subject: "Redis".to_owned(),
            detail: format!("{error}; its figures were not compared"),
        }),
        Err(Uncomparable::Postgres(error)) => return Err(error.into()),
    }
    Ok(check)
}

enum Uncomparable {
    Redis(DeskError),
    Postgres(StoreError),
}

impl From<DeskError> for Uncomparable {
    fn from(error: DeskError) -> Self {
        Self::Redis(error)
    }
}

impl From<StoreError> for Uncomparable {
    fn from(error: StoreError) -> Self {
        Self::Postgres(error)
    }
}

/// Accounts that have not been seen to be right, and what was wrong when last seen; nothing of those that
/// could not be compared yet.
type Suspects = BTreeMap<AccountId, Option<Vec<Finding>>>;

/// What differed at every look.
async fn compared(store: &Store, redis_url: &Secret) -> Result<Vec<Finding>, Uncomparable> {
    let mut redis = Desk::connect(redis_url).await?;
    let mirrored = ledger::mirrored(store, None).await?;
    let open = open_eras(&mut redis, &mirrored).await?;
    let holders = redis.holders(&open.iter().map(|(shard, era)| (*shard, *era)).collect::<Vec<_>>()).await?;
    let mut suspects = suspicious(&mut redis, &mirrored, &open, &holders).await?;
    for look in 0..LOOKS {
        if suspects.is_empty() {
            break;
        }
        if look > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        look_again(store, &mut redis, &holders, &mut suspects).await?;
    }
    let lagging = |account: &AccountId| Finding {
        rule: "redis_is_not_told_what_is_posted",
        subject: format!("account {account}"),
        detail: "Redis and the ledger were never seen at the same position of the stream".to_owned(),
    };
    Ok(suspects
        .into_iter()
        .flat_map(|(account, seen)| seen.unwrap_or_else(|| vec![lagging(&account)]))
        .collect())
}

/// The shards in which Redis and Postgres are in the same era, and nothing is about to be told.
async fn open_eras(redis: &mut Desk, mirrored: &[MirroredShard]) -> Result<BTreeMap<Shard, u64>, DeskError> {
    let place = |shard: &MirroredShard| Place {
        shard: shard.shard,
        era: shard.era,
        position: meter::Position::default(),
    };
    let places: Vec<Place> = mirrored.iter().map(place).collect();
    let standing = redis.standing(&places).await?;
    let open = places.iter().zip(standing).filter(|(_, standing)| *standing == Standing::Open);
    Ok(open.map(|(place, _)| (place.shard, place.era)).collect())
}

/// Accounts that are worth a closer look: something is held or under way, or the figures do not agree.
async fn suspicious(
    redis: &mut Desk,
    mirrored: &[MirroredShard],
    open: &BTreeMap<Shard, u64>,
    holders: &HashMap<Shard, HashSet<Uuid>>,
) -> Result<Suspects, DeskError> {
    let mut suspects = Suspects::new();
    for MirroredShard { shard, era, accounts, .. } in mirrored {
        if open.get(shard) != Some(era) {
            continue;
        }
        let ids: Vec<AccountId> = accounts.keys().copied().collect();
        for ids in ids.chunks(TOGETHER) {
            for (id, figures) in ids.iter().zip(redis.figures(*shard, *era, ids).await?) {
                let Figures { is_loaded, free, held, unposted, applied, .. } = figures;
                let balance = accounts.get(id).map_or(Nanos::ZERO, |account| account.balance_at(applied));
                if (held, unposted) != (Nanos::ZERO, Nanos::ZERO) || is_loaded && free != balance {
                    suspects.insert(*id, None);
                }
            }
        }
        for holder in holders.get(shard).into_iter().flatten() {
            let holds = redis.holds(*shard, *era, *holder).await?;
            suspects.extend(holds.into_iter().map(|hold| (hold.account, None)));
        }
    }
    Ok(suspects)
}

/// Looks at all suspects once more, and clears those who are right.
async fn look_again(
    store: &Store,
    redis: &mut Desk,
    holders: &HashMap<Shard, HashSet<Uuid>>,
    suspects: &mut Suspects,
) -> Result<(), Uncomparable> {
    let nobody = HashSet::new();
    let mut by_shard: BTreeMap<Shard, BTreeSet<AccountId>> = BTreeMap::new();
    for account in suspects.keys() {
        by_shard.entry(account.shard()).or_default().insert(*account);
    }
    for (shard, accounts) in by_shard {
        let accounts: Vec<AccountId> = accounts.into_iter().collect();
        for accounts in accounts.chunks(TOGETHER) {
            let era = redis.eras(&[shard]).await?.first().copied().flatten();
            let holders = holders.get(&shard).unwrap_or(&nobody);
            let view = match era {
                Some(era) => redis.view(shard, era, accounts, holders).await?,
                None => None,
            };
            let withdrawals = ledger::open_withdrawals(store, i64::MAX).await?;
            let mirrored = ledger::mirrored(store, Some(accounts)).await?;
            let Some(mirrored) = mirrored.into_iter().find(|mirrored| mirrored.shard == shard) else {
                continue;
            };
            if open_eras(redis, std::slice::from_ref(&mirrored)).await?.is_empty() {
                // In an era that is not open nothing is told yet.
                accounts.iter().for_each(|account| _ = suspects.remove(account));
                continue;
            }
            let Some(view) = view
                .filter(|view| era == Some(mirrored.era) && view.position.to_string() == mirrored.position)
            else {
                continue;
            };
            for (account, figures) in accounts.iter().zip(&view.figures) {
                let Some(told) = mirrored.accounts.get(account) else { continue };
                let found = differences(told, figures, &view, &withdrawals);
                if found.is_empty() {
                    suspects.remove(account);
                } else {
                    suspects.insert(*account, Some(found));
                }
            }
        }
    }
    Ok(())
}
