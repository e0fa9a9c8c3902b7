//! What kernels choose their variants by: found out on the adapter at hand, or fixed by a test.
//! Knows numbers only; must never know an adapter's name.

use serde::{Deserialize, Serialize};

/// What loading one element weighs beside one multiply-add when tiles are chosen: an estimate, made on SwiftShader.
pub(super) const LOAD: usize = 8;

/// How large a thread's tile may be, and how many threads keep the adapter busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuning {
    /// Sums that one thread may hold at once.
    pub accumulators: usize,
    /// Threads below which the adapter idles.
    pub threads: usize,
    /// Threads of a product's workgroup along its columns.
    pub across: usize,
    /// Whether 3×3 convolutions may take fewer multiply-adds for more loads and stores.
    pub winograd: bool,
    /// Whether threads of a workgroup may wait for each other at little cost.
    pub barriers: bool,
}

impl Tuning {
    /// What suits most hardware: sums that stay in registers, threads for many cores.
    pub const HARDWARE: Tuning = Tuning { accumulators: 64, threads: 512, across: 8, winograd: false, barriers: true };
    /// What suits an adapter on a few CPU cores: its loads cost more than sums spilled to its cache.
    pub const SOFTWARE: Tuning = Tuning { accumulators: 256, threads: 64, across: 4, winograd: true, barriers: false };
    /// Every set that a lane chooses from, the safest first.
    pub const ALL: [Tuning; 2] = [Tuning::HARDWARE, Tuning::SOFTWARE];
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning::HARDWARE
    }
}
