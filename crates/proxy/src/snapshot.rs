//! What a proxy knows: an immutable snapshot of the configuration, replaced whole with each
//! change. A request keeps the snapshot that it started with.

mod account;
mod data_keys;
mod hosts;
mod secrets;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::resource::{Body, Endpoint, OperatorKey, Resource, ResourceId, ResourceKey};
use model::terms::Terms;
use model::{AccountId, Revision};

pub use account::{AccountState, GatewayState, LiveToken};
pub use data_keys::DataKeys;
use hosts::Hosts;

/// Where the current snapshot is found and replaced.
pub type SnapshotHandle = ArcSwap<Snapshot>;

type AccountShard = HashMap<AccountId, Arc<AccountState>>;

/// The configuration as of one revision. Accounts are spread over 256 shards, so that a change
/// copies one small map and shares all the others.
#[derive(Debug, Clone)]
pub struct Snapshot {
    revision: Option<Revision>,
    is_current: bool,
    shards: Vec<Arc<AccountShard>>,
    hosts: Hosts,
    refused: Arc<HashSet<ResourceKey>>,
}

/// What changes between one snapshot and the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The revision that the next snapshot has.
    pub revision: Revision,
    /// Resources that are new or different, each whole.
    pub upserted: Vec<Resource>,
    /// Resources that are gone.
    pub removed: Vec<ResourceKey>,
    /// Resources that this release cannot serve: their last good versions stay.
    pub refused: Vec<ResourceKey>,
}

impl Snapshot {
    /// A snapshot that knows nothing, of no revision.
    pub fn empty() -> Self {
        // One empty map is shared by all: whoever changes it gets its own copy.
        let shard = Arc::new(AccountShard::new());
        Self {
            revision: None,
            is_current: false,
            shards: vec![shard; 256],
            hosts: Hosts::default(),
            refused: Arc::default(),
        }
    }

    /// A snapshot of exactly these resources, as a proxy that is in sync has it.
    pub fn of(revision: Revision, resources: Vec<Resource>) -> Self {
        Self::empty().replaced(revision, resources, Vec::new()).with_current(true)
    }

    /// A snapshot from disk. Without a revision nothing can follow it but a full state.
    pub(crate) fn saved(revision: Option<Revision>, resources: Vec<Resource>) -> Self {
        let nowhere = Revision { timeline: uuid::Uuid::nil(), number: 0 };
        Self { revision, ..Self::empty().replaced(nowhere, resources, Vec::new()) }
    }

    /// The account, if it is known.
    pub fn account(&self, id: AccountId) -> Option<&Arc<AccountState>> {
        self.shards[usize::from(id.shard().0)].get(&id)
    }

    /// The gateway that callers of this account call `slug`, if it is known.
    pub fn gateway(&self, account: AccountId, slug: &str) -> Option<&Arc<GatewayState>> {
        self.account(account)?.gateway(slug)
    }

    /// The endpoint that requests for this host are for: the host's own, or that of the wildcard over it,
    /// or the default one. The host is in lower case and without a port. Its account may be unknown yet.
    pub fn endpoint(&self, host: &str) -> Option<&Arc<Endpoint>> {
        self.hosts.endpoint(host)
    }

    /// Whether any host is bound to any gateway.
    pub fn has_endpoints(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// What belongs to the installation itself. Nobody's requests come for it.
    pub fn installation(&self) -> Option<&Arc<AccountState>> {
        self.account(AccountId::INSTALLATION)
    }

    /// The operator's keys at a provider, in the order in which they are used.
    pub fn operator_keys(&self, provider: &str) -> &[Arc<OperatorKey>] {
        self.installation().map_or(&[], |installation| installation.operator_keys(provider))
    }

    /// The operator's terms. Without them nobody knows what a request on credits is charged.
    pub fn terms(&self) -> Option<&Terms> {
        self.installation()?.operator_terms()
    }

    /// The revision that this snapshot shows; `None` before anything was learned.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Whether the control plane was connected and had nothing newer. While it is not, what is
    /// unknown here may exist, and is answered 503 rather than refused.
    pub fn is_current(&self) -> bool {
        self.is_current
    }

    /// The same configuration with another answer to [`is_current`](Self::is_current).
    pub fn with_current(&self, is_current: bool) -> Self {
        Self { is_current, ..self.clone() }
    }

    /// Resources of which this snapshot shows an older version, or none, because the newest one was
    /// refused.
    pub fn refused(&self) -> &HashSet<ResourceKey> {
        &self.refused
    }

    /// Everything that this snapshot knows, in no particular order.
    pub fn resources(&self) -> impl Iterator<Item = Resource> {
        let accounts = self.shards.iter().flat_map(|shard| shard.iter());
        let hosts = self.hosts.all().map(|endpoint| Resource {
            account: AccountId::INSTALLATION,
            body: Body::Endpoint(Endpoint::clone(endpoint)),
        });
        accounts.flat_map(|(id, account)| account.resources(*id)).chain(hosts)
    }

    /// The accounts that this snapshot knows. The installation is none.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &AccountState)> {
        let accounts = self.shards.iter().flat_map(|shard| shard.iter());
        let accounts = accounts.filter(|(id, _)| **id != AccountId::INSTALLATION);
        accounts.map(|(id, account)| (*id, account.as_ref()))
    }

    /// How many accounts this snapshot knows.
    pub fn account_count(&self) -> usize {
        let all: usize = self.shards.iter().map(|shard| shard.len()).sum();
        all - usize::from(self.installation().is_some())
    }

    /// The same without these accounts. No token is revoked by it.
    pub(crate) fn without(&self, accounts: &[AccountId]) -> Snapshot {
        let mut next = self.clone();
        for id in accounts {
            Arc::make_mut(&mut next.shards[usize::from(id.shard().0)]).remove(id);
        }
        Arc::make_mut(&mut next.refused).retain(|key| !accounts.contains(&key.account));
        next
    }

    fn keys(&self) -> impl Iterator<Item = ResourceKey> {
        let accounts = self.shards.iter().flat_map(|shard| shard.iter());
        let hosts = self.hosts.all().map(|endpoint| ResourceKey {
            account: AccountId::INSTALLATION,
            kind: ResourceId::Endpoint(endpoint.id),
        });
        let of_accounts =
            accounts.flat_map(|(id, account)| account.keys().map(|kind| ResourceKey { account: *id, kind }));
        of_accounts.chain(hosts)
    }

    /// The snapshot after `delta`. Tokens that the delta removes or changes are revoked at once,
    /// those that it leaves alone live on, and with them the streams that they opened.
    pub fn apply(&self, delta: Delta) -> Snapshot {
        let Delta { revision, upserted, removed, refused } = delta;
        let mut still_refused = HashSet::clone(&self.refused);
        let mut changes: HashMap<AccountId, (Vec<ResourceId>, Vec<Body>)> = HashMap::new();
        let mut hosts = self.hosts.clone();
        for key in removed {
            still_refused.remove(&key);
            if let ResourceId::Endpoint(id) = key.kind {
                hosts.remove(id);
                continue;
            }
            changes.entry(key.account).or_default().0.push(key.kind);
        }
        for resource in upserted {
            still_refused.remove(&resource.key());
            if let Body::Endpoint(endpoint) = resource.body {
                hosts.upsert(endpoint);
                continue;
            }
            changes.entry(resource.account).or_default().1.push(resource.body);
        }
        still_refused.extend(refused);

        let mut shards = self.shards.clone();
        for (id, (removed, upserted)) in changes {
            let shard = Arc::make_mut(&mut shards[usize::from(id.shard().0)]);
            let account = shard.get(&id).map(Arc::as_ref).cloned().unwrap_or_default();
            let account = account.changed(removed, upserted);
            if account.is_empty() {
                shard.remove(&id);
            } else {
                shard.insert(id, Arc::new(account));
            }
        }
        let refused = Arc::new(still_refused);
        Snapshot { revision: Some(revision), is_current: self.is_current, shards, hosts, refused }
    }

    /// The snapshot that shows these resources and no others, but for the last good versions of
    /// those refused. What is the same in both is shared, so that no stream ends for a resync.
    pub fn replaced(
        &self,
        revision: Revision,
        resources: Vec<Resource>,
        refused: Vec<ResourceKey>,
    ) -> Snapshot {
        let stays: HashSet<ResourceKey> =
            resources.iter().map(Resource::key).chain(refused.iter().copied()).collect();
        let removed = self.keys().filter(|key| !stays.contains(key));
        let delta = Delta { revision, removed: removed.collect(), upserted: resources, refused: Vec::new() };
        let refused = Arc::new(refused.into_iter().collect());
        Snapshot { refused, ..self.apply(delta) }
    }
}

#[cfg(test)]
mod tests;
