//! What a gateway's traffic policy has logged of a request, on its way beside the record. It is kept in no
//! spool, whose slots are small; a process that dies takes it along. So that Redis may be away for long, all
//! of it together is bounded, and what has no room is left out: it tells, and nothing is charged by it.

use std::sync::atomic::{AtomicUsize, Ordering};

use model::usage::UsageRecord;
use prost::encoding::string;

/// How much waits at once, in bytes.
const MOST_BYTES: usize = 64 << 20;
/// How much of one record is sent, in bytes.
const MOST_OF_ONE: usize = 8 << 10;
/// Its place in `proto::UsageRecord`.
const FIELD: u32 = 52;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The end of a record's wire form.
#[derive(Debug)]
pub(crate) struct Logged(Vec<u8>);

impl Logged {
    /// What was logged, if anything was and there is room for it.
    pub(crate) fn of(record: &UsageRecord) -> Option<Self> {
        let logs = &record.policy_logs;
        if logs.is_empty() || logs.len() > MOST_OF_ONE {
            return None;
        }
        let mut bytes = Vec::with_capacity(string::encoded_len(FIELD, logs));
        string::encode(FIELD, logs, &mut bytes);
        let length = bytes.len();
        let logged = Self(bytes);
        (WAITING.fetch_add(length, Ordering::Relaxed) + length <= MOST_BYTES).then_some(logged)
    }

    /// To be written behind the record.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        WAITING.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn what_is_written_behind_a_record_is_a_part_of_it() {
        let record = UsageRecord { policy_logs: r#"[{"a":1}]"#.to_owned(), ..crate::samples::record(1) };
        assert!(Logged::of(&crate::samples::record(2)).is_none());
        let too_long = UsageRecord { policy_logs: "x".repeat(MOST_OF_ONE + 1), ..crate::samples::record(3) };
        assert!(Logged::of(&too_long).is_none());
        let mut bytes =
            UsageRecord { policy_logs: String::new(), ..record.clone() }.to_wire().encode_to_vec();
        bytes.extend_from_slice(Logged::of(&record).unwrap().bytes());
        assert_eq!(proto::UsageRecord::decode(&*bytes).unwrap(), record.to_wire());
    }
}
