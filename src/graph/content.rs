//! Names of contents: equal bytes have equal names. Knows bytes; must never know what they are of.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_128_with_seed;

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

/// Gathers what a name is of that is the same in every process: what is made of contents, whose names are among the bytes, or a machine.
#[derive(Clone, Debug, Default)]
pub struct Naming(Vec<u8>);

impl Naming {
    /// More bytes.
    pub fn add(&mut self, bytes: &[u8]) -> &mut Naming {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The name of all so far.
    pub fn name(&self) -> ContentHash {
        ContentHash(xxh3_128_with_seed(&self.0, 0).to_le_bytes())
    }
}

impl ContentHash {
    /// The name of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(xxh3_128_with_seed(bytes, SEED.load(Ordering::Relaxed)).to_le_bytes())
    }
}

impl fmt::Display for ContentHash {
    /// Its first half, in hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_a_bit_or_in_length_has_another_name() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i / 7) as u8).collect();
        for len in [1, 16, 100, 200, 241, 1024, 10_000] {
            let own = ContentHash::of(&bytes[..len]);
            assert_eq!(own, ContentHash::of(&bytes.clone()[..len]));
            assert_ne!(own, ContentHash::of(&bytes[..len - 1]));
            for at in [0, len / 2, len - 1] {
                let mut other = bytes[..len].to_vec();
                other[at] ^= 1;
                assert_ne!(own, ContentHash::of(&other), "{len} bytes, but for that at {at}");
            }
        }
        let named = Naming::default().add(b"one").add(b"two").name();
        assert_eq!(named, Naming::default().add(b"onetwo").name());
        assert_eq!(named.to_string().len(), 16);
    }
}
