//! How models and keys have fared in the last five minutes at this proxy: what strategies of policies see in
//! `m.metrics`, `k.quota` and `k.error_rate`.
//!
//! Only attempts of gateways are counted whose strategies ask for any of it, so that nobody else pays: a gateway's
//! metrics begin with its policy, and those of `global` and `region` are of all such gateways of this proxy.
//! What is kept is bounded, for all and for each account; what nobody was counted in the longest goes first.

mod latency;
mod watched;
mod window;

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use model::AccountId;
use model::id::GatewayInternalId;
use model::usage::UsageRecord;
use policy::facts::{ErrorRates, Metrics, MetricsOf, Quota};
use providers::catalog;

use self::window::{Attempt, Window};
use super::shares::Shares;

pub use self::watched::Watched;

/// What is kept in bytes, at most: of everybody's, and of one account's. It is spread over as many maps as here.
const SHARDS: usize = 16;
const MOST: usize = (64 << 20) / SHARDS;
const MOST_OF_ONE: usize = 2 << 20;
/// What an entry takes beside its window.
const EMPTY: usize = 512;
/// So many keys of an account are told apart for one model.
const MOST_KEYS: usize = 64;
/// A provider's word on what is left is good for so long: periods of quotas are minutes, and a key that has
/// nothing left would else never be asked again.
const QUOTA_MS: u64 = 60_000;

/// How models and keys have fared.
#[derive(Debug)]
pub struct Standing {
    shards: Vec<Mutex<Shares<Owner, u128, Entry>>>,
}

/// Nobody can make two things the same who does not know the keys of these.
static HASHERS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

fn hash(what: impl Hash) -> u128 {
    let [one, other] = &*HASHERS;
    u128::from(one.hash_one(&what)) << 64 | u128::from(other.hash_one(&what))
}

/// A model at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModelAt {
    id: u128,
    /// Whether it is the same for everybody, and not at a place that one policy names.
    is_shared: bool,
}

/// Whose share something is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Everybody,
    Account(AccountId),
}

/// What attempts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum By<'a> {
    Everybody,
    Account,
    Gateway(GatewayInternalId),
    Key(&'a str),
}

#[derive(Debug, Default)]
struct Entry {
    window: Window,
    /// What was last said of a key's quota, and when.
    quota: Option<(catalog::Quota, u64)>,
    /// The account's keys that were used with this model.
    keys: Vec<Arc<str>>,
}

impl Default for Standing {
    fn default() -> Self {
        let shard = || Mutex::new(Shares::new(MOST, MOST_OF_ONE));
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }
}

impl ModelAt {
    /// A model at a provider of the catalogue, or at an address that a policy gives.
    pub fn of(provider: &str, model: &str, is_shared: bool) -> Self {
        Self { id: hash((provider, model)), is_shared }
    }
}

impl Standing {
    /// Counts an attempt that is over, and how long it took the provider if its record does not say.
    pub fn ended(&self, watched: &Watched, record: &UsageRecord, took: Duration, now_ms: u64) {
        let Some(attempt) = watched.attempt(record, took) else { return };
        let Watched { account, gateway, model, key, .. } = watched;
        let owner = Owner::Account(*account);
        if let Some(model) = model {
            if model.is_shared {
                self.note(Owner::Everybody, By::Everybody, Some(*model), &attempt, now_ms);
            }
            self.note(owner, By::Account, Some(*model), &attempt, now_ms);
            self.note(owner, By::Gateway(*gateway), Some(*model), &attempt, now_ms);
        }
        let Some(key) = key else { return };
        self.note(owner, By::Key(key), None, &attempt, now_ms);
        if let Some(model) = model {
            self.note(owner, By::Key(key), Some(*model), &attempt, now_ms);
            self.with(owner, By::Account, Some(*model), |entry| {
                if entry.keys.len() < MOST_KEYS && !entry.keys.contains(key) {
                    entry.keys.push(Arc::clone(key));
                }
            });
        }
    }

    /// Keeps what a provider says of a key's quota. Providers count by model, so that the quota of one says
    /// nothing of another's.
    fn told(
        &self,
        account: AccountId,
        key: &str,
        model: Option<ModelAt>,
        quota: catalog::Quota,
        now_ms: u64,
    ) {
        if quota != catalog::Quota::default() {
            self.with(Owner::Account(account), By::Key(key), model, |entry| {
                entry.quota = Some((quota, now_ms));
            });
        }
    }

    /// How a model has fared.
    pub fn metrics(
        &self,
        (account, gateway): (AccountId, GatewayInternalId),
        model: ModelAt,
        of: MetricsOf<'_>,
        now_ms: u64,
    ) -> Metrics {
        let own = Owner::Account(account);
        let (owner, by) = match of {
            MetricsOf::Everybody | MetricsOf::Region if model.is_shared => (Owner::Everybody, By::Everybody),
            MetricsOf::Everybody | MetricsOf::Region | MetricsOf::Account => (own, By::Account),
            MetricsOf::Endpoint => (own, By::Gateway(gateway)),
            MetricsOf::Key(key) => (own, By::Key(key)),
        };
        let found =
            self.look(owner, by, Some(model), |entry| (entry.window.metrics(now_ms), entry.quota(now_ms)));
        let (metrics, quota) = found.unwrap_or_else(|| (Window::empty(now_ms), Quota::default()));
        // What is used is for whoever used it to know.
        let is_everybodys = matches!(of, MetricsOf::Everybody | MetricsOf::Region);
        Metrics {
            token: metrics.token.filter(|_| !is_everybodys),
            quota: matches!(of, MetricsOf::Key(_)).then_some(quota),
            ..metrics
        }
    }

    /// The account's keys that were used with a model.
    pub fn keys(&self, account: AccountId, model: ModelAt) -> Vec<Arc<str>> {
        let keys = self.look(Owner::Account(account), By::Account, Some(model), |entry| entry.keys.clone());
        keys.unwrap_or_default()
    }

    /// What is left of a key's quota for a model, and how it has fared with whatever it was used for.
    pub fn key(
        &self,
        account: AccountId,
        key: &str,
        model: Option<ModelAt>,
        now_ms: u64,
    ) -> (Quota, ErrorRates) {
        let owner = Owner::Account(account);
        let quota = self.look(owner, By::Key(key), model, |entry| entry.quota(now_ms));
        let rates = self.look(owner, By::Key(key), None, |entry| entry.window.metrics(now_ms).error_rate);
        (quota.unwrap_or_default(), rates.unwrap_or_default())
    }

    fn note(&self, owner: Owner, by: By<'_>, model: Option<ModelAt>, attempt: &Attempt, now_ms: u64) {
        self.with(owner, by, model, |entry| entry.window.note(attempt, now_ms));
    }

    fn with(&self, owner: Owner, by: By<'_>, model: Option<ModelAt>, act: impl FnOnce(&mut Entry)) {
        let place = hash((by, model));
        let mut shard = self.shard(owner, place).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.of(owner, place, EMPTY, Entry::default);
        let before = entry.weight();
        act(entry);
        let after = entry.weight();
        if before != after {
            shard.reweigh(owner, &place, after);
        }
    }

    fn look<T>(
        &self,
        owner: Owner,
        by: By<'_>,
        model: Option<ModelAt>,
        see: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let place = hash((by, model));
        let shard = self.shard(owner, place).lock().unwrap_or_else(PoisonError::into_inner);
        shard.get(owner, &place).map(see)
    }

    /// An account's are together, so that its share is one; everybody's are spread, so that nobody waits.
    fn shard(&self, owner: Owner, place: u128) -> &Mutex<Shares<Owner, u128, Entry>> {
        let number = match owner {
            Owner::Everybody => place,
            Owner::Account(account) => u128::from(account.shard().0),
        };
        &self.shards[usize::try_from(number % SHARDS as u128).unwrap_or_default()]
    }
}

impl Entry {
    fn weight(&self) -> usize {
        EMPTY + self.window.weight() + self.keys.len() * 64
    }

    fn quota(&self, now_ms: u64) -> Quota {
        let told = self.quota.filter(|(_, at)| now_ms.saturating_sub(*at) < QUOTA_MS);
        let Some((quota, _)) = told else { return Quota::default() };
        let catalog::Quota { remaining_requests, remaining_tokens, limit_requests, limit_tokens } = quota;
        Quota { remaining_requests, remaining_tokens, limit_requests, limit_tokens }
    }
}

#[cfg(test)]
mod tests;
