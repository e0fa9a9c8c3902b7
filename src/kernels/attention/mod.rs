//! Attention whose scores never lie in memory all at once: as one kernel past which keys and values stream, or in slices
//! of a few matrices or rows. Knows the products and the softmax that it is made of; must never know which models have it.

mod cpu;
mod stream;

use self::stream::{Operand, Stream};
use crate::error::Result;
use crate::graph::{DType, TensorId, TensorType};
use crate::kernels::base::epilogue::Activation;
use crate::kernels::base::limits::ROUNDS;
use crate::kernels::base::placed::Placed;
use crate::kernels::base::rows::Rows;
use crate::kernels::base::{Class, Lowering, Tuning};
use crate::kernels::product::{Matrix, Product};
use crate::kernels::softmax;

/// `softmax(scale · q · k + mask) · v`, all with the same batch dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// batch × queries × depth
    pub q: TensorId,
    /// batch × depth × keys
    pub k: TensorId,
    /// batch × keys × width
    pub v: TensorId,
    /// What is added to the scores, of a shape that broadcasts to theirs.
    pub mask: Option<TensorId>,
    /// batch × queries × width
    pub y: TensorId,
    /// Sizes of the batch dimensions.
    pub batch: Vec<usize>,
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

/// How attention is computed, where it is not by its nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// By one kernel.
    Streamed,
    /// Slice by slice.
    Sliced(Vec<Slice>),
}

/// Scores of one slice, in bytes: enough to fill a GPU, little beside a model's other tensors.
pub const SLICE_BYTES: usize = 16 << 20;
/// Offsets at which any adapter binds a buffer, in elements.
const ALIGNED: usize = 64;

impl Attention {
    /// Bytes of all scores together.
    pub fn score_bytes(&self) -> usize {
        self.matrices() * self.queries * self.keys * 4
    }

    fn matrices(&self) -> usize {
        self.batch.iter().product()
    }

    /// How it is best computed; `None` by its nodes, where their scores take no more than `bytes`.
    pub fn way(&self, tuning: Tuning, bytes: usize) -> Option<Way> {
        let rounds = stream::loop_rounds(self.keys, self.depth);
        let dims = self.batch.iter().filter(|&&d| d != 1).count();
        let empty = self.score_bytes() == 0 || self.depth == 0 || self.width == 0;
        let can_stream = rounds <= ROUNDS && dims <= stream::BATCH_RANK && !empty;
        if can_stream && tuning.streams && self.matrices() * self.queries >= tuning.threads {
            return Some(Way::Streamed);
        }
        if self.score_bytes() <= bytes {
            return None;
        }
        let slices = if self.mask.is_none() { self.slices(bytes) } else { None };
        slices.map(Way::Sliced).or(can_stream.then_some(Way::Streamed))
    }

    /// Matrices and rows of each slice whose scores take about `bytes`; nothing where slices would not be aligned.
    pub fn slices(&self, bytes: usize) -> Option<Vec<Slice>> {
        let rows = |count: usize| count.is_multiple_of(ALIGNED);
        let matrix = self.queries * self.keys * 4;
        let apart =
            [self.queries * self.depth, self.depth * self.keys, self.keys * self.width, self.queries * self.width];
        let all = self.matrices();
        if all > 1 && !apart.into_iter().all(rows) {
            return None;
        }
        let mut out = vec![];
        if matrix <= bytes {
            let step = (bytes / matrix.max(1)).max(1);
            for first in (0..all).step_by(step) {
                out.push(Slice { first, matrices: step.min(all - first), row: 0, rows: self.queries });
            }
            return Some(out);
        }
        let step = (bytes / (self.keys * 4)).max(1).next_multiple_of(ALIGNED);
        for first in 0..all {
            for row in (0..self.queries).step_by(step) {
                out.push(Slice { first, matrices: 1, row, rows: step.min(self.queries - row) });
            }
        }
        Some(out)
    }

    /// Appends the dispatches.
    pub fn lower(&self, way: &Way, out: &mut Lowering<'_>) -> Result<()> {
        match way {
            Way::Streamed => self.stream(out),
            Way::Sliced(slices) => self.slice(slices, out),
        }
    }

    fn stream(&self, out: &mut Lowering<'_>) -> Result<()> {
        let kept: Vec<usize> = (0..self.batch.len()).rev().filter(|&d| self.batch[d] != 1).collect();
        let mut moved = vec![];
        let mut operand = |id: TensorId, axes: usize| {
            let placed = Placed::before(id, axes, out);
            moved.extend(placed.moved);
            let batch = kept.iter().map(|&d| placed.strides[d]).collect();
            Operand { tensor: placed.tensor, row: placed.stride(2), col: placed.stride(1), batch }
        };
        let (q, k, v) = (operand(self.q, 1), operand(self.k, 2), operand(self.v, 1));
        let mask = self.mask.map(|id| {
            let (shape, placed) = (&out.ty(id).shape, Placed::here(id, out));
            // What it is the same for it does not step along.
            let step = |back: usize| match shape.len().checked_sub(back) {
                Some(at) if shape[at] != 1 => placed.strides[at],
                _ => 0,
            };
            let batch = kept.iter().map(|&d| step(self.batch.len() - d + 2)).collect();
            Operand { tensor: id, row: step(2), col: step(1), batch }
        });
        for moved in moved {
            out.take_back(moved);
        }
        let &Attention { y, queries, depth, keys, width, scale, .. } = self;
        let batch = kept.iter().map(|&d| self.batch[d]).collect();
        Stream { batch, q, k, v, mask, y, queries, depth, keys, width, scale }.lower(out)
    }

    fn slice(&self, slices: &[Slice], out: &mut Lowering<'_>) -> Result<()> {
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
                window: None,
                bias: None,
                y,
                y_row: n,
                alpha,
                beta: 1.0,
                activation: Activation::Identity,
            };
            // A slice is to save memory, which the parts of a split product would take.
            product(q, k, s, self.depth, self.keys, self.scale).lower_whole(out)?;
            softmax::gpu::dispatch(Rows { outer: matrices * rows, len: self.keys, inner: 1 }, s, p, false, out)?;
            product(p, v, y, self.keys, self.width, 1.0).lower_whole(out)?;
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

// proptest does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_cover_every_row_once(matrices in 1usize..5, queries in 1usize..300, keys in 1usize..40, bytes in 64usize..40_000) {
            let id = TensorId(0);
            let (mask, batch) = (None, vec![matrices]);
            let a = Attention { q: id, k: id, v: id, mask, y: id, batch, queries, depth: 64, keys, width: 64, scale: 1.0 };
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
