//! An image laid out for a sliding window: padded, and each row divided by the window's stride, so that what neighbouring
//! outputs read under one tap are neighbours. Knows windows; must never know what is computed of it.

use super::simd::F4;
use crate::kernels::base::window::Axis;
use std::ops::Range;

/// Floats after the last that a vector may read without a use.
pub const SLACK: usize = 16;

/// Floats of a vector.
const LANES: usize = 4;

/// Copies a row, which is short as a rule: an engine calls out of wasm for what is copied at once.
#[inline(always)]
pub fn copy(from: &[f32], to: &mut [f32]) {
    if to.len() > 256 {
        return to.copy_from_slice(from);
    }
    let (len, whole) = (to.len(), to.len() / LANES * LANES);
    for (to, from) in to.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
        F4::of(from).put(to);
    }
    if len < LANES {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    } else if whole < len {
        // The last four, of which some are written twice.
        F4::of(&from[len - LANES..]).put(&mut to[len - LANES..]);
    }
}

/// Copies the first element of each two.
fn every_second(from: &[f32], to: &mut [f32]) {
    let (whole, to_rest) = to.as_chunks_mut::<4>();
    let (pairs, _) = from.as_chunks::<8>();
    let done = whole.len().min(pairs.len());
    whole.iter_mut().zip(pairs).for_each(|(y, x)| *y = [x[0], x[2], x[4], x[6]]);
    // The last whole one may lack the element that nobody reads.
    let (rest, from) = (whole[done..].as_flattened_mut(), &from[done * 8..]);
    rest.iter_mut().chain(to_rest).zip(from.chunks(2)).for_each(|(y, x)| *y = x[0]);
}

/// Copies the first element of each two to `even`, and the second to `odd`, as far as these reach.
#[inline(always)]
pub fn halves(from: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let (evens, odds) = (from.len().div_ceil(2).min(even.len()), (from.len() / 2).min(odd.len()));
    let whole = evens.min(odds) / LANES;
    let (pairs, fours) = (from.chunks_exact(2 * LANES), even.chunks_exact_mut(LANES));
    for (pair, (even, odd)) in pairs.zip(fours.zip(odd.chunks_exact_mut(LANES))).take(whole) {
        let [of_even, of_odd] = F4::halves([F4::of(pair), F4::of(&pair[LANES..])]);
        of_even.put(even);
        of_odd.put(odd);
    }
    (whole * LANES..evens).for_each(|i| even[i] = from[2 * i]);
    (whole * LANES..odds).for_each(|i| odd[i] = from[2 * i + 1]);
}

/// How one channel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    y: Axis,
    x: Axis,
    /// Rows.
    pub rows: usize,
    /// Parts of a row: one for each remainder of its elements by the stride that a tap meets.
    parts: usize,
    /// Floats of a part.
    length: usize,
}

impl Layout {
    /// That for windows along `y` and `x`.
    pub fn new(y: Axis, x: Axis) -> Layout {
        let parts = if x.kernel == 1 { 1 } else { x.stride };
        let rows = y.output.saturating_sub(1) * y.stride + (y.kernel - 1) * y.dilation + 1;
        let length = x.output + (x.kernel - 1) * x.dilation / x.stride;
        Layout { y, x, rows, parts, length }
    }

    /// Floats from one row to the next.
    pub fn row(&self) -> usize {
        self.parts * self.length
    }

    /// Floats of a channel.
    pub fn channel(&self) -> usize {
        self.rows * self.row()
    }

    /// Where the first output of the row `oy` reads under the first tap.
    pub fn output(&self, oy: usize) -> usize {
        oy * self.y.stride * self.row()
    }

    /// How far from there an output reads under a tap.
    pub fn tap(&self, ky: usize, kx: usize) -> usize {
        let along = kx * self.x.dilation;
        ky * self.y.dilation * self.row() + along % self.x.stride * self.length + along / self.x.stride
    }

    /// Lays out one channel of the input, with `pad` around it.
    pub fn fill(&self, from: &[f32], pad: f32, to: &mut [f32]) {
        self.clear(pad, to);
        self.put(from, 0..self.rows, to);
    }

    /// Writes `pad` wherever a channel may need it.
    pub fn clear(&self, pad: f32, to: &mut [f32]) {
        to[..self.channel()].fill(pad);
    }

    /// Lays out what lies in some rows of one channel of the input; what is around it stays.
    pub fn put(&self, from: &[f32], rows: Range<usize>, to: &mut [f32]) {
        let (stride, before, wide) = (self.x.stride, self.x.before, self.x.input);
        let rows = rows.start.max(self.y.before)..rows.end.min(self.y.before + self.y.input).min(self.rows);
        if self.parts == 2 {
            // Both at once.
            for row in rows {
                let from = &from[(row - self.y.before) * wide..][..wide];
                let (first, second) = to[row * self.row()..][..self.row()].split_at_mut(self.length);
                let (even, odd) = if before.is_multiple_of(2) { (first, second) } else { (second, first) };
                let (at_even, at_odd) = ((before / 2).min(self.length), before.div_ceil(2).min(self.length));
                halves(from, &mut even[at_even..], &mut odd[at_odd..]);
            }
            return;
        }
        for part in 0..self.parts {
            // The first element of the part that is not before a row, and the first after its end.
            let first = before.saturating_sub(part).div_ceil(stride).min(self.length);
            let end = (before + wide).saturating_sub(part).div_ceil(stride).clamp(first, self.length);
            if first == end {
                continue;
            }
            let (skipped, place) = (first * stride + part - before, part * self.length + first);
            for row in rows.clone() {
                let from = &from[(row - self.y.before) * wide..][skipped..wide];
                let to = &mut to[row * self.row() + place..][..end - first];
                match stride {
                    1 => copy(&from[..to.len()], to),
                    2 => every_second(from, to),
                    _ => to.iter_mut().zip(from.chunks(stride)).for_each(|(y, x)| *y = x[0]),
                }
            }
        }
    }
}
