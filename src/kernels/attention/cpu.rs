//! Attention on a processor: the scores of a few queries at a time, which stay in the second cache. Knows tiles and rows; must
//! never know which models have it. `unsafe`, as tiles write through pointers.
#![allow(unsafe_code)]

use super::Attention;
use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::math::exponentials;
use crate::kernels::base::cpu::panels::{Packed, blocks};
use crate::kernels::base::cpu::sums::greatest;
use crate::kernels::base::cpu::tile::{Begin, COLUMNS, ROWS, Sums, ended};
use crate::kernels::base::cpu::{Access, Operands, Routine, Steps};
use crate::kernels::base::strides::{broadcast_strides, strided_places};
use std::ops::Range;

/// Queries of a unit.
const UNIT: usize = 11 * ROWS;

/// Where the matrices of an operand lie.
#[derive(Debug)]
struct Matrices {
    /// Where each begins.
    at: Vec<usize>,
    /// From row to row, and from column to column.
    row: usize,
    col: usize,
}

/// Reads q, k, v and the mask where there is one.
#[derive(Debug)]
struct Scored {
    of: Attention,
    q: Matrices,
    k: Matrices,
    v: Matrices,
    mask: Option<Access>,
}

impl Attention {
    /// Appends its routine.
    pub fn lower_on_processor(&self, steps: &mut Steps<'_>) {
        let whole: Vec<usize> = self.batch.iter().copied().chain([self.queries, self.keys]).collect();
        let mask = self.mask.map(|mask| {
            let strides = broadcast_strides(&steps.ty(mask).shape, &whole);
            Access::merged(3, 0, &whole, &strides)
        });
        let [(q_of, q), (k_of, k), (v_of, v)] = [self.q, self.k, self.v].map(|id| {
            let (of, strides) = steps.before(id);
            (of, self.matrices_at(&strides))
        });
        let mut reads = vec![q_of, k_of, v_of];
        reads.extend(self.mask);
        steps.push(Scored { of: self.clone(), q, k, v, mask }, reads, vec![self.y]);
    }

    /// The matrices of an operand whose axes have these strides.
    fn matrices_at(&self, strides: &[usize]) -> Matrices {
        let signed: Vec<i64> = strides[..self.batch.len()].iter().map(|&s| s as i64).collect();
        let at = strided_places(self.batch.clone(), signed, 0).collect();
        let [.., row, col] = *strides else { return Matrices { at, row: 0, col: 0 } };
        Matrices { at, row, col }
    }
}

impl Scored {
    /// Keys of one matrix as the right operand of scores, and values as that of results.
    fn packed(&self) -> (Packed, Packed) {
        let of = &self.of;
        (Packed { count: of.keys, depth: of.depth }, Packed { count: of.width, depth: of.keys })
    }

    /// Floats of both.
    fn matrix(&self) -> usize {
        let (keys, values) = self.packed();
        keys.floats::<COLUMNS>() + values.floats::<COLUMNS>()
    }

    fn query_units(&self) -> usize {
        self.of.queries.div_ceil(UNIT)
    }

    /// `rows` of `c` from panels of rows at `a`, block by block, and the packed columns at `b`.
    fn product(a: &[f32], b: &[f32], of: Packed, rows: usize, c: &mut [f32]) {
        let tall = rows.next_multiple_of(ROWS);
        assert!(a.len() >= tall * of.depth && b.len() >= of.floats::<COLUMNS>(), "panels");
        assert!(c.len() >= rows * of.count, "sums beyond their rows");
        for block in blocks(of.depth) {
            for j in (0..of.count).step_by(COLUMNS) {
                let size = (rows, COLUMNS.min(of.count - j));
                // SAFETY: panels are whole, and the sums within their rows, as was asserted.
                unsafe {
                    let (a, to) = (a.as_ptr().add(tall * block.start), c.as_mut_ptr().add(j));
                    let b = b.as_ptr().add(of.at::<COLUMNS>(&block, j));
                    let begin = if block.start == 0 { Begin::Nothing } else { Begin::Each(to, of.count) };
                    ended(a, b, block.len(), size, Sums { begin, within: None, to, stride: of.count });
                }
            }
        }
    }

    /// Scores to what their shares are in proportion to, a row that begins with the score `start`: what its shares add up to.
    fn shares(&self, on: &Operands<'_>, start: usize, row: &mut [f32], aside: &mut [f32]) -> f32 {
        if let Some(mask) = &self.mask {
            mask.read(on.read(3), start, aside);
            row.iter_mut().zip(aside).for_each(|(v, mask)| *v += *mask);
        }
        let most = greatest(row, f32::NEG_INFINITY, |v| v);
        exponentials(row, most)
    }
}

impl Routine for Scored {
    fn phases(&self) -> usize {
        2
    }

    fn units(&self, phase: usize) -> usize {
        let matrices = self.of.batch.iter().product();
        if phase == 0 { matrices } else { matrices * self.query_units() }
    }

    fn shared(&self) -> usize {
        self.of.batch.iter().product::<usize>() * self.matrix()
    }

    fn scratch(&self) -> usize {
        UNIT * (self.of.depth + 2 * self.of.keys) + self.of.keys
    }

    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let of = &self.of;
        let (keys, values) = self.packed();
        for unit in units {
            if phase == 0 {
                let (left, right) =
                    on.share(unit * self.matrix()..(unit + 1) * self.matrix()).split_at_mut(keys.floats::<COLUMNS>());
                keys.pack_into::<COLUMNS>(on.read(1), self.k.at[unit], (self.k.row, self.k.col), left);
                values.pack_into::<COLUMNS>(on.read(2), self.v.at[unit], (self.v.row, self.v.col), right);
                continue;
            }
            let (matrix, at) = (unit / self.query_units(), unit % self.query_units());
            let first = at * UNIT;
            let rows = UNIT.min(of.queries - first);
            let (queries, rest) = on.scratch().split_at_mut(UNIT * of.depth);
            let (scores, rest) = rest.split_at_mut(UNIT * of.keys);
            let (shares, aside) = rest.split_at_mut(UNIT * of.keys);
            let from = self.q.at[matrix] + first * self.q.row;
            let of_rows = |depth: usize| Packed { count: rows, depth };
            of_rows(of.depth).pack_into::<ROWS>(on.read(0), from, (self.q.col, self.q.row), queries);
            queries.iter_mut().for_each(|q| *q *= of.scale);
            let (left, right) =
                on.shared()[matrix * self.matrix()..(matrix + 1) * self.matrix()].split_at(keys.floats::<COLUMNS>());
            Scored::product(queries, left, keys, rows, scores);
            let mut all = [0.0; UNIT];
            for ((i, row), all) in scores.chunks_exact_mut(of.keys).take(rows).enumerate().zip(&mut all) {
                *all = self.shares(on, (matrix * of.queries + first + i) * of.keys, row, &mut aside[..of.keys]);
            }
            of_rows(of.keys).pack_into::<ROWS>(scores, 0, (1, of.keys), shares);
            let start = (matrix * of.queries + first) * of.width;
            let y = on.write(0, start..start + rows * of.width);
            Scored::product(shares, right, values, rows, y);
            // Of so many results fewer than of shares.
            for (row, all) in y.chunks_exact_mut(of.width).zip(all) {
                let factor = 1.0 / all;
                row.iter_mut().for_each(|v| *v *= factor);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Matmul
    }

    fn flops(&self) -> f64 {
        let scores = (self.of.score_bytes() / 4) as f64;
        scores * (2 * (self.of.depth + self.of.width) + 20) as f64
    }
}
