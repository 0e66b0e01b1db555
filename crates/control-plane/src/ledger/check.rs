//! The check of all books: the ledger by itself, and what Redis says of the same accounts.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use meter::desk::{Desk, DeskError, Figures, Place, Standing};
use model::{AccountId, Nanos, Secret, Shard};
use store::ledger::{self, Check, Finding, Mirrored};
use store::{Store, StoreError};
use uuid::Uuid;

/// Money that is on its way makes the two differ for some milliseconds. What differs at each of so many
/// looks is wrong.
const LOOKS: usize = 40;
const BETWEEN: Duration = Duration::from_millis(50);

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

/// What differed at every look.
async fn compared(store: &Store, redis_url: &Secret) -> Result<Vec<Finding>, Uncomparable> {
    let mut redis = Desk::connect(redis_url).await?;
    let mut suspects: Option<HashSet<AccountId>> = None;
    let mut findings = Vec::new();
    for _ in 0..LOOKS {
        findings = differences(store, &mut redis, suspects.as_ref()).await?;
        if findings.is_empty() {
            break;
        }
        suspects = Some(findings.iter().map(|(account, _)| *account).collect());
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(findings.into_iter().map(|(_, finding)| finding).collect())
}

/// What differs just now, of all accounts or of these.
async fn differences(
    store: &Store,
    redis: &mut Desk,
    suspects: Option<&HashSet<AccountId>>,
) -> Result<Vec<(AccountId, Finding)>, Uncomparable> {
    let mirrored = ledger::mirrored(store, suspects).await?;
    let places: Vec<Place> = mirrored
        .keys()
        .map(|(shard, era)| Place { shard: *shard, era: *era, position: meter::Position::default() })
        .collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let standing = redis.standing(&places).await?;
    let mut findings = Vec::new();
    for (((shard, era), accounts), standing) in mirrored.into_iter().zip(standing) {
        // In an era that is not open nothing is told yet.
        if standing != Standing::Open {
            continue;
        }
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.account).collect();
        let figures = redis.figures(shard, era, &ids).await?;
        let held = held(redis, shard, era).await?;
        for (account, figures) in accounts.iter().zip(figures) {
            let held = held.get(&account.account).copied().unwrap_or_default();
            let found = difference(account, figures, held);
            findings.extend(found.map(|finding| (account.account, finding)));
        }
    }
    Ok(findings)
}

fn difference(account: &Mirrored, figures: Figures, holds: Nanos) -> Option<Finding> {
    let subject = format!("account {}", account.account);
    let Figures { is_loaded, free, held, unposted, applied, .. } = figures;
    if held != holds {
        let detail = format!("{held} are held, the holds come to {holds}");
        return Some(Finding { rule: "held_is_not_the_sum_of_holds", subject, detail });
    }
    let told = account.balance_at(applied);
    let there = free + held + unposted;
    (is_loaded && there != told).then(|| Finding {
        rule: "redis_is_not_the_balance",
        subject,
        detail: format!(
            "{free} free, {held} held and {unposted} unposted come to {there}; the ledger has {told}"
        ),
    })
}

/// What the holds in a shard come to, by account.
async fn held(redis: &mut Desk, shard: Shard, era: u64) -> Result<BTreeMap<AccountId, Nanos>, Uncomparable> {
    let beats = redis.beats(&[(shard, era)]).await?;
    let declared = redis.declared(&[(shard, era)]).await?;
    let holders: HashSet<Uuid> =
        beats.into_iter().flat_map(|beats| beats.into_keys()).chain(declared.into_iter().flatten()).collect();
    let mut held: BTreeMap<AccountId, Nanos> = BTreeMap::new();
    for holder in holders {
        for hold in redis.holds(shard, era, holder).await? {
            *held.entry(hold.account).or_default() += hold.amount;
        }
    }
    Ok(held)
}
