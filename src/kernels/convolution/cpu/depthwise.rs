//! One filter for each channel: sums of taps over rows, four vectors of outputs at once. Knows a channel's layout; must never
//! know products. `unsafe`, as the sums read and write through pointers.
#![allow(unsafe_code)]

use crate::error::Result;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::product::activate;
use crate::kernels::base::cpu::tile::taps;
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
        let window = conv.y.kernel * conv.x.kernel;
        let image = on.scratch();
        let mut registers = self.chain.registers();
        let mut taken = Vec::with_capacity(window);
        for unit in units {
            let channel = unit % conv.channels;
            self.layout.fill(&x[unit * plane..(unit + 1) * plane], 0.0, image);
            let filter = &w[channel * window..(channel + 1) * window];
            taken.clear();
            let tap = |(i, &factor): (usize, &f32)| (self.layout.tap(i / conv.x.kernel, i % conv.x.kernel), factor);
            taken.extend(filter.iter().enumerate().map(tap));
            let bias = if self.bias { on.read::<f32>(2)[channel] } else { 0.0 };
            let y: &mut [f32] = on.write(0, unit * outputs..(unit + 1) * outputs);
            for (block, rows) in y.chunks_mut(SIDE_BY_SIDE * conv.x.output).enumerate() {
                let oy = block * SIDE_BY_SIDE;
                if rows.len() == SIDE_BY_SIDE * conv.x.output {
                    self.rows::<SIDE_BY_SIDE>(&taken, image, self.layout.output(oy), bias, rows);
                    continue;
                }
                for (r, row) in rows.chunks_exact_mut(conv.x.output).enumerate() {
                    self.rows::<1>(&taken, image, self.layout.output(oy + r), bias, row);
                }
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
