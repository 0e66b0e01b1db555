//! How many requests to other servers may be under way: for all policies together, and for each gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Owner;

/// A gateway has room for a quarter of all that may be under way, and for no more than this.
const MOST_OF_ONE: usize = 64;

#[derive(Debug)]
pub(super) struct Rooms {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Owner, usize>,
}

/// Room for one request, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    rooms: Arc<Rooms>,
    owner: Owner,
}

impl Rooms {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: Mutex::default() }
    }

    /// Room, if there is any. Nobody waits for it: what waits takes memory too.
    pub(super) fn enter(self: &Arc<Self>, owner: Owner) -> Option<Room> {
        let mut taken = self.lock();
        let of_one = taken.of.get(&owner).copied().unwrap_or_default();
        if taken.all >= self.most || of_one >= (self.most / 4).clamp(1, MOST_OF_ONE) {
            return None;
        }
        taken.all += 1;
        taken.of.insert(owner, of_one + 1);
        Some(Room { rooms: Arc::clone(self), owner })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.rooms.lock();
        taken.all -= 1;
        if let Some(of_one) = taken.of.get_mut(&self.owner) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.of.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use model::id::GatewayInternalId;
    use uuid::Uuid;

    use super::*;

    fn owner(number: u128) -> Owner {
        (AccountId(Uuid::from_u128(1)), GatewayInternalId(Uuid::from_u128(number)))
    }

    #[test]
    fn a_gateway_has_its_share_and_leaves_room_to_others() {
        let rooms = Arc::new(Rooms::new(8));
        let mut held: Vec<_> = (0..2).map(|_| rooms.enter(owner(1)).unwrap()).collect();
        assert!(rooms.enter(owner(1)).is_none());
        held.extend(
            (2..5).flat_map(|other| [rooms.enter(owner(other)), rooms.enter(owner(other))]).flatten(),
        );
        assert_eq!(held.len(), 8);
        assert!(rooms.enter(owner(5)).is_none());
        held.clear();
        assert!(rooms.enter(owner(5)).is_some());
        assert!(rooms.lock().of.is_empty() && rooms.lock().all == 0);
    }
}
