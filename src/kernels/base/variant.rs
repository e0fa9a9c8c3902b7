//! Ways to compute the same thing: each in a file of its own, tried in one place.
//! Knows only that they are compared; must never know what they compute.

use super::Lowering;
use super::tuning::LOAD;
use crate::error::{Error, Kind, Result};

/// What variants compute.
pub trait Work {
    /// Multiply-adds of the plain way.
    fn multiply_adds(&self) -> usize;

    /// What the plain way weighs: its multiply-adds and, as many as they weigh, its loads. A wide tile loads a seventh of
    /// what it multiplies.
    fn weight(&self) -> usize {
        let count = self.multiply_adds();
        count + count / 7 * LOAD
    }
}

/// One way to compute `W`.
pub trait Variant<W: Work>: Sync {
    /// Whether it can compute `work` on the adapter that `out` is tuned for, and was found to be worth it there.
    fn suits(&self, work: &W, out: &Lowering<'_>) -> bool;

    /// What it weighs, in multiply-adds: the plain way's unless it computes something else.
    fn cost(&self, work: &W, _: &Lowering<'_>) -> usize {
        work.weight()
    }

    /// Appends its dispatches.
    fn lower(&self, work: &W, out: &mut Lowering<'_>) -> Result<()>;
}

/// Appends the dispatches of the variant that suits and costs least: of equal ones the first.
pub fn lower<W: Work>(variants: &[&dyn Variant<W>], work: &W, out: &mut Lowering<'_>) -> Result<()> {
    let suiting = variants.iter().filter(|variant| variant.suits(work, out));
    let best = suiting.min_by_key(|variant| variant.cost(work, out));
    best.ok_or_else(|| Error::new(Kind::Internal, "no kernel computes this"))?.lower(work, out)
}
