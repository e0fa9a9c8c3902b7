//! Attention in slices: the scores of a few matrices, or of a few rows, at a time, so that those of all never lie in
//! memory at once. Knows the products and the softmax that it is made of; must never know which models have it.

use super::epilogue::Activation;
use super::product::{Matrix, Product};
use super::rows::Rows;
use super::softmax;
use super::{Class, Lowering};
use crate::error::Result;
use crate::graph::{DType, TensorId, TensorType};

/// `softmax(scale · q · k) · v` for `matrices` of each, all dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// matrices × queries × depth
    pub q: TensorId,
    /// matrices × depth × keys
    pub k: TensorId,
    /// matrices × keys × width
    pub v: TensorId,
    /// matrices × queries × width
    pub y: TensorId,
    /// How many matrices.
    pub matrices: usize,
    /// Rows of q.
    pub queries: usize,
    /// Columns of q.
    pub depth: usize,
    /// Columns of k.
    pub keys: usize,
    /// Columns of v.
    pub width: usize,
    /// Factor of the scores.
    pub scale: f32,
}

/// Scores of one slice, in bytes: enough to fill a GPU, little beside a model's other tensors.
pub const SLICE_BYTES: usize = 16 << 20;
/// Offsets at which any adapter binds a buffer, in elements.
const ALIGNED: usize = 64;

impl Attention {
    /// Bytes of all scores together.
    pub fn score_bytes(&self) -> usize {
        self.matrices * self.queries * self.keys * 4
    }

    /// Matrices and rows of each slice whose scores take about `bytes`; nothing where slices would not be aligned.
    pub fn slices(&self, bytes: usize) -> Option<Vec<Slice>> {
        let rows = |count: usize| count.is_multiple_of(ALIGNED);
        let matrix = self.queries * self.keys * 4;
        let apart =
            [self.queries * self.depth, self.depth * self.keys, self.keys * self.width, self.queries * self.width];
        if self.matrices > 1 && !apart.into_iter().all(rows) {
            return None;
        }
        let mut out = vec![];
        if matrix <= bytes {
            let step = (bytes / matrix.max(1)).max(1);
            for first in (0..self.matrices).step_by(step) {
                out.push(Slice { first, matrices: step.min(self.matrices - first), row: 0, rows: self.queries });
            }
            return Some(out);
        }
        let step = (bytes / (self.keys * 4)).max(1).next_multiple_of(ALIGNED);
        for first in 0..self.matrices {
            for row in (0..self.queries).step_by(step) {
                out.push(Slice { first, matrices: 1, row, rows: step.min(self.queries - row) });
            }
        }
        Some(out)
    }

    /// Appends the dispatches of one slice after the other.
    pub fn lower(&self, slices: &[Slice], out: &mut Lowering<'_>) -> Result<()> {
        for slice in slices {
            let &Slice { first, matrices, row, rows } = slice;
            let part = |out: &mut Lowering<'_>, of: TensorId, height: usize, width: usize, row: usize, rows: usize| {
                out.slice(of, (first * height + row) * width, vec![matrices, rows, width])
            };
            let q = part(out, self.q, self.queries, self.depth, row, rows);
            let k = part(out, self.k, self.depth, self.keys, 0, self.depth);
            let v = part(out, self.v, self.keys, self.width, 0, self.keys);
            let y = part(out, self.y, self.queries, self.width, row, rows);
            let scores = TensorType::new(DType::Float32, vec![matrices, rows, self.keys]);
            let (s, p) = (out.temporary(scores.clone()), out.temporary(scores));
            let product = |a: TensorId, b: TensorId, y: TensorId, k: usize, n: usize, alpha: f32| Product {
                class: Class::Matmul,
                m: rows,
                n,
                k,
                batch: if matrices == 1 { vec![] } else { vec![(matrices, rows * k, k * n)] },
                a: Matrix { tensor: a, row: k, col: 1 },
                b: Matrix { tensor: b, row: n, col: 1 },
                bias: None,
                y,
                alpha,
                beta: 1.0,
                activation: Activation::Identity,
            };
            product(q, k, s, self.depth, self.keys, self.scale).lower(out)?;
            softmax::dispatch(Rows { outer: matrices * rows, len: self.keys, inner: 1 }, s, p, false, out)?;
            product(p, v, y, self.keys, self.width, 1.0).lower(out)?;
        }
        Ok(())
    }
}

/// Rows `row..row + rows` of matrices `first..first + matrices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    first: usize,
    matrices: usize,
    row: usize,
    rows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_row_once(matrices in 1usize..5, queries in 1usize..300, keys in 1usize..40, bytes in 64usize..40_000) {
            let id = TensorId(0);
            let a = Attention { q: id, k: id, v: id, y: id, matrices, queries, depth: 64, keys, width: 64, scale: 1.0 };
            let mut seen = vec![0; matrices * queries];
            for s in a.slices(bytes).into_iter().flatten() {
                prop_assert!((s.first * queries + s.row) * 64 % ALIGNED == 0);
                for m in s.first..s.first + s.matrices {
                    (s.row..s.row + s.rows).for_each(|r| seen[m * queries + r] += 1);
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
        }
    }
}
