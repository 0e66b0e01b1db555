//! Usage records for tests.

use model::AccountId;
use model::usage::UsageRecord;
use store::{Store, usage};
use uuid::Uuid;

/// A plausible record of the second day of 2025, ordered by `number`.
pub(crate) fn record(number: u64) -> UsageRecord {
    let id = Uuid::from_u128(
        (0x0194_2500_0000 + u128::from(number)) << 80 | 0x7000_8000_0000_0000_0000 | u128::from(number),
    );
    model::samples::usage_record(id, AccountId(Uuid::from_u128(1)))
}

/// Makes room for these records.
pub(crate) async fn ensure(store: &Store, records: &[UsageRecord]) {
    for record in records {
        usage::ensure_day(store, usage::day(record.id).unwrap()).await.unwrap();
    }
}
