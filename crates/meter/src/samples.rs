//! Records for tests.

use model::AccountId;
use model::usage::UsageRecord;
use uuid::Uuid;

/// A plausible record; its id and its account, and with it the shard, follow from `number`.
pub(crate) fn record(number: u128) -> UsageRecord {
    let id = Uuid::from_u128((0x0193_0000_0000_7000_8000 << 48) + number);
    model::samples::usage_record(id, AccountId(Uuid::from_u128(number)))
}
