//! An image laid out for a sliding window: padded, and each row divided by the window's stride, so that what neighbouring
//! outputs read under one tap are neighbours. Knows windows; must never know what is computed of it.

use crate::kernels::base::window::Axis;

/// Floats after the last that a vector may read without a use.
pub const SLACK: usize = 16;

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
        for (row, to) in to[..self.channel()].chunks_exact_mut(self.row()).enumerate() {
            let Some(at) = row.checked_sub(self.y.before).filter(|&at| at < self.y.input) else {
                to.fill(pad);
                continue;
            };
            let from = &from[at * self.x.input..(at + 1) * self.x.input];
            for (part, to) in to.chunks_exact_mut(self.length).enumerate() {
                self.fill_part(part, from, pad, to);
            }
        }
    }

    fn fill_part(&self, part: usize, from: &[f32], pad: f32, to: &mut [f32]) {
        let (stride, before) = (self.x.stride, self.x.before);
        // The first element of the part that is not before the row, and the first after its end.
        let first = before.saturating_sub(part).div_ceil(stride).min(to.len());
        let end = (before + from.len()).saturating_sub(part).div_ceil(stride).clamp(first, to.len());
        to[..first].fill(pad);
        to[end..].fill(pad);
        let to = &mut to[first..end];
        if to.is_empty() {
            return;
        }
        let from = &from[first * stride + part - before..];
        match stride {
            1 => to.copy_from_slice(&from[..to.len()]),
            2 => to.iter_mut().zip(from.chunks(2)).for_each(|(y, x)| *y = x[0]),
            _ => to.iter_mut().zip(from.chunks(stride)).for_each(|(y, x)| *y = x[0]),
        }
    }
}
