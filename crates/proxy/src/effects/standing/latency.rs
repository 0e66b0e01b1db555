//! How long something took, over many times: the mean exactly, and what 95 of 100 stay under within a few hundredths.

/// Times in buckets, of which only those take room that anything fell into.
#[derive(Debug, Clone, Default)]
pub(super) struct Latency {
    microseconds: u64,
    /// How often each bucket was hit, by its number.
    buckets: Vec<(u8, u32)>,
}

/// Several of them together.
#[derive(Debug)]
pub(super) struct Sum {
    times: u64,
    microseconds: u64,
    buckets: [u32; BUCKETS],
}

const BUCKETS: usize = 256;

impl Latency {
    pub(super) fn note(&mut self, microseconds: u64) {
        self.microseconds = self.microseconds.saturating_add(microseconds);
        let bucket = bucket(u32::try_from(microseconds / 1000).unwrap_or(u32::MAX));
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.saturating_add(1),
            Err(place) => self.buckets.insert(place, (bucket, 1)),
        }
    }

    /// How much room its buckets take, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.buckets.capacity() * size_of::<(u8, u32)>()
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self { times: 0, microseconds: 0, buckets: [0; BUCKETS] }
    }
}

impl Sum {
    pub(super) fn add(&mut self, latency: &Latency) {
        self.microseconds = self.microseconds.saturating_add(latency.microseconds);
        for (bucket, times) in &latency.buckets {
            let sum = &mut self.buckets[usize::from(*bucket)];
            *sum = sum.saturating_add(*times);
            self.times += u64::from(*times);
        }
    }

    /// The mean and what 95 of 100 stay under, in milliseconds; `None` if it never happened.
    pub(super) fn mean_and_p95(&self) -> Option<(u32, u32)> {
        if self.times == 0 {
            return None;
        }
        let mean = (self.microseconds / self.times).saturating_add(500) / 1000;
        let wanted = (self.times * 95).div_ceil(100);
        let mut seen = 0;
        let reached = self.buckets.iter().position(|times| {
            seen += u64::from(*times);
            seen >= wanted
        });
        Some((u32::try_from(mean).unwrap_or(u32::MAX), middle(reached.unwrap_or_default())))
    }
}

/// Milliseconds below 16 have a bucket each; above, every doubling has eight.
fn bucket(milliseconds: u32) -> u8 {
    let bucket = match milliseconds {
        0..16 => milliseconds,
        _ => {
            let doublings = milliseconds.ilog2();
            16 + (doublings - 4) * 8 + (milliseconds >> (doublings - 3)) % 8
        }
    };
    u8::try_from(bucket).unwrap_or(u8::MAX)
}

/// The middle of what falls into a bucket.
fn middle(bucket: usize) -> u32 {
    let bucket = u32::try_from(bucket).unwrap_or_default();
    if bucket < 16 {
        return bucket;
    }
    let (doublings, eighth) = ((bucket - 16) / 8 + 4, (bucket - 16) % 8);
    let width = 1u64 << (doublings - 3).min(32);
    u32::try_from((8 + u64::from(eighth)) * width + width / 2).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Option<(u32, u32)> {
        let (mut latency, mut sum) = (Latency::default(), Sum::default());
        milliseconds.into_iter().for_each(|each| latency.note(each * 1000));
        sum.add(&latency);
        sum.mean_and_p95()
    }

    #[test]
    fn the_mean_is_exact_and_the_rest_is_near() {
        assert_eq!(of([]), None);
        assert_eq!(of([7]), Some((7, 7)));
        assert_eq!(of([1, 2]), Some((2, 2)));
        // 95 of these are at most 950.
        let (mean, p95) = of((1..=100).map(|each| each * 10)).unwrap();
        assert_eq!(mean, 505);
        assert!((890..=1010).contains(&p95), "{p95}");
        assert_eq!(of(std::iter::repeat_n(3, 95).chain([60_000; 5])).unwrap().1, 3);
        assert!(of(std::iter::repeat_n(3, 94).chain([60_000; 6])).unwrap().1 > 50_000);
    }

    proptest! {
        #[test]
        fn a_bucket_is_near_whatever_falls_into_it(milliseconds: u32) {
            let found = f64::from(middle(usize::from(bucket(milliseconds))));
            prop_assert!((found - f64::from(milliseconds)).abs() <= f64::from(milliseconds) / 15.0);
        }
    }
}
