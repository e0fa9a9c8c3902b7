//! The contract of an operator's kernels. Knows the graph's contract and dispatches; must never know one operator.

use super::{Lowering, Planes};
use crate::error::Result;
use crate::graph::{Call, Operator};

/// An operator with its GPU kernels.
pub trait Kernel: Operator {
    /// Appends the dispatches that compute the outputs on the GPU.
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()>;

    /// Whether there are any: otherwise the operator runs on a processor only.
    fn on_gpu(&self) -> bool {
        true
    }

    /// Which operands may be planes that lie apart.
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Dense
    }
}

/// What the rooms list: operators with their GPU kernels, or, where nothing is built for a GPU, without.
#[cfg(feature = "wgsl")]
pub type Entry = dyn Kernel;
/// What the rooms list: operators with their GPU kernels, or, where nothing is built for a GPU, without.
#[cfg(not(feature = "wgsl"))]
pub type Entry = dyn Operator;
