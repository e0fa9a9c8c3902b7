//! What a processor could do at best: multiply-adds in registers, and a copy. Knows vectors; must never know a clock.

use super::simd::F4;

/// Sums that are in flight at once: enough for the latency of a multiply-add, few enough for any processor's registers.
const SUMS: usize = 10;
/// Floating-point operations of one turn of [`multiply_adds`].
pub const FLOPS_A_TURN: usize = SUMS * 4 * 2;

/// So many turns of multiply-adds that touch no memory; what they come to, so that they are made.
#[inline(never)]
pub fn multiply_adds(turns: usize, x: f32) -> f32 {
    let x = F4::splat(x);
    let mut sums = [F4::splat(1.0); SUMS];
    for _ in 0..turns {
        // Added to, as an engine copies a sum that is multiplied; of another, so that no product is made before the loop.
        sums = std::array::from_fn(|i| sums[i].madd(x, sums[(i + 1) % SUMS]));
    }
    sums.iter().map(|sum| sum.lanes().iter().sum::<f32>()).sum()
}
