//! Which host is whose. All hosts are known, also of accounts that are not: it is by its host that a
//! request names an account.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use model::host::Host;
use model::id::EndpointId;
use model::resource::Endpoint;

const SHARDS: usize = 256;

type ById = HashMap<EndpointId, Arc<Endpoint>>;
type ByHost = HashMap<Box<str>, Arc<Endpoint>>;

/// The hosts of an installation, spread over shards, so that a change copies two small maps and shares
/// all the others.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    by_id: Vec<Arc<ById>>,
    by_host: Vec<Arc<ByHost>>,
}

impl Default for Hosts {
    fn default() -> Self {
        let (by_id, by_host) = (Arc::new(ById::new()), Arc::new(ByHost::new()));
        Self { by_id: vec![by_id; SHARDS], by_host: vec![by_host; SHARDS] }
    }
}

impl Hosts {
    /// The endpoint that a request for this host is for: the host itself, or else its wildcard, or else
    /// the default one.
    pub(super) fn endpoint(&self, host: &str) -> Option<&Arc<Endpoint>> {
        let wildcard = || self.bound(&Host::wildcard_over(host)?);
        self.bound(host).or_else(wildcard).or_else(|| self.bound("*"))
    }

    fn bound(&self, host: &str) -> Option<&Arc<Endpoint>> {
        self.by_host[shard_of_host(host)].get(host)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.iter().all(|shard| shard.is_empty())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_id.iter().flat_map(|shard| shard.values())
    }

    pub(super) fn remove(&mut self, id: EndpointId) {
        let Some(gone) = Arc::make_mut(&mut self.by_id[shard_of_id(id)]).remove(&id) else { return };
        let host = gone.host.to_string();
        let shard = &mut self.by_host[shard_of_host(&host)];
        // Another endpoint may have the host already, if its news came first.
        if shard.get(host.as_str()).is_some_and(|endpoint| endpoint.id == id) {
            Arc::make_mut(shard).remove(host.as_str());
        }
    }

    pub(super) fn upsert(&mut self, endpoint: Endpoint) {
        let known = self.by_id[shard_of_id(endpoint.id)].get(&endpoint.id);
        if known.is_some_and(|known| **known == endpoint) {
            return;
        }
        self.remove(endpoint.id);
        let endpoint = Arc::new(endpoint);
        let host = endpoint.host.to_string();
        Arc::make_mut(&mut self.by_id[shard_of_id(endpoint.id)]).insert(endpoint.id, Arc::clone(&endpoint));
        let shard = &mut self.by_host[shard_of_host(&host)];
        Arc::make_mut(shard).insert(host.into_boxed_str(), endpoint);
    }
}

fn shard_of_id(id: EndpointId) -> usize {
    // The last byte is random.
    usize::from(id.0.as_bytes()[15])
}

fn shard_of_host(host: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    usize::from(hasher.finish().to_le_bytes()[0])
}
