//! Turns what the control plane sends into the next snapshot, refusing single resources where it
//! must, and noticing when something was missed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use model::resource::{InvalidResource, OBEYED, Resource, ResourceKey};
use model::{AccountId, Revision, Shard};
use prometheus::{IntGauge, register_int_gauge};
use proto::control_message::Message;
use proto::{
    Acknowledgement, ControlMessage, Eras, FullState, Hello, Interest, Narrowing, RefusedResource, ShardEra,
};
use tracing::{error, info};
use uuid::Uuid;

use crate::SOFTWARE_VERSION;
use crate::interests::{Existence, Interests};
use crate::snapshot::{Delta, Snapshot, SnapshotHandle};

/// An acknowledgement must fit into a message, whatever is refused.
const TOLD_AT_MOST: usize = 1000;

/// Builds snapshots from messages. It outlives connections.
pub(super) struct Receiver {
    snapshot: Arc<SnapshotHandle>,
    /// There if only accounts in use are known.
    interests: Option<Arc<Interests>>,
    under_way: Option<FullStateUnderWay>,
    reasons: HashMap<ResourceKey, RefusedResource>,
    /// Resources of kinds that this release cannot even name.
    nameless: Vec<RefusedResource>,
}

struct FullStateUnderWay {
    revision: Revision,
    resources: Vec<Resource>,
    refused: Vec<Refused>,
}

/// A refused resource; without a key if this release does not know its kind.
struct Refused {
    key: Option<ResourceKey>,
    told: RefusedResource,
}

/// What a message comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// More of it is to come.
    Part,
    /// The snapshot was replaced, and this is to be said of it.
    Served(Acknowledgement),
    /// Money shards are in these eras.
    Eras(Vec<(Shard, u64)>),
}

/// Something was missed, so that what comes now does not fit what is served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// A message without a revision, or without content.
    Malformed,
    /// A delta that follows another revision than the one served.
    After { expected: Option<Revision>, after: u64 },
    /// A full state whose parts are of different revisions, or are interrupted.
    TornState,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::Malformed => f.write_str("a message of the control plane has no revision or no content"),
            Gap::After { expected, after } => {
                let serving = expected.map_or(0, |revision| revision.number);
                write!(f, "a change follows revision {after}, but {serving} is served")
            }
            Gap::TornState => f.write_str("the parts of a full state do not belong together"),
        }
    }
}

static REVISION: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_proxy_config_revision", "The revision of the configuration that is served")
        .ok()
});
static CURRENT: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_proxy_config_current", "1 while connected to the control plane and in sync")
        .ok()
});
static REFUSED: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!(
        "tollgate_proxy_config_refused",
        "Resources that are served in an older version, or not at all, because the newest was refused"
    )
    .ok()
});

impl Receiver {
    pub(super) fn new(snapshot: Arc<SnapshotHandle>, interests: Option<Arc<Interests>>) -> Self {
        Self { snapshot, interests, under_way: None, reasons: HashMap::new(), nameless: Vec::new() }
    }

    /// What to say first on a new connection. Accounts that lie idle are forgotten with it. Who refused something asks for everything again: the
    /// control plane may by now be a release that says it differently.
    pub(super) fn hello(&self) -> Hello {
        self.forget_idle_accounts();
        let snapshot = self.snapshot.load();
        let serving =
            snapshot.revision().filter(|_| snapshot.refused().is_empty() && self.nameless.is_empty());
        Hello {
            software_version: SOFTWARE_VERSION.to_owned(),
            serving: serving.map(Revision::to_wire),
            obeys: OBEYED.iter().map(|&name| name.to_owned()).collect(),
            narrowing: self
                .interests
                .as_ref()
                .map(|_| Narrowing { account_ids: to_wire(snapshot.accounts().map(|(id, _)| id)) }),
            wants_eras: true,
        }
    }

    /// The accounts to ask for, as soon as requests name any that are not known.
    pub(super) async fn interest(&self) -> Interest {
        match &self.interests {
            Some(interests) => Interest { account_ids: to_wire(interests.unsent().await.into_iter()) },
            None => std::future::pending().await,
        }
    }

    /// Whether there are accounts that nobody used for a day.
    pub(super) fn knows_idle_accounts(&self) -> bool {
        !self.idle_accounts().is_empty()
    }

    fn idle_accounts(&self) -> Vec<AccountId> {
        if self.interests.is_none() {
            return Vec::new();
        }
        let hour = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 3600;
        let snapshot = self.snapshot.load();
        snapshot.accounts().filter(|(_, account)| account.is_idle(hour)).map(|(id, _)| id).collect()
    }

    fn forget_idle_accounts(&self) {
        let idle = self.idle_accounts();
        if !idle.is_empty() {
            self.snapshot.store(Arc::new(self.snapshot.load().without(&idle)));
        }
    }

    /// Takes in one message.
    pub(super) fn receive(&mut self, message: ControlMessage) -> Result<Received, Gap> {
        match message.message.ok_or(Gap::Malformed)? {
            Message::FullState(part) => {
                self.receive_part(part).map(|said| said.map_or(Received::Part, Received::Served))
            }
            Message::Delta(delta) => self.receive_delta(delta).map(Received::Served),
            Message::Eras(eras) => Ok(Received::Eras(read_eras(&eras))),
        }
    }

    /// Says in the snapshot that there may be news that it does not have.
    pub(super) fn disconnected(&mut self) {
        self.under_way = None;
        let snapshot = self.snapshot.load();
        if snapshot.is_current() {
            self.snapshot.store(Arc::new(snapshot.with_current(false)));
        }
        if let Some(interests) = &self.interests {
            interests.disconnected();
        }
        set(&CURRENT, 0);
    }

    fn receive_part(&mut self, part: FullState) -> Result<Option<Acknowledgement>, Gap> {
        let FullState { revision, resources, last_part } = part;
        let revision = revision.as_ref().and_then(Revision::from_wire).ok_or(Gap::Malformed)?;
        let under_way = self.under_way.get_or_insert_with(|| FullStateUnderWay {
            revision,
            resources: Vec::new(),
            refused: Vec::new(),
        });
        if under_way.revision != revision {
            return Err(Gap::TornState);
        }
        let (good, refused) = read(resources);
        under_way.resources.extend(good);
        under_way.refused.extend(refused);
        if !last_part {
            return Ok(None);
        }
        let Some(FullStateUnderWay { revision, resources, refused }) = self.under_way.take() else {
            return Err(Gap::TornState);
        };
        self.reasons.clear();
        self.nameless.clear();
        let keys = self.note(refused);
        info!(revision = revision.number, "Received the full state of {} resources", resources.len());
        let next = self.snapshot.load().replaced(revision, resources, keys);
        Ok(Some(self.serve(next, revision)))
    }

    fn receive_delta(&mut self, delta: proto::Delta) -> Result<Acknowledgement, Gap> {
        let proto::Delta { revision, after, upserted, removed, answered } = delta;
        if self.under_way.is_some() {
            return Err(Gap::TornState);
        }
        let revision = revision.as_ref().and_then(Revision::from_wire).ok_or(Gap::Malformed)?;
        let snapshot = self.snapshot.load_full();
        if snapshot.revision() != Some(Revision { number: after, ..revision }) {
            return Err(Gap::After { expected: snapshot.revision(), after });
        }
        let answered = self.answered(&answered, &upserted);
        let (mut upserted, refused) = read(upserted);
        if self.interests.is_some() {
            // An account is known whole or not at all; of the installation everybody is told.
            let is_known = |id| {
                id == AccountId::INSTALLATION || snapshot.account(id).is_some() || answered.contains_key(&id)
            };
            upserted.retain(|resource| is_known(resource.account));
        }
        let refused = self.note(refused);
        // What this release cannot name it does not have either.
        let removed = removed.into_iter().filter_map(|key| ResourceKey::from_wire(key).ok()).collect();
        let next = snapshot.apply(Delta { revision, upserted, removed, refused });
        let acknowledgement = self.serve(next, revision);
        if let Some(interests) = &self.interests {
            interests.answered(answered.into_iter());
        }
        Ok(acknowledgement)
    }

    /// Which of the accounts asked for there are.
    fn answered(&self, asked: &[Vec<u8>], upserted: &[proto::Resource]) -> HashMap<AccountId, Existence> {
        let keys = upserted.iter().filter_map(|resource| resource.key.as_ref());
        let there: HashSet<&[u8]> = keys.map(|key| key.account_id.as_slice()).collect();
        let existence = |id: &[u8]| match there.contains(id) {
            true => Existence::Exists,
            false => Existence::Nonexistent,
        };
        let asked = asked.iter().map(Vec::as_slice);
        asked.filter_map(|id| Some((AccountId(Uuid::from_slice(id).ok()?), existence(id)))).collect()
    }

    fn note(&mut self, refused: Vec<Refused>) -> Vec<ResourceKey> {
        let mut keys = Vec::new();
        for Refused { key, told } in refused {
            let id = told.key.as_ref().map_or("", |key| key.id.as_str());
            error!(resource.id = id, reason = told.reason, "Refused `{id}` alone: {}", told.reason);
            match key {
                Some(key) => {
                    keys.push(key);
                    self.reasons.insert(key, told);
                }
                None => self.nameless.push(told),
            }
        }
        keys
    }

    fn serve(&mut self, next: Snapshot, revision: Revision) -> Acknowledgement {
        self.reasons.retain(|key, _| next.refused().contains(key));
        let count = self.reasons.len() + self.nameless.len();
        let refused = self.reasons.values().chain(&self.nameless).take(TOLD_AT_MOST).cloned().collect();
        self.snapshot.store(Arc::new(next.with_current(true)));
        set(&REVISION, i64::try_from(revision.number).unwrap_or(i64::MAX));
        set(&CURRENT, 1);
        set(&REFUSED, i64::try_from(count).unwrap_or(i64::MAX));
        Acknowledgement { serving: Some(revision.to_wire()), refused }
    }
}

fn to_wire(accounts: impl Iterator<Item = AccountId>) -> Vec<Vec<u8>> {
    accounts.map(|account| account.0.as_bytes().to_vec()).collect()
}

fn read(resources: Vec<proto::Resource>) -> (Vec<Resource>, Vec<Refused>) {
    let mut good = Vec::with_capacity(resources.len());
    let mut refused = Vec::new();
    for wire in resources {
        let key = wire.key.clone();
        match Resource::from_wire(wire) {
            Ok(resource) => good.push(resource),
            Err(reason) => refused.push(refuse(key, &reason)),
        }
    }
    (good, refused)
}

/// What names no shard is passed over.
fn read_eras(Eras { eras }: &Eras) -> Vec<(Shard, u64)> {
    let read = |ShardEra { shard, era }: &ShardEra| Some((Shard(u8::try_from(*shard).ok()?), *era));
    eras.iter().filter_map(read).collect()
}

fn refuse(key: Option<proto::ResourceKey>, reason: &InvalidResource) -> Refused {
    let told = RefusedResource { key: key.clone(), reason: reason.to_string() };
    Refused { key: key.and_then(|key| ResourceKey::from_wire(key).ok()), told }
}

/// A metric that could not be registered is missed, and nothing else.
fn set(gauge: &Option<IntGauge>, value: i64) {
    if let Some(gauge) = gauge {
        gauge.set(value);
    }
}

#[cfg(test)]
mod tests;
