//! A map that is never changed, only replaced: a change copies one of its many parts, and shares the others.
//!
//! Whoever reads holds a map that stays as it is, and waits for nobody.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// So many that a part of a million entries is small, and so few that a copy of the list of them is.
const SHARDS: usize = 4096;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V> {
    hasher: RandomState,
    shards: Vec<Arc<HashMap<K, V>>>,
    len: usize,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        // Empty ones are all the same one.
        Self { hasher: RandomState::new(), shards: vec![Arc::default(); SHARDS], len: 0 }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shards<K, V> {
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.shards.get(self.place(key))?.get(key)
    }

    /// The entry to change, where there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key);
        let shard = self.shards.get_mut(place).filter(|shard| shard.contains_key(key))?;
        Arc::make_mut(shard).get_mut(key)
    }

    /// The entry to change, made if need be.
    pub fn get_or_default(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(key);
        let shard = Arc::make_mut(&mut self.shards[place]);
        if !shard.contains_key(key) {
            self.len += 1;
        }
        shard.entry(key.clone()).or_default()
    }

    /// What the entry was before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.place(&key);
        let before = Arc::make_mut(&mut self.shards[place]).insert(key, value);
        self.len += usize::from(before.is_none());
        before
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key);
        let removed = Arc::make_mut(&mut self.shards[place]).remove(key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    pub fn len(&self) -> usize {
        self.len
    }

    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_is() {
        let mut map: Shards<u32, u32> = Shards::default();
        for number in 0..10_000 {
            assert_eq!(map.insert(number, number), None);
        }
        let before = map.clone();
        *map.get_mut(&7).unwrap() = 70;
        *map.get_or_default(&10_000) += 1;
        assert_eq!(map.remove(&8), Some(8));
        assert_eq!(map.remove(&8), None);
        assert_eq!(map.insert(9, 90), Some(9));
        assert_eq!((map.get(&7), map.get(&8), map.get(&9), map.get(&10_000)), (Some(&70), None, Some(&90), Some(&1)));
        assert_eq!((map.len(), before.len()), (10_000, 10_000));
        assert_eq!((before.get(&7), before.get(&8), before.get(&10_000)), (Some(&7), Some(&8), None));
        assert!(map.get_mut(&20_000).is_none());
    }
}
