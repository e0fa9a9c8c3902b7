//! 3×3 windows of one channel, four columns of outputs at a time from the top down: the filter stays in registers, and each row
//! is read once. Knows planes; must never know whose they are. `unsafe`, as the sums read and write through pointers.
#![allow(unsafe_code)]

use crate::kernels::base::cpu::image::{copy, halves};
use crate::kernels::base::cpu::simd::F4;
use crate::kernels::base::epilogue::Activation;
use crate::kernels::base::window::Axis;
use std::ops::Range;

/// Columns of outputs that are summed at once.
const COLUMNS: usize = 4;
/// Floats of a row after those that outputs step over, which the last ones see or read without a use.
const SLACK: usize = 8;
/// Floats that stay in the nearest cache beside others.
const NEAR: usize = 6144;

/// What is summed for every output.
#[derive(Debug)]
pub struct Filter {
    factors: [F4; 9],
    bias: F4,
    low: F4,
    high: F4,
}

impl Filter {
    /// Of nine factors; sums lie within what `activation` leaves.
    pub fn new(factors: &[f32], bias: f32, activation: Activation) -> Filter {
        let (low, high) = match activation {
            Activation::Identity => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Clip(low, high) => (low, high),
        };
        let factors = std::array::from_fn(|i| F4::splat(factors[i]));
        Filter { factors, bias: F4::splat(bias), low: F4::splat(low), high: F4::splat(high) }
    }

    /// What a row of the filter makes of what its taps see.
    #[inline(always)]
    fn row(&self, row: usize, [a, b, c]: [F4; 3]) -> F4 {
        let factors = &self.factors[row * 3..row * 3 + 3];
        a.times(factors[0]).madd(b, factors[1]).madd(c, factors[2])
    }

    /// `count` outputs below each other, which see rows from `from` on. From row to row it is `pitch` floats, from output to output
    /// `apart`.
    /// # Safety
    /// Six floats of each row are good for reading, and four of each output for writing.
    #[inline(never)]
    unsafe fn each_row(
        &self,
        (mut from, pitch): (*const f32, usize),
        (mut to, apart): (*mut f32, usize),
        count: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let near = |from: *const f32| [F4::load(from), F4::load(from.add(1)), F4::load(from.add(2))];
            let (first, second) = (near(from), near(from.add(pitch)));
            let mut above = self.bias.plus(self.row(0, first)).plus(self.row(1, second));
            let mut below = self.bias.plus(self.row(0, second));
            from = from.add(pitch);
            for _ in 0..count {
                from = from.add(pitch);
                let seen = near(from);
                above.plus(self.row(2, seen)).at_least(self.low).at_most(self.high).store(to);
                above = below.plus(self.row(1, seen));
                below = self.bias.plus(self.row(0, seen));
                to = to.wrapping_add(apart);
            }
        }
    }

    /// What taps see of a row that is laid out in halves: first every second float, then those between.
    /// # Safety
    /// Five floats of each half are good for reading.
    #[inline(always)]
    unsafe fn every_second(from: *const f32, half: usize) -> [F4; 3] {
        // SAFETY: the caller's promise.
        unsafe { [F4::load(from), F4::load(from.add(half)), F4::load(from.add(1))] }
    }

    /// As [`Filter::each_row`], where each output sees from two rows and two columns further on: a row is in halves.
    /// # Safety
    /// As there, of five floats of each half of a row.
    #[inline(never)]
    unsafe fn each_pair(
        &self,
        (mut from, pitch): (*const f32, usize),
        (mut to, apart): (*mut f32, usize),
        count: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut above = self.bias.plus(self.row(0, Filter::every_second(from, pitch / 2)));
            for _ in 0..count {
                let middle = self.row(1, Filter::every_second(from.add(pitch), pitch / 2));
                from = from.add(2 * pitch);
                let seen = Filter::every_second(from, pitch / 2);
                above.plus(middle).plus(self.row(2, seen)).at_least(self.low).at_most(self.high).store(to);
                above = self.bias.plus(self.row(0, seen));
                to = to.wrapping_add(apart);
            }
        }
    }
}

/// How a channel is seen: some of its rows at a time, laid out with their padding.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    y: Axis,
    x: Axis,
    /// Floats of a row.
    pitch: usize,
    /// Rows of outputs that are summed before the next are laid out.
    band: usize,
}

impl Planes {
    /// Those of windows along `y` and `x`, where these are 3×3 with one stride of 1 or 2 and no dilation, and rows hold a vector.
    pub fn of(y: Axis, x: Axis) -> Option<Planes> {
        let three = |axis: &Axis| axis.kernel == 3 && axis.dilation == 1 && axis.stride == y.stride;
        let pitch = (x.output * x.stride + SLACK).next_multiple_of(2 * COLUMNS);
        let band = (NEAR / (pitch * x.stride)).max(COLUMNS);
        let wide = x.output >= COLUMNS && x.before < COLUMNS && y.output > 0;
        (three(&y) && three(&x) && y.stride <= 2 && wide).then_some(Planes { y, x, pitch, band })
    }

    /// Floats of scratch.
    pub fn scratch(&self) -> usize {
        (self.band.min(self.y.output) * self.y.stride + 3) * self.pitch
    }

    /// Some rows of a channel's outputs into `to`. `scratch` is zero, or was used so before.
    pub fn run(&self, filter: &Filter, from: &[f32], scratch: &mut [f32], rows: Range<usize>, to: &mut [f32]) {
        let (width, stride, pitch) = (self.x.output, self.x.stride, self.pitch);
        let scratch = &mut scratch[..self.scratch()];
        for begin in rows.clone().step_by(self.band) {
            let count = self.band.min(rows.end - begin);
            let seen = begin * stride..(begin + count - 1) * stride + 3;
            seen.zip(scratch.chunks_exact_mut(pitch)).for_each(|(row, to)| self.lay(from, row, to));
            let to = &mut to[(begin - rows.start) * width..(begin - rows.start + count) * width];
            for at in (0..width).step_by(COLUMNS) {
                // The last columns are those at the end: some are summed twice.
                let at = at.min(width - COLUMNS);
                let seen = (scratch[at..].as_ptr(), pitch);
                let y = (to[at..].as_mut_ptr(), width);
                // SAFETY: rows were laid out for so many outputs, each with what the last columns see and more, and four outputs
                // of each row lie within it.
                unsafe {
                    match stride {
                        1 => filter.each_row(seen, y, count),
                        _ => filter.each_pair(seen, y, count),
                    }
                }
            }
        }
    }

    /// Lays out a row of the padded plane.
    #[inline(always)]
    fn lay(&self, from: &[f32], row: usize, to: &mut [f32]) {
        let before = self.x.before;
        match row.checked_sub(self.y.before).filter(|&row| row < self.y.input) {
            Some(row) if self.x.stride == 2 => {
                let from = &from[row * self.x.input..][..self.x.input];
                let (first, second) = to.split_at_mut(self.pitch / 2);
                let (even, odd) = if before.is_multiple_of(2) { (first, second) } else { (second, first) };
                halves(from, &mut even[before / 2..], &mut odd[before.div_ceil(2)..]);
            }
            Some(row) => {
                let len = self.x.input.min(to.len() - before);
                copy(&from[row * self.x.input..][..len], &mut to[before..before + len]);
            }
            None => to.fill(0.0),
        }
    }
}
