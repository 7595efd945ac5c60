//! A bounded cache: recently used values stay, within a limit of bytes.
//!
//! The cache has two generations. A value that is used moves to the young generation. When the young one has
//! half of the limit, it becomes the old one, and old values that were not used since are dropped. There is
//! no list to keep in order, and the limit holds for any size of the store.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key, the latest used.
pub(crate) struct Cache<K, V> {
    limit: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    /// The bytes of the young ones.
    bytes: usize,
    old: HashMap<K, (V, usize)>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// A cache of at most `limit` bytes, which always keeps the last value.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                bytes: 0,
                old: HashMap::new(),
            }),
        }
    }

    /// A cache of this many thirty-seconds of the tree's cache.
    pub(crate) fn sharing(cache_bytes: u64, parts: u64) -> Self {
        let limit = cache_bytes.saturating_mul(parts) / 32;
        Self::new(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// The value of a key, if it was kept.
    pub(crate) fn value<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, cost)) = generations.old.remove_entry(key)?;
        generations.put(key, value.clone(), cost, self.limit);
        Some(value)
    }

    /// Keeps a value that takes `cost` bytes, in place of the one of the same key.
    pub(crate) fn put(&self, key: K, value: V, cost: usize) {
        let mut generations = self.lock();
        generations.old.remove(&key);
        generations.put(key, value, cost, self.limit);
    }

    /// Forgets a value.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.lock();
        if let Some((_, cost)) = generations.young.remove(key) {
            debug_assert!(cost <= generations.bytes, "the sum holds each young value");
            generations.bytes = generations.bytes.saturating_sub(cost);
        }
        generations.old.remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations<K, V>> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn put(&mut self, key: K, value: V, cost: usize, limit: usize) {
        if self.bytes.saturating_add(cost) > limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += cost;
        if let Some((_, before)) = self.young.insert(key, (value, cost)) {
            debug_assert!(before <= self.bytes, "the sum holds each young value");
            self.bytes = self.bytes.saturating_sub(before);
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("limit", &self.limit).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten_within_the_limit() {
        let cache = Cache::new(100);
        for n in 0..1_000_u32 {
            cache.put(n, n, 10);
            assert_eq!(cache.value(&0), Some(0));
        }
        let kept = (0..1_000_u32).filter(|n| cache.value(n).is_some()).count();
        assert!(kept <= 10, "{kept} values of 10 bytes each");
    }

    #[test]
    fn what_is_kept_is_a_part_of_the_memory_that_was_given() {
        for cache_bytes in [1_u64 << 20, 16 << 20] {
            let cache = Cache::sharing(cache_bytes, 6);
            for n in 0..4_000_u32 {
                cache.put(n, n, 1_024);
            }
            let kept = (0..4_000_u32).filter(|n| cache.value(n).is_some());
            let kept = kept.count() as u64 * 1_024;
            let most = cache_bytes / 32 * 6;
            assert!(kept <= most && kept >= most / 3, "{kept} of {most}");
        }
    }

    #[test]
    fn a_removed_or_replaced_value_is_not_found_again() {
        let cache = Cache::new(100);
        cache.put("a", 1, 40);
        cache.put("b", 1, 40);
        cache.put("a", 2, 40);
        assert_eq!(cache.value("a"), Some(2));
        cache.remove("b");
        assert_eq!(cache.value("b"), None);
    }
}
