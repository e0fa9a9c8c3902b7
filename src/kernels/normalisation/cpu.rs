//! Normalisations on a processor: means and deviations row by row, or one factor and shift for each channel.
//! Knows rows; must never know another family.

use super::{channels, layer_rows};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::sums::sum;
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[("LayerNormalization", layer), ("BatchNormalization", batch)];

/// Rows one after another.
#[derive(Debug)]
struct Layer {
    rows: usize,
    len: usize,
    epsilon: f32,
    bias: bool,
}

fn layer(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let rows = layer_rows(call)?;
    let epsilon = call.attributes.float("epsilon", 1e-5)?;
    let bias = steps.optional_input(2).is_some();
    let (reads, y) = (steps.given(), steps.output(0)?);
    steps.push(Layer { rows: rows.count(), len: rows.len, epsilon, bias }, reads, vec![y]);
    Ok(true)
}

impl Routine for Layer {
    fn units(&self, _: usize) -> usize {
        if self.len == 0 { 0 } else { self.rows }
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let scale: &[f32] = on.read(1);
        for unit in units {
            let range = unit * self.len..(unit + 1) * self.len;
            let (x, y) = (&on.read::<f32>(0)[range.clone()], on.write(0, range));
            let mean = sum(x, |v| v) / self.len as f32;
            let variance = sum(x, |v| (v - mean) * (v - mean)) / self.len as f32;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            let all = y.iter_mut().zip(x).zip(scale);
            if self.bias {
                let bias: &[f32] = on.read(2);
                all.zip(bias).for_each(|(((y, x), scale), bias)| *y = (x - mean) * factor * scale + bias);
            } else {
                all.for_each(|((y, x), scale)| *y = (x - mean) * factor * scale);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Reduce
    }

    fn flops(&self) -> f64 {
        8.0 * (self.rows * self.len) as f64
    }
}

/// Planes, each of a channel.
#[derive(Debug)]
struct Batch {
    planes: usize,
    channels: usize,
    inner: usize,
    epsilon: f32,
}

fn batch(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let channels = channels(call)?;
    let shape = &call.input(0)?.ty.shape;
    let (planes, inner) = (shape[0] * channels, shape[2..].iter().product());
    let epsilon = call.attributes.float("epsilon", 1e-5)?;
    let (reads, y) = (steps.given(), steps.output(0)?);
    steps.push(Batch { planes, channels, inner, epsilon }, reads, vec![y]);
    Ok(true)
}

impl Routine for Batch {
    fn units(&self, _: usize) -> usize {
        self.planes
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let [scale, bias, mean, variance]: [&[f32]; 4] = std::array::from_fn(|i| on.read(i + 1));
        for unit in units {
            let (range, c) = (unit * self.inner..(unit + 1) * self.inner, unit % self.channels);
            let factor = scale[c] / (variance[c] + self.epsilon).sqrt();
            let (mean, bias) = (mean[c], bias[c]);
            let (x, y) = (&on.read::<f32>(0)[range.clone()], on.write(0, range));
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * factor + bias);
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        3.0 * (self.planes * self.inner) as f64
    }
}
