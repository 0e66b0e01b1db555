//! How much of callers' bodies lies in memory, of all requests together. Each is bounded, but any
//! number of callers may send one at once and never finish it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::refusal::Refusal;

static HELD: AtomicU64 = AtomicU64::new(0);

/// Memory that one body holds, given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffered(u64);

impl Buffered {
    /// Holds `bytes` in all from now on, unless that is more than `most` for all bodies together.
    pub(crate) fn grow(&mut self, bytes: usize, most: u64) -> Result<(), Refusal> {
        let more = (bytes as u64).saturating_sub(self.0);
        if more == 0 {
            return Ok(());
        }
        if HELD.fetch_add(more, Ordering::Relaxed) + more > most {
            HELD.fetch_sub(more, Ordering::Relaxed);
            return Err(Refusal::TooManyBodies);
        }
        self.0 += more;
        Ok(())
    }

    /// These bytes, whose memory is held until the last copy of them is gone.
    pub(crate) fn keep(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Kept { bytes, _memory: self })
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

struct Kept<T> {
    bytes: T,
    _memory: Buffered,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_held_as_long_as_any_copy_of_the_bytes() {
        let mut first = Buffered::default();
        first.grow(60, 100).unwrap();
        first.grow(80, 100).unwrap();
        assert!(Buffered::default().grow(30, 100).is_err());
        let bytes = first.keep(vec![7; 80]);
        let copy = bytes.slice(10..20);
        drop(bytes);
        assert!(Buffered::default().grow(30, 100).is_err());
        drop(copy);
        assert!(Buffered::default().grow(100, 100).is_ok());
    }
}
