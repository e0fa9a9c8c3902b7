//! One filter for each channel: sums of taps over rows, four vectors of outputs at once. Knows a channel's layout; must never
//! know products. `unsafe`, as the sums read and write through pointers.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::product::activate;
use crate::kernels::base::cpu::tile::{taps, window};
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

impl Depthwise {
    /// `R` rows of outputs, the first of which reads from `at` on.
    fn rows<const R: usize>(&self, taken: &[(usize, f32)], image: &[f32], at: usize, bias: f32, y: &mut [f32]) {
        let (width, apart) = (self.conv.x.output, self.layout.output(1));
        let most = taken.iter().map(|tap| tap.0).max().unwrap_or(0);
        assert!(at + (R - 1) * apart + most + width.next_multiple_of(4) <= image.len(), "a window beyond its image");
        assert!(y.len() == R * width, "rows of another width");
        for x in (0..width).step_by(4) {
            // SAFETY: each tap reads four floats of each row, all within the image, and no more are written than a row has.
            unsafe {
                let (from, to) = (image.as_ptr().add(at + x), y.as_mut_ptr().add(x));
                taps::<R>(taken, (from, apart), bias, (to, width), 4.min(width - x));
            }
        }
    }
}

/// Rows of outputs that are summed side by side.
const SIDE_BY_SIDE: usize = 4;

/// All rows of a channel by windows of `K` by `K`, `S` apart.
fn plane<const K: usize, const S: usize>(of: &Depthwise, filter: &[f32], image: &[f32], bias: f32, y: &mut [f32]) {
    let (layout, width) = (&of.layout, of.conv.x.output);
    let factors: [[f32; K]; K] = std::array::from_fn(|ky| std::array::from_fn(|kx| filter[ky * K + kx]));
    let places: [usize; K] = std::array::from_fn(|kx| layout.tap(0, kx));
    let (apart, rows) = (layout.row(), of.conv.y.output);
    let most = places.iter().copied().max().unwrap_or(0) + width.max(4);
    let mut at = 0;
    while at < rows {
        // The last rows are those at the end: some are summed twice.
        let begin = at.min(rows.saturating_sub(SIDE_BY_SIDE));
        let count = SIDE_BY_SIDE.min(rows);
        let from = layout.output(begin);
        assert!(from + ((count - 1) * S + K - 1) * apart + most <= image.len(), "a window beyond its image");
        let y = &mut y[begin * width..(begin + count) * width];
        let (image, to) = (image[from..].as_ptr(), y.as_mut_ptr());
        // SAFETY: the last of the rows ends within the image, as was asserted, and `y` has so many rows.
        unsafe {
            match count {
                SIDE_BY_SIDE => {
                    window::<SIDE_BY_SIDE, K, S>(&factors, &places, (image, apart), bias, (to, width), width);
                }
                _ => {
                    for r in 0..count {
                        let row = (image.add(r * S * apart), apart);
                        window::<1, K, S>(&factors, &places, row, bias, (to.add(r * width), width), width);
                    }
                }
            }
        }
        at = begin + count;
    }
}

/// The rows of a channel where windows are of a common kind.
type Plane = fn(&Depthwise, &[f32], &[f32], f32, &mut [f32]);

impl Depthwise {
    fn plane(&self) -> Option<Plane> {
        let (y, x) = (&self.conv.y, &self.conv.x);
        let square = y.kernel == x.kernel && y.stride == x.stride && y.dilation == 1 && x.dilation == 1;
        match (y.kernel, y.stride) {
            (3, 1) if square => Some(plane::<3, 1>),
            (3, 2) if square => Some(plane::<3, 2>),
            (5, 1) if square => Some(plane::<5, 1>),
            (5, 2) if square => Some(plane::<5, 2>),
            _ => None,
        }
    }

    /// All rows of a channel, whatever its windows.
    fn any(&self, filter: &[f32], image: &[f32], bias: f32, y: &mut [f32]) {
        let width = self.conv.x.output;
        let tap =
            |(i, &factor): (usize, &f32)| (self.layout.tap(i / self.conv.x.kernel, i % self.conv.x.kernel), factor);
        let taken: Vec<(usize, f32)> = filter.iter().enumerate().map(tap).collect();
        for (block, rows) in y.chunks_mut(SIDE_BY_SIDE * width).enumerate() {
            let oy = block * SIDE_BY_SIDE;
            if rows.len() == SIDE_BY_SIDE * width {
                self.rows::<SIDE_BY_SIDE>(&taken, image, self.layout.output(oy), bias, rows);
                continue;
            }
            for (r, row) in rows.chunks_exact_mut(width).enumerate() {
                self.rows::<1>(&taken, image, self.layout.output(oy + r), bias, row);
            }
        }
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
        let fast = self.plane();
        self.layout.clear(0.0, image);
        for unit in units {
            let channel = unit % conv.channels;
            self.layout.put(&x[unit * plane..(unit + 1) * plane], image);
            let filter = &w[channel * taps..(channel + 1) * taps];
            let bias = if self.bias { on.read::<f32>(2)[channel] } else { 0.0 };
            let y: &mut [f32] = on.write(0, unit * outputs..(unit + 1) * outputs);
            match fast {
                Some(plane) => plane(self, filter, image, bias, y),
                None => self.any(filter, image, bias, y),
            }
            activate(conv.activation, y);
            self.chain.run(on, &mut registers, unit * outputs, y);
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
