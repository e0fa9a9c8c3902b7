//! Names of contents: equal bytes have equal names. Knows bytes; must never know what they are of.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

/// Name of a constant's device bytes, element type and shape left out: equal bytes are stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentHash(pub [u8; 16]);

static SEED: AtomicU64 = AtomicU64::new(0);

/// Has contents be named by `seed`, unless another was given before. It is to be one that no maker of models can know: he could make weights
/// that are taken for those of another model, which a fast hash does not keep him from.
pub fn seed(seed: u64) {
    // The first counts: names by two of them do not meet.
    let _ = SEED.compare_exchange(0, seed, Ordering::Relaxed, Ordering::Relaxed);
}

/// Takes in bytes one after another.
#[derive(Clone)]
pub struct Naming(Xxh3);

impl Naming {
    /// Of contents.
    pub fn of_content() -> Naming {
        Naming(Xxh3::with_seed(SEED.load(Ordering::Relaxed)))
    }

    /// Of what is made of contents, whose names are among the bytes: the same in every process.
    pub fn of_names() -> Naming {
        Naming(Xxh3::new())
    }

    /// More of them.
    pub fn add(&mut self, bytes: &[u8]) -> &mut Naming {
        self.0.update(bytes);
        self
    }

    /// The name of all so far.
    pub fn name(&self) -> ContentHash {
        ContentHash(self.0.digest128().to_le_bytes())
    }
}

impl ContentHash {
    /// The name of `bytes`, as [`Naming::of_content`] gives it.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(xxh3_128_with_seed(bytes, SEED.load(Ordering::Relaxed)).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_name_however_they_come() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i / 7) as u8).collect();
        for (len, piece) in [(0, 1), (1, 1), (200, 7), (241, 100), (10_000, 333)] {
            let mut naming = Naming::of_content();
            for piece in bytes[..len].chunks(piece) {
                naming.add(piece);
            }
            assert_eq!(naming.name(), ContentHash::of(&bytes[..len]));
        }
        let mut other = bytes.clone();
        other[9_999] ^= 1;
        assert_ne!(ContentHash::of(&bytes), ContentHash::of(&other));
        assert_ne!(ContentHash::of(&bytes), ContentHash::of(&bytes[1..]));
    }
}
