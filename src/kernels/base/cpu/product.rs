//! Products of matrices by tiles, block by block: what lies in one order is packed as it is needed, weights were before.
//! Knows strides; must never know which operator asks. `unsafe`, as tiles write through pointers.
#![allow(unsafe_code)]

use super::chain::Chain;
use super::panels::{Packed, blocks, panel};
use super::routine::{Operands, Routine};
use super::tile::{COLUMNS, DEPTH, ROWS, row, tile, tiles};
use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::epilogue::Activation;
use std::ops::Range;

/// Rows and columns of a unit: what it reads stays in the second cache.
const UNIT_ROWS: usize = 64;
const UNIT_COLUMNS: usize = 256;

/// An operand of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it lies: what a step along the inner dimension moves, and one along its rows or columns.
    Strided(usize, usize),
    /// In panels, for every batch the same.
    Packed,
}

/// What is added to a sum: another operand's element, `base + row · i + col · j`, times `factor`.
#[derive(Clone, Copy, Debug)]
pub struct Addend {
    /// The operand, by its place among what the routine reads.
    pub operand: usize,
    /// Its first element.
    pub base: usize,
    /// Step from row to row.
    pub row: usize,
    /// Step from column to column.
    pub col: usize,
    /// Factor.
    pub factor: f32,
}

impl Addend {
    /// Does `by` with each float of a row of the result, from column `first` on, and what is added to it.
    fn each(&self, on: &Operands<'_>, row: usize, first: usize, y: &mut [f32], by: impl Fn(&mut f32, f32)) {
        let c: &[f32] = on.read(self.operand);
        let at = self.base + row * self.row + first * self.col;
        match self.col {
            1 => y.iter_mut().zip(&c[at..]).for_each(|(v, c)| by(v, self.factor * c)),
            _ => y.iter_mut().for_each(|v| by(v, self.factor * c[at])),
        }
    }
}

/// `y[i, j] = chain(activation(alpha · Σ a[i, p] b[p, j] + addend))`; reads a, b, then what is added and the chain's operands.
#[derive(Debug)]
pub struct Product {
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
    /// Inner dimension.
    pub k: usize,
    /// Batch dimensions, innermost first: size, step in a, step in b.
    pub batch: Vec<(usize, usize, usize)>,
    /// The left operand.
    pub a: Side,
    /// The right operand.
    pub b: Side,
    /// Factor of sums.
    pub alpha: f32,
    /// What is added.
    pub addend: Option<Addend>,
    /// Applied to sums.
    pub activation: Activation,
    /// Applied last.
    pub chain: Chain,
}

/// Applies `activation` to a row of sums.
pub fn activate(activation: Activation, y: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Relu => y.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
        Activation::Clip(low, high) => {
            for v in y {
                let above = if *v < low { low } else { *v };
                *v = if above > high { high } else { above };
            }
        }
    }
}

impl Product {
    fn batches(&self) -> usize {
        self.batch.iter().map(|b| b.0).product()
    }

    fn row_units(&self) -> usize {
        self.m.div_ceil(UNIT_ROWS)
    }

    fn column_units(&self) -> usize {
        self.n.div_ceil(UNIT_COLUMNS)
    }

    /// The sums of one unit into `y`; onto what it holds where that is `begun`.
    fn sums(&self, on: &Operands<'_>, batch: usize, rows: Range<usize>, columns: Range<usize>, begun: bool) {
        let (mut rest, mut a_at, mut b_at) = (batch, 0, 0);
        for &(size, a_step, b_step) in &self.batch {
            (a_at, b_at) = (a_at + rest % size * a_step, b_at + rest % size * b_step);
            rest /= size;
        }
        let (a, b): (&[f32], &[f32]) = (on.read(0), on.read(1));
        let (a_packed, b_packed) = (Packed { count: self.m, depth: self.k }, Packed { count: self.n, depth: self.k });
        let (own_a, own_b) = on.scratch().split_at_mut(UNIT_ROWS * DEPTH);
        let first = (batch * self.m + rows.start) * self.n + columns.start;
        let (y, len) = on.result(0);
        assert!(first + (rows.len() - 1) * self.n + columns.len() <= len, "a unit beyond its result");
        for block in blocks(self.k) {
            let depth = block.len();
            let left: &[f32] = match self.a {
                Side::Packed => &a[a_packed.at::<ROWS>(&block, rows.start)..],
                Side::Strided(along, across) => {
                    for (i, to) in rows.clone().step_by(ROWS).zip(own_a.chunks_mut(ROWS * depth)) {
                        let at = a_at + block.start * along + i * across;
                        panel::<ROWS>(a, at, (along, across), depth, ROWS.min(rows.end - i), to);
                    }
                    own_a
                }
            };
            let right: &[f32] = match self.b {
                Side::Packed => &b[b_packed.at::<COLUMNS>(&block, columns.start)..],
                Side::Strided(along, across) => {
                    for (j, to) in columns.clone().step_by(COLUMNS).zip(own_b.chunks_mut(COLUMNS * depth)) {
                        let at = b_at + block.start * along + j * across;
                        panel::<COLUMNS>(b, at, (along, across), depth, COLUMNS.min(columns.end - j), to);
                    }
                    own_b
                }
            };
            assert!(left.len() >= rows.len().next_multiple_of(ROWS) * depth, "panels of the left operand");
            assert!(right.len() >= columns.len().next_multiple_of(COLUMNS) * depth, "panels of the right operand");
            let start = block.start == 0 && !begun;
            if let (1, Side::Strided(1, across)) = (self.m, self.a) {
                let from = &a[a_at + block.start + rows.start * across..][..depth];
                let whole = columns.len() / COLUMNS;
                // SAFETY: the row has as many floats as the block is deep, panels are whole, and of columns only those whose
                // eight are within the result.
                unsafe {
                    row(from.as_ptr(), right.as_ptr(), depth, COLUMNS * depth, whole, y.add(first), start);
                    if !columns.len().is_multiple_of(COLUMNS) {
                        let size = (1, columns.len() % COLUMNS);
                        let b = right.as_ptr().add(whole * COLUMNS * depth);
                        tile(left.as_ptr(), b, depth, y.add(first + whole * COLUMNS), self.n, size, start);
                    }
                }
                continue;
            }
            for (c, j) in columns.clone().step_by(COLUMNS).enumerate() {
                let width = COLUMNS.min(columns.end - j);
                let whole = if width == COLUMNS { rows.len() / ROWS } else { 0 };
                // SAFETY: panels are whole, and the unit's elements within the result, as was asserted.
                unsafe {
                    let (b, to) = (right.as_ptr().add(c * COLUMNS * depth), y.add(first + j - columns.start));
                    tiles(left.as_ptr(), b, depth, to, self.n, whole, start);
                }
                for (r, i) in rows.clone().step_by(ROWS).enumerate().skip(whole) {
                    let (from, with) = (r * ROWS * depth, c * COLUMNS * depth);
                    let to = first + (i - rows.start) * self.n + (j - columns.start);
                    let size = (ROWS.min(rows.end - i), width);
                    // SAFETY: panels are whole, and the unit's elements within the result, as was asserted.
                    unsafe {
                        tile(left.as_ptr().add(from), right.as_ptr().add(with), depth, y.add(to), self.n, size, start);
                    }
                }
            }
        }
    }
}

impl Routine for Product {
    fn units(&self, _: usize) -> usize {
        self.batches() * self.row_units() * self.column_units()
    }

    fn scratch(&self) -> usize {
        (UNIT_ROWS + UNIT_COLUMNS) * DEPTH
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let mut registers = self.chain.registers();
        for unit in units {
            let (rest, at) = (unit / self.row_units(), unit % self.row_units());
            let rows = at * UNIT_ROWS..((at + 1) * UNIT_ROWS).min(self.m);
            let (batch, at) = (rest / self.column_units(), rest % self.column_units());
            let columns = at * UNIT_COLUMNS..((at + 1) * UNIT_COLUMNS).min(self.n);
            // Sums begin with what is added to them, unless they are multiplied first.
            let begun = self.addend.filter(|_| self.alpha == 1.0 || self.k == 0);
            for i in rows.clone().filter(|_| begun.is_some() || self.k == 0) {
                let start = (batch * self.m + i) * self.n + columns.start;
                let y = on.write(0, start..start + columns.len());
                match begun {
                    Some(addend) => addend.each(on, i, columns.start, y, |v, c| *v = c),
                    None => y.fill(0.0),
                }
            }
            if self.k > 0 {
                self.sums(on, batch, rows.clone(), columns.clone(), begun.is_some());
            }
            for i in rows {
                let start = (batch * self.m + i) * self.n + columns.start;
                let y = on.write(0, start..start + columns.len());
                if self.alpha != 1.0 && self.k > 0 {
                    y.iter_mut().for_each(|v| *v *= self.alpha);
                }
                if let (Some(addend), None) = (self.addend, begun) {
                    addend.each(on, i, columns.start, y, |v, c| *v += c);
                }
                activate(self.activation, y);
                self.chain.run(on, &mut registers, start, y);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Matmul
    }

    fn flops(&self) -> f64 {
        let outputs = (self.batches() * self.m * self.n) as f64;
        outputs * (2.0 * self.k as f64 + self.chain.flops)
    }
}
