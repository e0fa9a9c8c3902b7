//! One filter for each channel: sums of taps over rows, four vectors of outputs at once. Knows a channel's layout; must never
//! know products. `unsafe`, as the sums read and write through pointers.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::product::activate;
use crate::kernels::base::cpu::tile::{Seen, window};
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

/// A channel: what it is computed of.
struct Channel<'a> {
    /// Elements of the input.
    x: &'a [f32],
    filter: &'a [f32],
    bias: f32,
    /// What each tap of a row sees from an output's place.
    places: &'a [usize],
}

impl Depthwise {
    /// All rows of a channel into `y`: windows of `K` taps in a row, or as many as there are where `K` is 0; `NEAR`: neighbours.
    /// Rows are laid out when they are needed, and `finish` is told of some rows, and where they begin, once they are summed.
    fn plane<const K: usize, const NEAR: bool>(
        &self,
        of: &Channel<'_>,
        image: &mut [f32],
        y: &mut [f32],
        mut finish: impl FnMut(usize, &mut [f32]),
    ) {
        let (axis, width) = (&self.conv.y, self.conv.x.output);
        let (rows, down, apart) = (axis.output, axis.dilation * self.layout.row(), axis.stride * self.layout.row());
        let (mut at, mut laid) = (0, 0);
        while at < rows {
            // The last rows are those at the end: some are summed twice.
            let begin = at.min(rows.saturating_sub(SIDE_BY_SIDE));
            let count = SIDE_BY_SIDE.min(rows);
            let need = (begin + count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
            self.layout.put(of.x, laid..need, image);
            laid = need;
            let taken = self.taken(begin, count);
            let image = &image[self.layout.output(begin) + taken.start * down..];
            let factors = &of.filter[taken.start * of.places.len()..taken.end * of.places.len()];
            let seen = Seen { factors, places: of.places, down, apart };
            let y = &mut y[begin * width..(begin + count) * width];
            match count {
                1 => self.rows::<1, K, NEAR>(seen, image, of.bias, y),
                2 => self.rows::<2, K, NEAR>(seen, image, of.bias, y),
                3 => self.rows::<3, K, NEAR>(seen, image, of.bias, y),
                _ => self.rows::<SIDE_BY_SIDE, K, NEAR>(seen, image, of.bias, y),
            }
            finish(begin * width, y);
            at = begin + count;
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
    fn rows<const R: usize, const K: usize, const NEAR: bool>(
        &self,
        seen: Seen<'_>,
        image: &[f32],
        bias: f32,
        y: &mut [f32],
    ) {
        let width = self.conv.x.output;
        let most = seen.places.iter().copied().max().unwrap_or(0) + width.max(4);
        let last = (seen.factors.len() / seen.places.len()).saturating_sub(1) * seen.down + (R - 1) * seen.apart;
        assert!(seen.factors.is_empty() || last + most <= image.len(), "a window beyond its image");
        assert!(y.len() == R * width, "rows of another width");
        // SAFETY: what the last row sees under its last tap ends within the image, and `y` has so many rows.
        unsafe { window::<R, K, NEAR>(seen, image.as_ptr(), bias, y.as_mut_ptr(), width) }
    }
}

impl Routine for Depthwise {
    fn units(&self, _: usize) -> usize {
        self.conv.batch * self.conv.channels
    }

    fn scratch(&self) -> usize {
        self.layout.channel() + SLACK
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let conv = &self.conv;
        let (plane, outputs) = (conv.y.input * conv.x.input, conv.y.output * conv.x.output);
        let (x, w): (&[f32], &[f32]) = (on.read(0), on.read(1));
        let taps = conv.y.kernel * conv.x.kernel;
        let image = on.scratch();
        let mut registers = self.chain.registers();
        let places: Vec<usize> = (0..conv.x.kernel).map(|kx| self.layout.tap(0, kx)).collect();
        let near = places.iter().enumerate().all(|(tap, &place)| place == tap);
        self.layout.clear(0.0, image);
        for unit in units {
            let channel = unit % conv.channels;
            let of = Channel {
                x: &x[unit * plane..(unit + 1) * plane],
                filter: &w[channel * taps..(channel + 1) * taps],
                bias: if self.bias { on.read::<f32>(2)[channel] } else { 0.0 },
                places: &places,
            };
            let y: &mut [f32] = on.write(0, unit * outputs..(unit + 1) * outputs);
            let finish = |begin: usize, rows: &mut [f32]| {
                activate(conv.activation, rows);
                self.chain.run(on, &mut registers, unit * outputs + begin, rows);
            };
            match (conv.x.kernel, near) {
                (3, true) => self.plane::<3, true>(&of, image, y, finish),
                (5, true) => self.plane::<5, true>(&of, image, y, finish),
                (3, false) => self.plane::<3, false>(&of, image, y, finish),
                (5, false) => self.plane::<5, false>(&of, image, y, finish),
                _ => self.plane::<0, false>(&of, image, y, finish),
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
