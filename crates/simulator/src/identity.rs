//! Ids as OpenAI writes them, and the time.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static NEXT: AtomicU64 = AtomicU64::new(0);
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A fresh id of `length` letters and digits after `prefix`.
pub(crate) fn fresh(prefix: &str, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    drawn(prefix, length, ALPHABET)
}

/// A fresh id of `length` hexadecimal digits after `prefix`.
pub(crate) fn fresh_hex(prefix: &str, length: usize) -> String {
    drawn(prefix, length, b"0123456789abcdef")
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn drawn(prefix: &str, length: usize, alphabet: &[u8]) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    let mut pool = 0;
    for position in 0..length {
        // One hash yields ten characters of 62, with a bias that nobody will notice.
        if position % 10 == 0 {
            pool = STATE.hash_one(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        let size = alphabet.len() as u64;
        id.push(char::from(alphabet[(pool % size) as usize]));
        pool /= size;
    }
    id
}
