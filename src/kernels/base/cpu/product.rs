//! Products of matrices by tiles, block by block: what lies in one order is packed as it is needed, weights were before.
//! Knows strides; must never know which operator asks. `unsafe`, as tiles write through pointers.
#![allow(unsafe_code)]

use super::chain::Chain;
use super::panels::{DEPTH, Packed, blocks, panel};
use super::routine::{Operands, Routine};
use super::tile::{Begin, COLUMNS, ROWS, Sums, Within, ended, ended_ahead, few, row, row_part};
use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::epilogue::Activation;
use std::ops::Range;

/// Most rows and columns of a unit: what it reads stays in the second cache.
const UNIT_ROWS: usize = 128;
const UNIT_COLUMNS: usize = 512;
/// Units that there are where that costs little, and products of a unit that is worth a thread's while: threads that share them out
/// come to their end together.
const UNITS: (usize, usize) = (8, 1 << 19);
/// Fewest columns of a unit, where the left operand lies in panels, and where each unit makes them.
const FEWEST: (usize, usize) = (32, 96);

/// A product of so many rows at most takes what its matrix takes to be read.
const FEW: usize = 4;

/// Most panels of rows that use one of weights, and fewest floats of those, where it pays to have the next one brought nearer
/// meanwhile.
const FAR: (usize, usize) = (24, 1 << 17);

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

    /// Rows and columns of a unit.
    fn unit(&self) -> (usize, usize) {
        let alike = |count: usize, most: usize| count.div_ceil(count.div_ceil(most).max(1)).max(1);
        let rows = alike(self.m, UNIT_ROWS).next_multiple_of(ROWS);
        let others = (self.batches() * self.m.div_ceil(rows)).max(1);
        // Those of several matrices make them; of one it is done once for all.
        let fewest = if self.a == Side::Packed || self.batches() == 1 { FEWEST.0 } else { FEWEST.1 };
        let worth = UNITS.1.div_ceil((rows * self.k).max(1));
        let most = worth.min(self.n.div_ceil(UNITS.0.div_ceil(others))).clamp(fewest, UNIT_COLUMNS);
        (rows, alike(self.n, most).next_multiple_of(COLUMNS))
    }

    /// Floats of the panels that a unit makes of either operand.
    fn own(&self) -> (usize, usize) {
        let ((rows, columns), depth) = (self.unit(), self.k.min(DEPTH));
        let of = |side: Side, count: usize| if side == Side::Packed { 0 } else { count * depth };
        (if self.packs() { 0 } else { of(self.a, rows) }, of(self.b, columns))
    }

    /// Whether the left operand is put into panels before all else: several units need each of them.
    fn packs(&self) -> bool {
        let several = self.n > self.unit().1;
        self.a != Side::Packed && !self.row() && self.batches() == 1 && several
    }

    /// Puts rows of the left operand into panels, `units` being those of its panels.
    fn pack(&self, units: Range<usize>, on: &Operands<'_>) {
        let (a, packed): (&[f32], Packed) = (on.read(0), Packed { count: self.m, depth: self.k });
        let Side::Strided(along, across) = self.a else { return };
        for first in units.map(|unit| unit * ROWS) {
            for block in blocks(self.k) {
                let (to, at) = (packed.at::<ROWS>(&block, first), block.start * along + first * across);
                let (count, to) = (ROWS.min(self.m - first), on.share(to..to + ROWS * block.len()));
                panel::<ROWS>(a, at, (along, across), block.len(), count, to);
            }
        }
    }

    /// Whether it is one row, that lies as one.
    fn row(&self) -> bool {
        self.m == 1 && matches!(self.a, Side::Strided(1, _))
    }

    /// What sums begin with, and what they are put within, where that is all there is between them and the chain.
    fn ends(&self, on: &Operands<'_>, batch: usize, rows: &Range<usize>, columns: &Range<usize>) -> Option<Sums> {
        if self.alpha != 1.0 || self.k == 0 || self.row() {
            return None;
        }
        let begin = match self.addend {
            None => Begin::Nothing,
            Some(Addend { operand, base, row, col, factor: 1.0 }) if col < 2 => {
                let first = base + rows.start * row + columns.start * col;
                let last = first + (rows.len() - 1) * row + (columns.len() - 1) * col;
                let from = on.read::<f32>(operand).get(first..=last)?.as_ptr();
                if col == 1 { Begin::Each(from, row) } else { Begin::Row(from, row) }
            }
            Some(_) => return None,
        };
        let within = Within::of(self.activation);
        Some(Sums { begin, within, ..self.place(on, batch, rows, columns) })
    }

    /// Where the sums of a unit go, begun there.
    fn place(&self, on: &Operands<'_>, batch: usize, rows: &Range<usize>, columns: &Range<usize>) -> Sums {
        let first = (batch * self.m + rows.start) * self.n + columns.start;
        let (y, len) = on.result(0);
        assert!(first + (rows.len() - 1) * self.n + columns.len() <= len, "a unit beyond its result");
        let to = y.wrapping_add(first);
        Sums { begin: Begin::Each(to, self.n), within: None, to, stride: self.n }
    }

    /// The sums of one unit.
    fn sums(&self, on: &Operands<'_>, unit: Unit, of: Sums, made: &mut Option<Unit>) {
        let Unit { batch, rows, columns } = unit.clone();
        // Panels of the one block that there is are those of the unit before, if that was beside or above this one.
        let before = made.replace(unit).filter(|before| before.batch == batch && self.k <= DEPTH);
        let (same_rows, same_columns) =
            before.map_or((false, false), |before| (before.rows == rows, before.columns == columns));
        let (mut rest, mut a_at, mut b_at) = (batch, 0, 0);
        for &(size, a_step, b_step) in &self.batch {
            (a_at, b_at) = (a_at + rest % size * a_step, b_at + rest % size * b_step);
            rest /= size;
        }
        let (a, b): (&[f32], &[f32]) = (on.read(0), on.read(1));
        let (a_packed, b_packed) = (Packed { count: self.m, depth: self.k }, Packed { count: self.n, depth: self.k });
        let (own_a, own_b) = on.scratch().split_at_mut(self.own().0);
        let packs = self.packs();
        for block in blocks(self.k) {
            let depth = block.len();
            let right: &[f32] = match self.b {
                Side::Packed => &b[b_packed.at::<COLUMNS>(&block, columns.start)..],
                Side::Strided(..) if same_columns => own_b,
                Side::Strided(along, across) => {
                    for (j, to) in columns.clone().step_by(COLUMNS).zip(own_b.chunks_mut(COLUMNS * depth)) {
                        let at = b_at + block.start * along + j * across;
                        panel::<COLUMNS>(b, at, (along, across), depth, COLUMNS.min(columns.end - j), to);
                    }
                    own_b
                }
            };
            assert!(right.len() >= columns.len().next_multiple_of(COLUMNS) * depth, "panels of the right operand");
            // What was begun in an earlier block goes on, and ends in the last.
            let begin = if block.start == 0 { of.begin } else { Begin::Each(of.to, of.stride) };
            let of = Sums { begin, within: of.within.filter(|_| block.end == self.k), ..of };
            if let (1, Side::Strided(1, _)) = (self.m, self.a) {
                let from = &a[a_at + block.start..][..depth];
                let (whole, begun) = (columns.len() / COLUMNS, matches!(of.begin, Begin::Each(..)));
                // SAFETY: the row has as many floats as the block is deep, panels are whole, and of columns only those whose
                // panels are within the result.
                unsafe {
                    row(from.as_ptr(), right.as_ptr(), depth, COLUMNS * depth, whole, of.to, !begun);
                    if !columns.len().is_multiple_of(COLUMNS) {
                        let (b, rest) = (right.as_ptr().add(whole * COLUMNS * depth), columns.len() % COLUMNS);
                        // As a panel of one row.
                        row_part(from.as_ptr(), b, depth, rest, of.at(0, whole * COLUMNS));
                    }
                }
                continue;
            }
            let left: &[f32] = match self.a {
                Side::Packed => &a[a_packed.at::<ROWS>(&block, rows.start)..],
                Side::Strided(..) if packs => &on.shared()[a_packed.at::<ROWS>(&block, rows.start)..],
                Side::Strided(..) if same_rows => own_a,
                Side::Strided(along, across) => {
                    for (i, to) in rows.clone().step_by(ROWS).zip(own_a.chunks_mut(ROWS * depth)) {
                        let at = a_at + block.start * along + i * across;
                        panel::<ROWS>(a, at, (along, across), depth, ROWS.min(rows.end - i), to);
                    }
                    own_a
                }
            };
            assert!(left.len() >= rows.len().next_multiple_of(ROWS) * depth, "panels of the left operand");
            if rows.len() <= ROWS {
                let (whole, rest) = (columns.len() / COLUMNS, columns.len() % COLUMNS);
                // SAFETY: panels are whole, and the unit's sums are within the result, as was asserted.
                unsafe {
                    few(left.as_ptr(), right.as_ptr(), depth, (rows.len(), whole), of);
                    if rest > 0 {
                        let b = right.as_ptr().add(whole * COLUMNS * depth);
                        ended(left.as_ptr(), b, depth, (rows.len(), rest), of.at(0, whole * COLUMNS));
                    }
                }
                continue;
            }
            let tall = rows.len() / ROWS;
            let several = (2..=FAR.0).contains(&tall);
            let far = self.b == Side::Packed && several && self.n * self.k >= FAR.1;
            let last = columns.len().div_ceil(COLUMNS) - 1;
            // What is read after the last panel of this block: the first of the next one.
            let after = if block.end < self.k {
                b_packed.at::<COLUMNS>(&(block.end..self.k.min(block.end + DEPTH)), columns.start)
            } else {
                usize::MAX
            };
            for (c, panel) in right.chunks_exact(COLUMNS * depth).take(last + 1).enumerate() {
                let wide = COLUMNS.min(columns.len() - c * COLUMNS);
                let next = if !far || wide < COLUMNS {
                    None
                } else if c < last {
                    right.get((c + 1) * COLUMNS * depth..)
                } else {
                    b.get(after..)
                };
                // SAFETY: panels are whole, and the unit's sums are within the result, as was asserted.
                unsafe {
                    let of = of.at(0, c * COLUMNS);
                    let Some(next) = next else {
                        ended(left.as_ptr(), panel.as_ptr(), depth, (rows.len(), wide), of);
                        continue;
                    };
                    ended_ahead(
                        left.as_ptr(),
                        panel.as_ptr(),
                        depth,
                        tall,
                        of,
                        &next[..next.len().min(COLUMNS * depth)],
                    );
                    let done = tall * ROWS;
                    if done < rows.len() {
                        let a = left.as_ptr().add(done * depth);
                        ended(a, panel.as_ptr(), depth, (rows.len() - done, wide), of.at(done, 0));
                    }
                }
            }
        }
    }
}

/// A part of a product.
#[derive(Clone, Debug)]
struct Unit {
    batch: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Routine for Product {
    fn phases(&self) -> usize {
        1 + usize::from(self.packs())
    }

    fn units(&self, phase: usize) -> usize {
        let (rows, columns) = self.unit();
        if phase + 1 < self.phases() {
            return self.m.div_ceil(ROWS);
        }
        self.batches() * self.m.div_ceil(rows) * self.n.div_ceil(columns)
    }

    fn scratch(&self) -> usize {
        let (a, b) = self.own();
        a + b
    }

    fn shared(&self) -> usize {
        if self.packs() { Packed { count: self.m, depth: self.k }.floats::<ROWS>() } else { 0 }
    }

    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        if phase + 1 < self.phases() {
            self.pack(units, on);
            return Ok(());
        }
        let mut registers = self.chain.registers();
        let (tall, wide) = self.unit();
        let (below, beside) = (self.m.div_ceil(tall), self.n.div_ceil(wide));
        let mut made = None;
        let mut next = units.start;
        while next < units.end {
            let unit = next;
            // A few rows read weights as they lie, as far as they go: their units are one.
            let merged = if self.m <= ROWS && self.b == Side::Packed { beside - unit % beside } else { 1 };
            next = (unit + merged).min(units.end);
            // Next to each other are those that have more of what is put into panels in common.
            let (batch, at) = (unit / (below * beside), unit % (below * beside));
            let (row, column) = match self.b {
                Side::Packed => (at / beside, at % beside),
                Side::Strided(..) => (at % below, at / below),
            };
            let rows = row * tall..((row + 1) * tall).min(self.m);
            let columns = column * wide..((column + next - unit) * wide).min(self.n);
            let ends = self.ends(on, batch, &rows, &columns);
            // Sums begin with what is added to them, unless they are multiplied first.
            let begun = self.addend.filter(|_| ends.is_none() && (self.alpha == 1.0 || self.k == 0));
            let fills = ends.is_none() && (begun.is_some() || self.k == 0);
            for i in rows.clone().filter(|_| fills) {
                let start = (batch * self.m + i) * self.n + columns.start;
                let y = on.write(0, start..start + columns.len());
                match begun {
                    Some(addend) => addend.each(on, i, columns.start, y, |v, c| *v = c),
                    None => y.fill(0.0),
                }
            }
            if self.k > 0 {
                let begin = |place: Sums| if fills { place } else { Sums { begin: Begin::Nothing, ..place } };
                let of = ends.unwrap_or_else(|| begin(self.place(on, batch, &rows, &columns)));
                let unit = Unit { batch, rows: rows.clone(), columns: columns.clone() };
                self.sums(on, unit, of, &mut made);
            }
            if ends.is_some() && self.chain.is_empty() {
                continue;
            }
            let start = |i: usize| (batch * self.m + i) * self.n + columns.start;
            for i in rows.clone().filter(|_| ends.is_none()) {
                let y = on.write(0, start(i)..start(i) + columns.len());
                if self.alpha != 1.0 && self.k > 0 {
                    y.iter_mut().for_each(|v| *v *= self.alpha);
                }
                if let (Some(addend), None) = (self.addend, begun) {
                    addend.each(on, i, columns.start, y, |v, c| *v += c);
                }
                activate(self.activation, y);
            }
            // Whole rows lie next to each other.
            let (at_once, len) = match columns.len() == self.n && self.chain.is_flat() {
                true => (rows.len(), rows.len() * self.n),
                false => (1, columns.len()),
            };
            for i in rows.step_by(at_once) {
                let y = on.write(0, start(i)..start(i) + len);
                self.chain.run(on, &mut registers, start(i), y);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        if self.m <= FEW { Class::Gemv } else { Class::Matmul }
    }

    fn flops(&self) -> f64 {
        let outputs = (self.batches() * self.m * self.n) as f64;
        outputs * (2.0 * self.k as f64 + self.chain.flops)
    }
}
