//! What suites are made of: refusals, and shapes at random. Must never know an operator.

use crate::case::Case;
use fastrand::Rng;
use std::ops::Range;

/// A case that must be refused, with words that its message has.
pub type Refusal = (Case, &'static [&'static str]);

/// A random shape: how many dimensions, and how large each.
pub(super) fn dims(rng: &mut Rng, rank: Range<usize>, size: Range<usize>) -> Vec<usize> {
    let rank = rng.usize(rank);
    (0..rank).map(|_| rng.usize(size.clone())).collect()
}

/// The shape, or one that broadcasts to it: some dimensions 1, some leading ones left out.
pub(super) fn narrowed(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let from = if rng.u8(0..3) == 0 { rng.usize(0..=shape.len()) } else { 0 };
    shape[from..].iter().map(|&d| if rng.u8(0..3) == 0 { 1 } else { d }).collect()
}
