//! What is remembered for many owners, within a bound for all and one for each, so that no owner can have what
//! is others' forgotten.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by owner and key. When there is no room, what was not asked for the longest goes: the owner's own if he
/// has his share, else that of who has most.
#[derive(Debug)]
pub(super) struct Shares<O, K, V> {
    owners: HashMap<O, Owned<K, V>>,
    weight: usize,
    most: usize,
    most_of_one: usize,
}

#[derive(Debug)]
struct Owned<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order in which they were last asked for.
    order: BTreeMap<u64, K>,
    next: u64,
    weight: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    asked: u64,
}

impl<O: Copy + Eq + Hash, K: Clone + Eq + Hash, V> Shares<O, K, V> {
    /// Room for `most`, and for `most_of_one` of each owner. One value of each has room in any case.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { owners: HashMap::new(), weight: 0, most, most_of_one }
    }

    /// The value under a key, which is made if there is none.
    pub(super) fn of(&mut self, owner: O, key: K, weight: usize, make: impl FnOnce() -> V) -> &mut V {
        let is_known = self.owners.get(&owner).is_some_and(|owned| owned.entries.contains_key(&key));
        if !is_known {
            self.make_room(owner, weight);
            self.weight += weight;
        }
        let owned = self.owners.entry(owner).or_default();
        let asked = owned.next;
        owned.next += 1;
        owned.order.insert(asked, key.clone());
        if !is_known {
            owned.weight += weight;
        }
        let entry = owned.entries.entry(key).or_insert_with(|| Entry { value: make(), weight, asked });
        if entry.asked != asked {
            owned.order.remove(&entry.asked);
            entry.asked = asked;
        }
        &mut entry.value
    }

    /// The value under a key, if there is one. Looking at it does not keep it.
    pub(super) fn get(&self, owner: O, key: &K) -> Option<&V> {
        self.owners.get(&owner)?.entries.get(key).map(|entry| &entry.value)
    }

    /// Says what a value weighs by now, if it is still there.
    pub(super) fn reweigh(&mut self, owner: O, key: &K, weight: usize) {
        let Some(owned) = self.owners.get_mut(&owner) else { return };
        let Some(entry) = owned.entries.get_mut(key) else { return };
        self.weight = self.weight - entry.weight + weight;
        owned.weight = owned.weight - entry.weight + weight;
        entry.weight = weight;
        self.make_room(owner, 0);
    }

    /// Forgets the owner's oldest values while they are of no use any more, but a few at most, so that nobody waits
    /// for it.
    pub(super) fn forget_useless(&mut self, owner: O, is_useless: impl Fn(&V) -> bool) {
        for _ in 0..2 {
            let Some(owned) = self.owners.get(&owner) else { return };
            let oldest = owned.order.first_key_value().and_then(|(_, key)| owned.entries.get(key));
            if !oldest.is_some_and(|entry| is_useless(&entry.value)) {
                return;
            }
            self.forget_oldest(owner);
        }
    }

    fn make_room(&mut self, owner: O, weight: usize) {
        let of_one = |shares: &Self| shares.owners.get(&owner).map_or(0, |owned| owned.weight);
        while of_one(self) + weight > self.most_of_one && self.forget_oldest(owner) {}
        while self.weight + weight > self.most {
            let heaviest = self.owners.iter().max_by_key(|(_, owned)| owned.weight).map(|(owner, _)| *owner);
            if !heaviest.is_some_and(|owner| self.forget_oldest(owner)) {
                return;
            }
        }
    }

    fn forget_oldest(&mut self, owner: O) -> bool {
        let Some(owned) = self.owners.get_mut(&owner) else { return false };
        let oldest = owned.order.pop_first().and_then(|(_, key)| owned.entries.remove(&key));
        let weight = oldest.as_ref().map_or(0, |entry| entry.weight);
        owned.weight -= weight;
        self.weight -= weight;
        if owned.entries.is_empty() {
            self.owners.remove(&owner);
        }
        oldest.is_some()
    }
}

impl<K, V> Default for Owned<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0, weight: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(shares: &Shares<u8, u32, u32>, owner: u8) -> Vec<u32> {
        shares.owners.get(&owner).map(|owned| owned.order.values().copied().collect()).unwrap_or_default()
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut shares = Shares::new(100, 3);
        for key in [1, 2, 3, 1, 4] {
            shares.of(1, key, 1, || key);
        }
        assert_eq!(keys(&shares, 1), [3, 1, 4]);
    }

    #[test]
    fn who_has_most_gives_way_and_others_keep_theirs() {
        let mut shares = Shares::new(4, 3);
        for (owner, key) in [(1, 1), (2, 1), (2, 2), (2, 3), (2, 4), (3, 1)] {
            shares.of(owner, key, 1, || key);
        }
        assert_eq!((keys(&shares, 1), keys(&shares, 2), keys(&shares, 3)), (vec![1], vec![3, 4], vec![1]));
    }

    #[test]
    fn what_has_grown_makes_others_go() {
        let mut shares = Shares::new(100, 10);
        shares.of(1, 1, 1, || 1);
        shares.of(1, 2, 1, || 2);
        shares.reweigh(1, &2, 10);
        assert_eq!(keys(&shares, 1), [2]);
        shares.forget_useless(1, |value| *value == 2);
        assert!(shares.owners.is_empty() && shares.weight == 0);
    }

    proptest! {
        #[test]
        fn bounds_hold_and_sums_are_right(steps in prop::collection::vec((0u8..4, 0u32..12, 1usize..5, any::<bool>()), 0..200)) {
            let mut shares = Shares::new(20, 8);
            for (owner, key, weight, grows) in steps {
                if grows {
                    shares.reweigh(owner, &key, weight);
                } else {
                    shares.of(owner, key, weight, || key);
                }
                let sum: usize = shares.owners.values().map(|owned| owned.weight).sum();
                prop_assert_eq!(sum, shares.weight);
                prop_assert!(shares.weight <= 20);
                for owned in shares.owners.values() {
                    let sum: usize = owned.entries.values().map(|entry| entry.weight).sum();
                    prop_assert_eq!(sum, owned.weight);
                    prop_assert!(owned.weight <= 8 && !owned.entries.is_empty());
                    prop_assert_eq!(owned.entries.len(), owned.order.len());
                }
            }
        }
    }
}
