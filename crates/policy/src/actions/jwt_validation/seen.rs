//! The tokens whose signatures were found good. A client sends its token with every request, and checking a
//! signature takes longer than everything else that a policy does together.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

/// So many tokens are remembered at least; then those are forgotten that were not shown again.
const MOST: usize = 256;

/// What it takes of memory at most.
pub(super) const BYTES: usize = 2 * 2 * MOST * (size_of::<[u8; 32]>() + 1);

/// Digests of whole tokens, signature and all: whoever changes anything of a token has another one. It
/// belongs to a set of keys and goes with it. Nothing but the signature is remembered, so that what a token says
/// is judged anew for each request.
#[derive(Default)]
pub(super) struct Seen(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    present: HashSet<[u8; 32]>,
    past: HashSet<[u8; 32]>,
}

impl Seen {
    /// Whether this token was noted.
    pub(super) fn has(&self, token: &str) -> bool {
        let digest = digest(token);
        let mut generations = self.lock();
        if generations.present.contains(&digest) {
            return true;
        }
        let is_past = generations.past.contains(&digest);
        if is_past {
            generations.note(digest);
        }
        is_past
    }

    /// Notes that its signature is good.
    pub(super) fn note(&self, token: &str) {
        self.lock().note(digest(token));
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn note(&mut self, digest: [u8; 32]) {
        if self.present.len() >= MOST {
            self.past = mem::take(&mut self.present);
        }
        self.present.insert(digest);
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tokens_are_known_again_and_not_more_than_there_is_room_for() {
        let seen = Seen::default();
        assert!(!seen.has("a.b.c"));
        seen.note("a.b.c");
        assert!(seen.has("a.b.c") && !seen.has("a.b.d") && !seen.has("a.b"));
        for number in 0..3 * MOST {
            seen.note(&number.to_string());
            assert!(seen.has("a.b.c"), "who is shown again stays");
        }
        assert!(!seen.has("0"));
        let generations = seen.lock();
        assert!(generations.present.len() <= MOST && generations.past.len() <= MOST);
        let room = generations.present.capacity() + generations.past.capacity();
        assert!(room * (size_of::<[u8; 32]>() + 1) <= BYTES);
    }
}
