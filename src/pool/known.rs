//! What was measured of an adapter and holds for the next pool on it: which kernel variants are fastest, and the share of
//! its ceilings that each class reaches. Knows numbers and their bounds; must never know where they are kept.

use crate::error::Result;
use crate::kernels::{Class, Tuning};
use crate::lane::gpu::AdapterFacts;
use crate::lane::host::LocalFuture;
use crate::program::probe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the next pool on the same adapter need not measure. Ceilings are not here: they change with what else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Name of the kernels that were measured.
    pub kernels: String,
    /// The fastest variants.
    pub tuning: Tuning,
    /// For each class, the share of the ceilings that its probe reached, in (0, 1].
    pub shares: BTreeMap<Class, f64>,
}

/// What comes from a [`Shelf`], when it comes.
pub type Recalled = LocalFuture<Option<Known>>;

/// Where a page keeps what was measured, by [`fingerprint`].
pub trait Shelf {
    /// What was kept under `key`, if anything can be read.
    fn recall(&self, key: &str) -> Recalled;
    /// Keeps `known` under `key` where that is possible.
    fn keep(&self, key: &str, known: &Known);
}

impl Known {
    /// Whether a pool with these kernels can go by it.
    pub(super) fn holds(&self, kernels: &str) -> bool {
        self.kernels == kernels
            && self.tuning.is_known()
            && Class::ALL.iter().all(|class| self.shares.get(class).is_some_and(|&s| s > 0.0 && s <= 1.0))
    }
}

/// Name of this combination of adapter, features and limits.
pub(super) fn fingerprint(facts: &AdapterFacts) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in [&facts.vendor, &facts.architecture, &facts.device, &facts.description] {
        hasher.update(text.as_bytes()).update(&[0]);
    }
    facts.features.iter().for_each(|f| {
        hasher.update(f.as_bytes()).update(&[0]);
    });
    for (name, value) in &facts.limits {
        hasher.update(name.as_bytes()).update(&value.to_le_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Name of the kernels that probes measure: another release may have others.
pub(super) fn kernels() -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    // Any size of subgroups: the kernels differ in no more.
    for tuning in Tuning::all(4).into_iter().chain(Tuning::HARDWARE.products()) {
        let mut programs = vec![probe::attention(tuning, 1)?];
        for class in Class::ALL {
            programs.extend(probe::class(class, tuning, 1)?);
        }
        for kernel in programs.iter().flat_map(|program| &program.kernels) {
            hasher.update(kernel.wgsl.as_bytes()).update(&[0]);
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_these_kernels_or_out_of_bounds_is_not_believed() {
        let shares: BTreeMap<Class, f64> = Class::ALL.into_iter().map(|class| (class, 0.5)).collect();
        let known = Known { kernels: kernels().unwrap(), tuning: Tuning::SOFTWARE, shares };
        assert!(known.holds(&kernels().unwrap()));
        assert!(!known.holds("others"));
        for share in [0.0, 1.5, f64::NAN] {
            let mut other = known.clone();
            other.shares.insert(Class::Conv, share);
            assert!(!other.holds(&known.kernels), "a share of {share}");
        }
        let mut few = known.clone();
        few.shares.remove(&Class::Pool);
        assert!(!few.holds(&known.kernels));
        let odd = Known { tuning: Tuning { accumulators: 1 << 20, ..Tuning::SOFTWARE }, ..known.clone() };
        assert!(!odd.holds(&known.kernels));
    }
}
