//! Key sets that tokens are checked with, brought from where identity providers publish them.
//!
//! A set is used for a quarter of an hour. Then it is brought again, or earlier if a token names a key that it has
//! not, though not within a minute of the last time. If that fails the old set is used on, until it is an hour
//! old: who takes a key back must know that a token may be believed for so long. Without a usable set
//! nobody comes in; it is then asked for again after a few seconds. Sets are kept for each account, so that
//! no account can push out or hold back what another needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use egress::{Bounds, Egress};
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use model::AccountId;
use policy::actions::jwt_validation::KeySet;
use policy::run::{KeysWanted, Unavailable};
use tracing::info;

use super::Owner;
use super::rooms::Rooms;
use super::shares::Shares;

/// For so long a set is used without asking.
const FRESH: Duration = Duration::from_mins(15);
/// For so long it is used if it cannot be brought again.
const OLD: Duration = Duration::from_hours(1);
/// A set is not brought again earlier than this because a key is missing in it.
const PAUSE: Duration = Duration::from_mins(1);
/// After a failure it is not tried again for so long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long bringing may take, and how long a set may be.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(5), bytes: 256 * 1024 };
/// How many redirects are followed, within the host.
const REDIRECTS: u8 = 3;
/// The longest address that is asked.
const LONGEST_URL: usize = 16 * 1024;
/// An account must have room for the longest set, or it would be brought for every request.
const LEAST: usize = 4 * (BOUNDS.bytes + KeySet::OVERHEAD + 2 * LONGEST_URL);

#[derive(Debug)]
pub(super) struct KeySets {
    slots: Slots,
}

type Slots = Arc<Mutex<Shares<AccountId, Arc<str>, Arc<Slot>>>>;

/// What is known of one address.
#[derive(Debug, Default)]
struct Slot {
    known: Mutex<Known>,
    /// Held by who brings it.
    bringing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    set: Option<(Arc<KeySet>, Instant)>,
    tried: Option<Instant>,
    failed: bool,
}

enum Decision {
    Use(Arc<KeySet>),
    /// Bring it; until then there may be an old one.
    Bring(Option<Arc<KeySet>>),
    None,
}

impl KeySets {
    /// Keeps sets that take so many bytes together; a quarter of them for one account, which is one set at least.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(LEAST);
        Self { slots: Arc::new(Mutex::new(Shares::new(most, most / 4))) }
    }

    pub(super) async fn bring(
        &self,
        owner: Owner,
        wanted: &KeysWanted,
        egress: &Egress,
        rooms: &Arc<Rooms>,
        now: Instant,
    ) -> Result<Arc<KeySet>, Unavailable> {
        if wanted.url.len() > LONGEST_URL {
            return Err(Unavailable);
        }
        let url: Arc<str> = wanted.url.as_str().into();
        let slot = {
            let weight = KeySet::OVERHEAD + 2 * url.len();
            Arc::clone(lock(&self.slots).of(owner.0, Arc::clone(&url), weight, Arc::default))
        };
        let turn = match slot.decision(wanted.fresh, now) {
            Decision::Use(set) => return Ok(set),
            Decision::None => return Err(Unavailable),
            // Who can do with the old set does not wait for whoever brings the new one.
            Decision::Bring(Some(old)) if !wanted.fresh => {
                match Arc::clone(&slot.bringing).try_lock_owned() {
                    Ok(turn) => turn,
                    Err(_) => return Ok(old),
                }
            }
            Decision::Bring(_) => Arc::clone(&slot.bringing).lock_owned().await,
        };
        // Somebody else may have brought it in the meantime.
        match slot.decision(wanted.fresh, now) {
            Decision::Use(set) => return Ok(set),
            Decision::None => return Err(Unavailable),
            Decision::Bring(_) => {}
        }
        let Some(room) = rooms.enter(owner) else { return slot.usable(now).ok_or(Unavailable) };
        let (egress, slots) = (egress.clone(), Arc::clone(&self.slots));
        // Whoever asked may hang up; others wait for it, and what was begun counts as tried.
        let bringing = tokio::spawn(async move {
            let brought = brought(&egress, &url).await;
            if let Err(reason) = brought {
                info!(gateway.id = %owner.1, "A key set that a traffic policy names was not brought: {reason}");
            }
            let length = slot.tried(brought.ok(), now);
            if let Some(length) = length {
                lock(&slots).reweigh(owner.0, &url, KeySet::OVERHEAD + 2 * url.len() + length);
            }
            drop((turn, room));
            slot.usable(now)
        });
        bringing.await.ok().flatten().ok_or(Unavailable)
    }
}

impl Slot {
    fn decision(&self, fresh: bool, now: Instant) -> Decision {
        let known = lock(&self.known);
        let usable = known.usable(now);
        if let (Some(set), false) = (&usable, fresh)
            && known.age(now).is_some_and(|age| age < FRESH)
        {
            return Decision::Use(Arc::clone(set));
        }
        let pause = match (fresh, known.failed) {
            (true, _) if usable.is_some() => PAUSE,
            (_, true) => PAUSE_AFTER_FAILURE,
            (_, false) => Duration::ZERO,
        };
        let rests = known.tried.is_some_and(|tried| now.saturating_duration_since(tried) < pause);
        match usable {
            Some(set) if rests => Decision::Use(set),
            None if rests => Decision::None,
            usable => Decision::Bring(usable),
        }
    }

    fn usable(&self, now: Instant) -> Option<Arc<KeySet>> {
        lock(&self.known).usable(now)
    }

    /// Remembers what a try brought, and says how long it is.
    fn tried(&self, brought: Option<(KeySet, usize)>, now: Instant) -> Option<usize> {
        let mut known = lock(&self.known);
        known.tried = Some(now);
        known.failed = brought.is_none();
        let (set, length) = brought?;
        known.set = Some((Arc::new(set), now));
        Some(length)
    }
}

impl Known {
    fn age(&self, now: Instant) -> Option<Duration> {
        self.set.as_ref().map(|(_, brought)| now.saturating_duration_since(*brought))
    }

    fn usable(&self, now: Instant) -> Option<Arc<KeySet>> {
        let (set, _) = self.set.as_ref()?;
        self.age(now).filter(|age| *age < OLD).map(|_| Arc::clone(set))
    }
}

/// Brings a set. The reasons name no part of the address: it may have a secret in it.
async fn brought(egress: &Egress, url: &str) -> Result<(KeySet, usize), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "its address is not one that can be called")?;
    let request = Request::get(uri)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, "tollgate")
        .body(Bytes::new())
        .map_err(|_| "its address is not one that can be called")?;
    let answer = egress.follow(request, BOUNDS, REDIRECTS).await.map_err(|_| "there was no answer")?;
    if answer.response.status() != StatusCode::OK {
        return Err("the answer had another status than 200");
    }
    let document = answer.response.into_body();
    let set = KeySet::parse(&document).map_err(|_| "the answer was no key set")?;
    Ok((set, document.len()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
