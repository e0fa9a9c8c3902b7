//! Operands of products where their elements lie: where another operator moved them, or before that.
//! Knows strides; must never know what reads them.

use super::Lowering;
use super::strides::{Strided, contiguous};
use crate::graph::TensorId;

/// An operand with the elements from one step to the next along each of its axes.
pub(in crate::kernels) struct Placed {
    pub(in crate::kernels) tensor: TensorId,
    pub(in crate::kernels) strides: Vec<usize>,
    /// What the move writes that is not needed then.
    pub(in crate::kernels) moved: Option<TensorId>,
}

impl Placed {
    pub(in crate::kernels) fn here(id: TensorId, out: &Lowering<'_>) -> Placed {
        let strides = contiguous(&out.ty(id).shape).into_iter().map(|s| s.unsigned_abs() as usize).collect();
        Placed { tensor: id, strides, moved: None }
    }

    /// Before it was moved, where neighbours along one of the last `axes` axes were neighbours there, too.
    pub(in crate::kernels) fn before(id: TensorId, axes: usize, out: &Lowering<'_>) -> Placed {
        let unsigned = |from: &Strided| -> Option<Vec<usize>> {
            from.strides.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<_>>().filter(|_| from.base == 0)
        };
        let readable = out.moved(id).and_then(|(from, at)| Some((from.tensor, unsigned(&from)?, at)));
        match readable.filter(|(_, strides, _)| strides.iter().rev().take(axes).any(|&s| s == 1)) {
            Some((tensor, strides, at)) => Placed { tensor, strides, moved: Some(at) },
            None => Placed::here(id, out),
        }
    }

    /// Elements from one step to the next along the axis that is the `back`th from the end; 0 where there is none.
    pub(in crate::kernels) fn stride(&self, back: usize) -> usize {
        self.strides.len().checked_sub(back).map_or(0, |i| self.strides[i])
    }
}
