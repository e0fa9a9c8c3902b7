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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, TensorType};

    struct Taps(usize);

    impl Work for Taps {
        fn multiply_adds(&self) -> usize {
            self.0
        }
    }

    /// Leaves a tensor of as many elements as its name says.
    struct Way {
        name: usize,
        suits: bool,
        spares: usize,
    }

    impl Variant<Taps> for Way {
        fn suits(&self, _: &Taps, _: &Lowering<'_>) -> bool {
            self.suits
        }

        fn cost(&self, work: &Taps, _: &Lowering<'_>) -> usize {
            work.weight() - self.spares
        }

        fn lower(&self, _: &Taps, out: &mut Lowering<'_>) -> Result<()> {
            out.temporary(TensorType::new(DType::Float32, vec![self.name]));
            Ok(())
        }
    }

    fn chosen(ways: &[Way]) -> Option<usize> {
        let mut out = Lowering::default();
        let list: Vec<&dyn Variant<Taps>> = ways.iter().map(|way| way as &dyn Variant<Taps>).collect();
        lower(&list, &Taps(700), &mut out).ok()?;
        out.tensors.first().map(|tensor| tensor.ty.len())
    }

    #[test]
    fn the_cheapest_that_suits_is_taken_and_of_equal_ones_the_first() {
        let way = |name, suits, spares| Way { name, suits, spares };
        assert_eq!(chosen(&[way(1, true, 0), way(2, true, 0)]), Some(1));
        assert_eq!(chosen(&[way(1, true, 0), way(2, true, 5)]), Some(2));
        assert_eq!(chosen(&[way(1, false, 9), way(2, true, 0), way(3, true, 0)]), Some(2));
        assert_eq!(chosen(&[way(1, false, 9)]), None);
    }

    #[test]
    fn loads_weigh_with_the_multiply_adds() {
        assert_eq!(Taps(700).weight(), 700 + 100 * LOAD);
    }
}
