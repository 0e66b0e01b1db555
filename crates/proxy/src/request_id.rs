//! Ids of requests: UUIDv7, which is also the id of the log and of the usage record.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A new id for a request that arrived at `now_ms`.
pub fn request_id(now_ms: u64) -> Uuid {
    RESERVE
        .with_borrow_mut(|reserve| Builder::from_unix_timestamp_millis(now_ms, &reserve.take()).into_uuid())
}

const ID_BYTES: usize = 10;

thread_local! {
    static RESERVE: RefCell<Reserve> = const { RefCell::new(Reserve { bytes: [0; 512 * ID_BYTES], used: 512 * ID_BYTES }) };
}

/// Random bytes fetched ahead: a system call for each request would show.
struct Reserve {
    bytes: [u8; 512 * ID_BYTES],
    used: usize,
}

impl Reserve {
    fn take(&mut self) -> [u8; ID_BYTES] {
        if self.used == self.bytes.len() {
            // Without randomness ids would collide and records be lost, so this is the one place
            // where the proxy prefers to fail a request.
            getrandom::fill(&mut self.bytes).expect("the operating system gives random bytes");
            self.used = 0;
        }
        let mut taken = [0; ID_BYTES];
        taken.copy_from_slice(&self.bytes[self.used..self.used + ID_BYTES]);
        self.used += ID_BYTES;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_carry_their_time() {
        let now = now_ms();
        let ids: std::collections::HashSet<Uuid> = (0..2000).map(|_| request_id(now)).collect();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.as_u128() >> 80 == u128::from(now)));
    }
}
