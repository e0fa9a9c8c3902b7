//! What was measured of a lane and holds for the next pool on it: which kernel variants are fastest, and the share of
//! its ceilings that each class reaches; and what was learned there. Knows numbers and their bounds; must never know where they are kept.

use crate::kernels::{Class, Tuning};
use crate::lane::host::LocalFuture;
use crate::records::Refit;
use crate::refine::Learned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the next pool on the same device need not measure. Ceilings are not here: they change with what else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Name of the kernels that were measured.
    #[serde(default)]
    pub kernels: String,
    /// The fastest variants.
    #[serde(default = "guess")]
    pub tuning: Tuning,
    /// For each class, the share of the ceilings that its probe reached, up to [`Class::MOST_SHARE`].
    #[serde(default)]
    pub shares: BTreeMap<Class, f64>,
    /// What executions took there.
    #[serde(default)]
    pub learned: Learned,
    /// What became of refits there: for whoever reads records.
    #[serde(default, skip_deserializing)]
    pub refits: Vec<Refit>,
}

/// What comes from a [`Shelf`], when it comes.
pub type Recalled = LocalFuture<Option<Known>>;

/// Where a page keeps what was measured, by the fingerprint of a lane's [`crate::lane::Facts`].
pub trait Shelf {
    /// What was kept under `key`, if anything can be read.
    fn recall(&self, key: &str) -> Recalled;
    /// Keeps `known` under `key` where that is possible.
    fn keep(&self, key: &str, known: &Known);
}

/// Records may come from where nothing was tuned yet.
fn guess() -> Tuning {
    Tuning::SOFTWARE
}

impl Known {
    /// What was measured, without what was learned.
    pub(super) fn of(kernels: String, tuning: Tuning, shares: BTreeMap<Class, f64>) -> Known {
        Known { kernels, tuning, shares, learned: Learned::default(), refits: vec![] }
    }

    /// Whether a pool with these kernels can go by it.
    pub(super) fn holds(&self, kernels: &str) -> bool {
        self.kernels == kernels
            && self.tuning.is_known()
            && self.learned.sound()
            && Class::ALL.iter().all(|class| self.shares.get(class).is_some_and(|&s| s > 0.0 && s <= Class::MOST_SHARE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_these_kernels_or_out_of_bounds_is_not_believed() {
        let shares: BTreeMap<Class, f64> = Class::ALL.into_iter().map(|class| (class, 0.5)).collect();
        let known = Known::of("these".to_owned(), Tuning::SOFTWARE, shares);
        assert!(known.holds("these"));
        assert!(!known.holds("others"));
        for share in [0.0, 20.0, f64::NAN] {
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
