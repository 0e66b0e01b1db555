//! A proxy that wants to be told of accounts in use only.

use std::collections::HashSet;

use model::AccountId;
use model::resource::Resource;
use store::resources::Found;
use uuid::Uuid;

/// The accounts that a narrowed proxy knows. Of the installation every proxy is told.
pub(super) struct Narrowing(HashSet<AccountId>);

impl Narrowing {
    pub(super) fn from_wire(wire: &proto::Narrowing) -> Self {
        Self(account_ids(&wire.account_ids).chain([AccountId::INSTALLATION]).collect())
    }

    pub(super) fn accounts(&self) -> Vec<AccountId> {
        self.0.iter().copied().collect()
    }

    /// Adds those accounts of which there is anything; the others do not exist.
    pub(super) fn widen(&mut self, found: &Found) {
        self.0.extend(found.resources.iter().map(|Resource { account, body: _ }| account));
    }

    /// As much of a change as concerns these accounts.
    pub(super) fn of(&self, delta: &proto::Delta) -> proto::Delta {
        let concerned = |key: &proto::ResourceKey| {
            Uuid::from_slice(&key.account_id).is_ok_and(|id| self.0.contains(&AccountId(id)))
        };
        let proto::Delta { revision, after, upserted, removed, answered: _ } = delta;
        let upserted = upserted.iter().filter(|resource| resource.key.as_ref().is_some_and(concerned));
        proto::Delta {
            revision: revision.clone(),
            after: *after,
            upserted: upserted.cloned().collect(),
            removed: removed.iter().filter(|key| concerned(key)).cloned().collect(),
            answered: Vec::new(),
        }
    }
}

/// Reads ids; what is none is passed over.
pub(super) fn account_ids(wire: &[Vec<u8>]) -> impl Iterator<Item = AccountId> {
    wire.iter().filter_map(|id| Uuid::from_slice(id).ok().map(AccountId))
}
