//! Dice that the caller brings.

use std::sync::atomic::{AtomicU64, Ordering};

/// Random numbers from a seed: the same ones for the same seed, in the order they are asked for. They
/// spread load and draw samples; they guard nothing.
#[derive(Debug)]
pub struct Randomness(AtomicU64);

impl Randomness {
    /// What follows from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number: SplitMix64.
    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below a bound, which is not zero. The bias of the division is far below what anybody
    /// who draws samples could notice.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A fraction of one.
    pub(crate) fn fraction(&self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
