//! The configuration as messages: a full state in parts, or what changed.

use model::resource::{Resource, ResourceKey};
use model::{AccountId, Revision};
use prost::Message as _;
use proto::control_message::Message;
use proto::{ControlMessage, Delta, FullState};
use store::resources::Everything;
use store::{Store, StoreError};
use tracing::error;

const RESOURCES_A_PART: usize = 1000;
const BYTES_A_PART: usize = 1024 * 1024;

/// What changed after the revision `after`.
pub(super) fn delta(after: u64, revision: Revision, upserted: &[Resource], removed: &[ResourceKey]) -> Delta {
    Delta {
        revision: Some(revision.to_wire()),
        after,
        upserted: upserted.iter().map(Resource::to_wire).collect(),
        removed: removed.iter().map(|key| key.to_wire()).collect(),
        answered: Vec::new(),
    }
}

/// A message with a delta.
pub(super) fn message(delta: Delta) -> ControlMessage {
    ControlMessage { message: Some(Message::Delta(delta)) }
}

/// Everything, or everything of some accounts, read and sent in parts.
pub(super) struct FullStateParts {
    everything: Everything,
    unsent: Vec<proto::Resource>,
    finished: bool,
}

impl FullStateParts {
    pub(super) async fn begin(store: &Store, accounts: Option<Vec<AccountId>>) -> Result<Self, StoreError> {
        let everything = match accounts {
            Some(accounts) => Everything::begin_of(store, accounts).await?,
            None => Everything::begin(store).await?,
        };
        Ok(Self { everything, unsent: Vec::new(), finished: false })
    }

    pub(super) fn revision(&self) -> Revision {
        self.everything.revision()
    }

    /// The next part; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<ControlMessage>, StoreError> {
        let mut last_part = false;
        while !last_part && self.unsent.len() < RESOURCES_A_PART {
            match self.everything.next_part(RESOURCES_A_PART as i64).await? {
                Some(found) => {
                    for key in found.unreadable {
                        error!(account.id = %key.account, "A row of {:?} cannot be read and is not pushed", key.kind);
                    }
                    self.unsent.extend(found.resources.iter().map(Resource::to_wire));
                }
                None => last_part = true,
            }
        }
        if self.finished {
            return Ok(None);
        }
        let count = part_length(&self.unsent);
        let rest = self.unsent.split_off(count);
        let resources = std::mem::replace(&mut self.unsent, rest);
        let last_part = last_part && self.unsent.is_empty();
        self.finished = last_part;
        let revision = Some(self.revision().to_wire());
        let state = FullState { revision, resources, last_part };
        Ok(Some(ControlMessage { message: Some(Message::FullState(state)) }))
    }
}

/// How many of these fit into one part: at least one, should it be larger than a part.
fn part_length(resources: &[proto::Resource]) -> usize {
    let mut bytes = 0;
    resources
        .iter()
        .take(RESOURCES_A_PART)
        .take_while(|resource| {
            let first = bytes == 0;
            bytes += resource.encoded_len();
            first || bytes <= BYTES_A_PART
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(bytes: usize) -> proto::Resource {
        let key = proto::ProviderKey { sealed: vec![0; bytes], ..proto::ProviderKey::default() };
        let body = Some(proto::resource::Body::ProviderKey(key));
        proto::Resource { key: None, requires: vec![], body }
    }

    #[test]
    fn a_part_is_bounded_in_number_and_in_bytes() {
        assert_eq!(part_length(&[]), 0);
        assert_eq!(part_length(&vec![resource(10); 5000]), RESOURCES_A_PART);
        assert_eq!(part_length(&vec![resource(400_000); 5]), 2);
        assert_eq!(part_length(&vec![resource(3_000_000); 2]), 1);
    }
}
