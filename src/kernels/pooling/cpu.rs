//! Pools on a processor: a plane laid out for its window, then rows of outputs over all taps. Knows windows; must never know
//! another family.

use super::{Windows, windows};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::image::{Layout, SLACK};
use crate::kernels::base::cpu::seen::over;
use crate::kernels::base::cpu::simd::F4;
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines =
    &[("MaxPool", |call, steps| lower(call, steps, false)), ("AveragePool", |call, steps| lower(call, steps, true))];

#[derive(Debug)]
struct Pool {
    planes: usize,
    /// Elements of a plane of the input, and of the output.
    input: usize,
    output: usize,
    width: usize,
    layout: Layout,
    /// Where each tap reads from an output's place.
    taps: Vec<usize>,
    /// One over the elements that each output is the mean of; empty for the greatest.
    shares: Vec<f32>,
}

fn lower(call: &Call<'_>, steps: &mut Steps<'_>, average: bool) -> Result<bool> {
    let Windows { planes, y, x, shape, counts_padding } = windows(call)?;
    if shape.contains(&0) || y.input * x.input == 0 {
        return Ok(false);
    }
    let layout = Layout::new(y, x);
    let taps = (0..y.kernel).flat_map(|ky| (0..x.kernel).map(move |kx| layout.tap(ky, kx))).collect();
    let met = |oy: usize, ox: usize| match counts_padding {
        true => y.padded_taps(oy) * x.padded_taps(ox),
        false => y.taps(oy).count() * x.taps(ox).count(),
    };
    let mut shares = vec![];
    if average {
        let all = (0..y.output).flat_map(|oy| (0..x.output).map(move |ox| (oy, ox)));
        shares.extend(all.map(|(oy, ox)| 1.0 / met(oy, ox) as f32));
    }
    let (input, output, width) = (y.input * x.input, y.output * x.output, x.output);
    let (from, to) = (steps.input(0)?, steps.output(0)?);
    steps.push(Pool { planes, input, output, width, layout, taps, shares }, vec![from], vec![to]);
    Ok(true)
}

impl Routine for Pool {
    fn units(&self, _: usize) -> usize {
        self.planes
    }

    fn scratch(&self) -> usize {
        self.layout.channel() + SLACK
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let image = on.scratch();
        let average = !self.shares.is_empty();
        let pad = if average { 0.0 } else { f32::NEG_INFINITY };
        self.layout.clear(pad, image);
        for unit in units {
            let x: &[f32] = on.read(0);
            self.layout.put(&x[unit * self.input..(unit + 1) * self.input], 0..self.layout.rows, image);
            let y: &mut [f32] = on.write(0, unit * self.output..(unit + 1) * self.output);
            for (oy, row) in y.chunks_exact_mut(self.width).enumerate() {
                let from = &image[self.layout.output(oy)..];
                match average {
                    true => over(&self.taps, from, row, F4::plus),
                    false => over(&self.taps, from, row, F4::greater),
                }
            }
            y.iter_mut().zip(&self.shares).for_each(|(y, share)| *y *= share);
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Pool
    }

    fn flops(&self) -> f64 {
        (self.planes * self.output * self.taps.len()) as f64
    }
}
