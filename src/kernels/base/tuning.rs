//! What kernels choose their variants by: found out on the adapter at hand, or fixed by a test.
//! Knows numbers only; must never know an adapter's name.

use serde::{Deserialize, Serialize};

/// What loading one element weighs beside one multiply-add when tiles are chosen: an estimate, made on SwiftShader.
pub(in crate::kernels) const LOAD: usize = 8;
/// Threads of a quad.
pub const QUAD: usize = 4;

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
    /// Whether a product's workgroups bring operands into memory that their threads share.
    pub shared: bool,
    /// Whether attention is one kernel past which keys and values stream.
    pub streams: bool,
    /// Threads, a power of two, that hand each other values without waiting; none where 0. What a device says it has at
    /// least.
    pub subgroups: usize,
    /// Whether the four threads of a quad lend each other what a product or convolution reads.
    pub quads: bool,
    /// Whether products may multiply f16, which a caller has to allow: their workgroups share operands then.
    pub halved: bool,
}

impl Tuning {
    /// What suits most hardware: sums that stay in registers, threads for many cores.
    pub const HARDWARE: Tuning = Tuning {
        accumulators: 64,
        threads: 512,
        across: 8,
        winograd: false,
        barriers: true,
        shared: false,
        streams: true,
        subgroups: 0,
        quads: false,
        halved: false,
    };
    /// The same with products whose operands the threads of a workgroup share.
    pub const SHARED: Tuning = Tuning { shared: true, ..Tuning::HARDWARE };
    /// What suits an adapter on a few CPU cores: its loads cost more than sums spilled to its cache.
    pub const SOFTWARE: Tuning = Tuning {
        accumulators: 256,
        threads: 64,
        across: 4,
        winograd: true,
        barriers: false,
        shared: false,
        streams: false,
        subgroups: 0,
        quads: false,
        halved: false,
    };
    /// What suits one whose compiler optimises, as llvmpipe's does: it keeps few sums in registers, and takes seconds for
    /// each wide tile.
    pub const NARROW: Tuning = Tuning { accumulators: 64, across: 8, ..Tuning::SOFTWARE };
    /// [`Tuning::SOFTWARE`] where the threads of a quad lend each other what a product or convolution reads: needs
    /// subgroups of four.
    pub const QUADS: Tuning = Tuning { quads: true, ..Tuning::SOFTWARE };
    /// The sets that products are chosen from, the safest first.
    pub const PRODUCTS: [Tuning; 5] =
        [Tuning::HARDWARE, Tuning::SHARED, Tuning::NARROW, Tuning::SOFTWARE, Tuning::QUADS];
    /// Sets in which every variant of every family is that needs no subgroups.
    pub const ALL: [Tuning; 4] =
        [Tuning::HARDWARE, Tuning::SHARED, Tuning::SOFTWARE, Tuning { streams: true, ..Tuning::SOFTWARE }];

    /// More threads than any adapter needs to be busy.
    pub const MOST_THREADS: usize = 1 << 22;

    /// The same with attention as one kernel, and as several.
    pub fn attentions(self) -> [Tuning; 2] {
        [true, false].map(|streams| Tuning { streams, ..self })
    }

    /// The same with rows whose threads work apart, and with subgroups of `size` that share them.
    pub fn rows(self, size: usize) -> [Tuning; 2] {
        [0, size].map(|subgroups| Tuning { subgroups, ..self })
    }

    /// The same with products whose threads read apart, and with quads that lend each other what they read.
    pub fn lending(self) -> [Tuning; 2] {
        [false, true].map(|quads| Tuning { quads, ..self })
    }

    /// The same with products of f32, and of f16.
    pub fn products(self) -> [Tuning; 2] {
        [false, true].map(|halved| Tuning { halved, ..self })
    }

    /// Every variant of every family on a device whose subgroups have `size` threads at least; 0 where it has none.
    pub fn all(size: usize) -> Vec<Tuning> {
        let with = [Tuning::HARDWARE, Tuning::QUADS].map(|set| Tuning { subgroups: size, ..set });
        Tuning::ALL.into_iter().chain(with.into_iter().filter(|_| size >= QUAD)).collect()
    }

    /// The same for a session whose caller does not allow f16.
    pub fn whole(self) -> Tuning {
        Tuning { halved: false, ..self }
    }

    /// The same with 3×3 convolutions by way of Winograd's transforms, and without.
    pub fn convolutions(self) -> [Tuning; 2] {
        [false, true].map(|winograd| Tuning { winograd, ..self })
    }

    /// By how much more than its work takes what has only `threads` threads.
    pub(in crate::kernels) fn starved(self, threads: usize) -> f64 {
        let idle = (self.threads as f64 / threads as f64).max(1.0);
        // Of many cores those without a thread do nothing; a few cores are busy with the rest of the program sooner.
        if self.barriers { idle } else { idle.sqrt() }
    }

    /// Whether a lane may choose it.
    pub fn is_known(self) -> bool {
        let Tuning { threads, winograd, .. } = self;
        let of = |set: Tuning| Tuning {
            streams: set.streams,
            subgroups: set.subgroups,
            threads: set.threads,
            winograd: set.winograd,
            ..self.whole()
        };
        let known =
            |set: Tuning| of(set) == set && (set.barriers || (threads, winograd) == (set.threads, set.winograd));
        (self.subgroups == 0 || self.subgroups.is_power_of_two())
            && threads.is_power_of_two()
            && threads <= Tuning::MOST_THREADS
            && Tuning::PRODUCTS.into_iter().any(known)
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning::HARDWARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_keeps_is_taken_only_if_a_lane_may_have_chosen_it() {
        let measured = Tuning { threads: 16384, winograd: true, subgroups: 32, ..Tuning::SHARED };
        assert!(Tuning::PRODUCTS.into_iter().chain([measured]).all(Tuning::is_known));
        let others = [
            Tuning { threads: 3, ..measured },
            Tuning { threads: 2 * Tuning::MOST_THREADS, ..measured },
            Tuning { accumulators: 1, ..measured },
            Tuning { subgroups: 5, ..measured },
            Tuning { threads: 16384, ..Tuning::SOFTWARE },
        ];
        assert!(!others.into_iter().any(Tuning::is_known));
    }
}
