//! Offsets in one arena from lifetimes: greedy by size (Pisarchyk & Lee 2020), against the live-bytes lower bound.

use super::{ALIGNMENT, align};
use std::cmp::Reverse;

/// One tensor to place: its bytes, and the first and last step that need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Size in bytes.
    pub bytes: u64,
    /// First step that writes it.
    pub first: usize,
    /// Last step that reads it, `first` at least.
    pub last: usize,
}

impl Item {
    fn overlaps(&self, other: &Item) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each item lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArenaPlan {
    /// Offset of each item in bytes, a multiple of [`ALIGNMENT`].
    pub offsets: Vec<u64>,
    /// Size of the arena in bytes.
    pub bytes: u64,
    /// Most bytes alive at one step: no plan can be smaller.
    pub live_bytes: u64,
}

/// Times that an order of placing is improved upon.
const TRIES: usize = 48;

/// Places `items` so that no two that are alive at one step share a byte.
pub fn plan_arena(items: &[Item]) -> ArenaPlan {
    let live_bytes = live_bytes(items);
    let mut best = ArenaPlan { offsets: vec![], bytes: u64::MAX, live_bytes };
    // The largest first, and those that live longest first: neither is best for every graph.
    let life = |i: usize| items[i].last - items[i].first;
    for by_life in [false, true] {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&i| {
            let (bytes, life) = (Reverse(items[i].bytes), Reverse(life(i)));
            (by_life.then_some(life), bytes, items[i].first, i)
        });
        for _ in 0..TRIES {
            let (offsets, bytes) = placed(items, &order);
            let top =
                (0..order.len()).find(|&at| offsets[order[at]] + align(items[order[at]].bytes, ALIGNMENT) == bytes);
            if bytes < best.bytes {
                (best.offsets, best.bytes) = (offsets, bytes);
            }
            if best.bytes <= live_bytes {
                return best;
            }
            // What came to lie at the top is placed before all others.
            match top {
                Some(at) if at > 0 => order[..=at].rotate_right(1),
                _ => break,
            }
        }
    }
    best
}

/// The offsets when `items` are placed in `order`, and the bytes that this takes.
fn placed(items: &[Item], order: &[usize]) -> (Vec<u64>, u64) {
    let mut offsets = vec![0u64; items.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for &i in order {
        let size = align(items[i].bytes, ALIGNMENT);
        offsets[i] = lowest_gap(items, &offsets, &placed, i, size);
        bytes = bytes.max(offsets[i] + size);
        // Kept sorted by offset, which is what the search for a gap walks along.
        let at = placed.partition_point(|&j| offsets[j] <= offsets[i]);
        placed.insert(at, i);
    }
    (offsets, bytes)
}

/// The lowest offset at which `size` bytes are free for the whole life of item `i`.
fn lowest_gap(items: &[Item], offsets: &[u64], placed: &[usize], i: usize, size: u64) -> u64 {
    let mut best: Option<(u64, u64)> = None;
    let mut end = 0;
    for &j in placed {
        if !items[i].overlaps(&items[j]) {
            continue;
        }
        if offsets[j] >= end + size {
            let gap = offsets[j] - end;
            if best.is_none_or(|(smallest, _)| gap < smallest) {
                best = Some((gap, end));
            }
        }
        end = end.max(offsets[j] + align(items[j].bytes, ALIGNMENT));
    }
    best.map_or(end, |(_, offset)| offset)
}

fn live_bytes(items: &[Item]) -> u64 {
    let last = items.iter().map(|i| i.last).max().unwrap_or(0);
    let mut change = vec![0i64; last + 2];
    for item in items {
        let size = align(item.bytes, ALIGNMENT) as i64;
        change[item.first] += size;
        change[item.last + 1] -= size;
    }
    let mut alive = 0;
    change.iter().fold(0, |most: i64, delta| {
        alive += delta;
        most.max(alive)
    }) as u64
}

// proptest does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items() -> impl Strategy<Value = Vec<Item>> {
        prop::collection::vec((1u64..20_000, 0usize..30, 0usize..8), 0..40)
            .prop_map(|v| v.into_iter().map(|(bytes, first, n)| Item { bytes, first, last: first + n }).collect())
    }

    proptest! {
        #[test]
        fn nothing_alive_together_shares_a_byte(items in items()) {
            let plan = plan_arena(&items);
            for (i, a) in items.iter().enumerate() {
                prop_assert_eq!(plan.offsets[i] % ALIGNMENT, 0);
                prop_assert!(plan.offsets[i] + a.bytes <= plan.bytes);
                for (j, b) in items.iter().enumerate().skip(i + 1) {
                    let apart = plan.offsets[i] + a.bytes <= plan.offsets[j]
                        || plan.offsets[j] + b.bytes <= plan.offsets[i];
                    prop_assert!(!a.overlaps(b) || apart, "{i} and {j} overlap");
                }
            }
            prop_assert!(plan.bytes >= plan.live_bytes);
        }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let chain: Vec<Item> = [1024, 4096, 2048, 512]
            .iter()
            .enumerate()
            .map(|(i, &bytes)| Item { bytes, first: i, last: i + 1 })
            .collect();
        let plan = plan_arena(&chain);
        assert_eq!(plan.bytes, 6144);
        assert_eq!(plan.live_bytes, 6144);
    }
}
