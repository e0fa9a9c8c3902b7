//! Groups of one filter, above all depthwise: sums of taps over rows, four rows of outputs at once. Knows a channel's layout;
//! must never know products. `unsafe`, as the sums read and write through pointers.
#![allow(unsafe_code)]

use super::nine::{Filter, Planes};
use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::chain::BLOCK;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::product::activate;
use crate::kernels::base::cpu::seen::{Seen, window};
use crate::kernels::base::cpu::{Chain, Operands, Routine};
use crate::kernels::convolution::Convolution;
use std::ops::Range;

/// Reads the image, the weights, the bias where there is one, and what the chain reads.
#[derive(Debug)]
pub struct Depthwise {
    /// Sizes.
    pub conv: Convolution,
    /// How a channel lies.
    pub layout: Layout,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub chain: Chain,
}

/// Rows of outputs that are summed side by side.
const SIDE_BY_SIDE: usize = 4;
/// Sums that are finished at once: as many as a chain takes, and still in the nearest cache.
const FINISHED: usize = BLOCK;
/// Units that threads share out, where rows suffice for so many.
const UNITS: usize = 16;
/// Rows of a part of a plane at least: what a window sees beyond it is laid out twice.
const PART_ROWS: usize = 16;

/// A filter and what it sees.
struct Group<'a> {
    /// Elements of the input, a channel after another.
    x: &'a [f32],
    filter: &'a [f32],
    bias: f32,
    /// What each tap of a row sees from an output's place.
    places: &'a [usize],
}

impl Depthwise {
    /// The way of 3×3 by themselves, where that is what they are.
    fn nine(&self) -> Option<Planes> {
        Planes::of(self.conv.y, self.conv.x).filter(|_| self.conv.group_channels() == 1)
    }

    /// Parts that a plane is divided into, each some of its rows.
    fn parts(&self) -> usize {
        let planes = self.conv.batch * self.conv.group;
        UNITS.div_ceil(planes.max(1)).min(self.conv.y.output / PART_ROWS).max(1)
    }

    /// Some rows of outputs into `y`: windows of `K` taps in a row, or as many as there are where `K` is 0; `NEAR`: neighbours.
    /// Rows are laid out when they are needed, and `finish` is told of some rows, and where they begin, once they are summed.
    fn plane<const K: usize, const NEAR: bool>(
        &self,
        of: &Group<'_>,
        image: &mut [f32],
        rows: Range<usize>,
        y: &mut [f32],
        mut finish: impl FnMut(usize, &mut [f32]),
    ) {
        let (axis, width) = (&self.conv.y, self.conv.x.output);
        let (down, apart) = (axis.dilation * self.layout.row(), axis.stride * self.layout.row());
        let (height, channels, channel) = (axis.kernel, self.conv.group_channels(), self.layout.channel());
        let start = rows.start;
        let (mut at, mut laid, mut finished) = (start, start * axis.stride, start);
        while at < rows.end {
            // The last rows are those at the end: some are summed twice.
            let count = SIDE_BY_SIDE.min(rows.len());
            let begin = at.min(rows.end - count);
            let need = (begin + count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
            let planes = of.x.chunks_exact(axis.input * self.conv.x.input);
            for (plane, image) in planes.zip(image.chunks_mut(channel)) {
                self.layout.put(plane, laid..need, image);
            }
            laid = need;
            let taken = self.taken(begin, count);
            let image = &image[self.layout.output(begin) + taken.start * down..];
            let (first, taken) = (taken.start, taken.len());
            let (factors, places) = (of.filter, of.places);
            let seen = Seen { factors, first, rows: taken, height, places, down, channels, channel, apart };
            let sums = &mut y[(begin - start) * width..(begin - start + count) * width];
            match count {
                1 => self.rows::<1, K, NEAR>(seen, image, of.bias, sums),
                2 => self.rows::<2, K, NEAR>(seen, image, of.bias, sums),
                3 => self.rows::<3, K, NEAR>(seen, image, of.bias, sums),
                _ => self.rows::<SIDE_BY_SIDE, K, NEAR>(seen, image, of.bias, sums),
            }
            at = begin + count;
            if at == rows.end || (at - finished) * width >= FINISHED {
                let from = finished.min(begin);
                finish(from * width, &mut y[(from - start) * width..(at - start) * width]);
                finished = at;
            }
        }
    }

    /// The filter's rows under which some of `count` rows of outputs from `begin` on see more than padding.
    fn taken(&self, begin: usize, count: usize) -> Range<usize> {
        let axis = &self.conv.y;
        let first = axis.before.saturating_sub((begin + count - 1) * axis.stride).div_ceil(axis.dilation);
        let end = (axis.before + axis.input).saturating_sub(begin * axis.stride).div_ceil(axis.dilation);
        let end = end.min(axis.kernel);
        first.min(end)..end
    }

    /// `R` rows of outputs, seen from the beginning of `image` on.
    #[inline(never)]
    fn rows<const R: usize, const K: usize, const NEAR: bool>(
        &self,
        seen: Seen<'_>,
        image: &[f32],
        bias: f32,
        y: &mut [f32],
    ) {
        let width = self.conv.x.output;
        let most = seen.places.iter().copied().max().unwrap_or(0) + width.max(4);
        let last = seen.rows.saturating_sub(1) * seen.down + (R - 1) * seen.apart;
        let last = last + (seen.channels - 1) * seen.channel;
        assert!(seen.rows == 0 || last + most <= image.len(), "a window beyond its image");
        assert!(y.len() == R * width, "rows of another width");
        // SAFETY: what the last row sees under its last tap ends within the image, and `y` has so many rows.
        unsafe {
            match seen.channels {
                1 => window::<R, K, NEAR, true>(seen, image.as_ptr(), bias, y.as_mut_ptr(), width),
                _ => window::<R, K, NEAR, false>(seen, image.as_ptr(), bias, y.as_mut_ptr(), width),
            }
        }
    }
}

impl Routine for Depthwise {
    fn units(&self, _: usize) -> usize {
        self.conv.batch * self.conv.group * self.parts()
    }

    fn scratch(&self) -> usize {
        let whole = self.layout.channel() * self.conv.group_channels() + SLACK;
        self.nine().map_or(whole, |nine| nine.scratch())
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let conv = &self.conv;
        let (channels, width, parts) = (conv.group_channels(), conv.x.output, self.parts());
        let (plane, outputs) = (channels * conv.y.input * conv.x.input, conv.y.output * width);
        let (x, w): (&[f32], &[f32]) = (on.read(0), on.read(1));
        let taps = channels * conv.y.kernel * conv.x.kernel;
        let image = on.scratch();
        let mut registers = self.chain.registers();
        let places: Vec<usize> = (0..conv.x.kernel).map(|kx| self.layout.tap(0, kx)).collect();
        let near = places.iter().enumerate().all(|(tap, &place)| place == tap);
        let nine = self.nine();
        image[..self.scratch()].fill(0.0);
        for unit in units {
            let (unit, part) = (unit / parts, unit % parts);
            let rows = part * conv.y.output / parts..(part + 1) * conv.y.output / parts;
            let group = unit % conv.group;
            let of = Group {
                x: &x[unit * plane..(unit + 1) * plane],
                filter: &w[group * taps..(group + 1) * taps],
                bias: if self.bias { on.read::<f32>(2)[group] } else { 0.0 },
                places: &places,
            };
            let first = unit * outputs + rows.start * width;
            let y: &mut [f32] = on.write(0, first..unit * outputs + rows.end * width);
            if let Some(nine) = nine {
                nine.run(&Filter::new(of.filter, of.bias, conv.activation), of.x, image, rows, y);
                self.chain.run(on, &mut registers, first, y);
                continue;
            }
            let finish = |begin: usize, rows: &mut [f32]| {
                activate(conv.activation, rows);
                self.chain.run(on, &mut registers, unit * outputs + begin, rows);
            };
            match (conv.x.kernel, near) {
                (3, true) => self.plane::<3, true>(&of, image, rows, y, finish),
                (5, true) => self.plane::<5, true>(&of, image, rows, y, finish),
                (5, false) => self.plane::<5, false>(&of, image, rows, y, finish),
                _ => self.plane::<0, false>(&of, image, rows, y, finish),
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Depthwise
    }

    fn flops(&self) -> f64 {
        let outputs: usize = self.conv.shape.iter().product();
        self.conv.flops(self.bias) + self.chain.flops * outputs as f64
    }
}
