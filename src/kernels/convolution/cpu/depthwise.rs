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
    /// A row of outputs.
    fn row(&self, taken: &[(usize, f32)], image: &[f32], at: usize, bias: f32, y: &mut [f32]) {
        let most = taken.iter().map(|tap| tap.0).max().unwrap_or(0);
        assert!(at + most + y.len().next_multiple_of(4) <= image.len(), "a window beyond its image");
        let mut x = 0;
        // SAFETY: each tap reads as many floats as are written, all within the image, as was asserted.
        unsafe {
            let from = image.as_ptr().add(at);
            while x + 16 <= y.len() {
                taps::<4>(taken, from.add(x), bias, y.as_mut_ptr().add(x));
                x += 16;
            }
            while x + 4 <= y.len() {
                taps::<1>(taken, from.add(x), bias, y.as_mut_ptr().add(x));
                x += 4;
            }
            if x < y.len() {
                let mut aside = [0.0f32; 4];
                taps::<1>(taken, from.add(x), bias, aside.as_mut_ptr());
                let rest = y.len() - x;
                y[x..].copy_from_slice(&aside[..rest]);
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
            for (oy, row) in y.chunks_exact_mut(conv.x.output).enumerate() {
                self.row(&taken, image, self.layout.output(oy), bias, row);
            }
            activate(conv.activation, y);
            self.chain.run(on, &mut registers, unit * outputs, y, true);
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
