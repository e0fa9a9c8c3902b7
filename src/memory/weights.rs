//! Who holds which weight: equal content is held once, and freed when its last holder goes.

use super::weight_bytes;
use crate::graph::ContentHash;
use std::collections::{BTreeMap, BTreeSet};

/// The holders of every resident weight. Holders are numbered by the pool (a session each).
#[derive(Clone, Debug, Default)]
pub struct WeightBook {
    weights: BTreeMap<ContentHash, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    bytes: u64,
    holders: BTreeSet<u64>,
}

impl WeightBook {
    /// Notes that `holder` needs the weight; `true` where nobody held it before, so that it must be uploaded.
    pub fn hold(&mut self, holder: u64, hash: ContentHash, bytes: u64) -> bool {
        let entry =
            self.weights.entry(hash).or_insert_with(|| Entry { bytes: weight_bytes(bytes), holders: BTreeSet::new() });
        let new = entry.holders.is_empty();
        entry.holders.insert(holder);
        new
    }

    /// Whether the weight is resident.
    pub fn contains(&self, hash: &ContentHash) -> bool {
        self.weights.contains_key(hash)
    }

    /// Lets go of all that `holder` held; the weights that nobody holds any more.
    pub fn release(&mut self, holder: u64) -> Vec<ContentHash> {
        let mut freed = Vec::new();
        self.weights.retain(|hash, entry| {
            if entry.holders.remove(&holder) && entry.holders.is_empty() {
                freed.push(*hash);
                return false;
            }
            true
        });
        freed
    }

    /// Bytes of all weights, each counted once.
    pub fn bytes(&self) -> u64 {
        self.weights.values().map(|e| e.bytes).sum()
    }

    /// Bytes that `holder` holds, and how many of these others hold too.
    pub fn bytes_of(&self, holder: u64) -> (u64, u64) {
        let held = self.weights.values().filter(|e| e.holders.contains(&holder));
        held.fold((0, 0), |(all, shared), e| (all + e.bytes, shared + if e.holders.len() > 1 { e.bytes } else { 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_is_held_once_and_freed_with_its_last_holder() {
        let (a, b) = (ContentHash([1; 16]), ContentHash([2; 16]));
        let mut book = WeightBook::default();
        assert!(book.hold(1, a, 100));
        assert!(!book.hold(2, a, 100));
        assert!(book.hold(2, b, 16));
        assert_eq!(book.bytes(), 112 + 16);
        assert_eq!(book.bytes_of(2), (128, 112));
        assert_eq!(book.release(1), vec![]);
        assert_eq!(book.release(2), vec![a, b]);
        assert_eq!(book.bytes(), 0);
    }
}
