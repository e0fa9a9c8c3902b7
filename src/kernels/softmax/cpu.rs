//! Softmax on a processor, row by row; rows that lie across others go side by side. Knows rows; must never know another family.

use super::rows;
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::math::{exp, exponentials};
use crate::kernels::base::cpu::sums::greatest;
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use crate::kernels::base::rows::Rows;
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines =
    &[("Softmax", |call, steps| lower(call, steps, false)), ("LogSoftmax", |call, steps| lower(call, steps, true))];

/// Elements of a row that are no vectors by themselves, and so many such rows at once.
const SHORT: usize = 8;
const TOGETHER: usize = 64;

/// Rows of a tensor.
#[derive(Debug)]
struct Softmax {
    rows: Rows,
    log: bool,
}

fn lower(call: &Call<'_>, steps: &mut Steps<'_>, log: bool) -> Result<bool> {
    let rows = rows(call)?;
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    steps.push(Softmax { rows, log }, vec![x], vec![y]);
    Ok(true)
}

impl Softmax {
    fn row(&self, x: &[f32], y: &mut [f32]) {
        let most = greatest(x, f32::NEG_INFINITY, |v| v);
        y.copy_from_slice(x);
        let all = exponentials(y, most);
        if self.log {
            let shift = most + all.ln();
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x - shift);
        } else {
            let factor = 1.0 / all;
            y.iter_mut().for_each(|y| *y *= factor);
        }
    }

    /// Rows of a few elements: the powers of many at once.
    fn short(&self, x: &[f32], y: &mut [f32]) {
        let len = self.rows.len;
        for (x, y) in x.chunks(len * TOGETHER).zip(y.chunks_mut(len * TOGETHER)) {
            for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
                let most = x.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x - most);
            }
            exponentials(y, 0.0);
            for y in y.chunks_exact_mut(len) {
                let factor = 1.0 / y.iter().sum::<f32>();
                y.iter_mut().for_each(|y| *y *= factor);
            }
        }
    }

    /// Rows that lie across: one after another of their elements, all rows at once.
    fn across(&self, x: &[f32], y: &mut [f32]) {
        let inner = self.rows.inner;
        let mut most = vec![f32::NEG_INFINITY; inner];
        let mut all = vec![0.0; inner];
        for x in x.chunks_exact(inner) {
            most.iter_mut().zip(x).for_each(|(most, &x)| *most = if x > *most { x } else { *most });
        }
        for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)) {
            for (((x, y), most), all) in x.iter().zip(y).zip(&most).zip(&mut all) {
                *y = exp(x - most);
                *all += *y;
            }
        }
        for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)) {
            for (((x, y), most), all) in x.iter().zip(y).zip(&most).zip(&all) {
                *y = if self.log { x - most - all.ln() } else { *y / all };
            }
        }
    }
}

impl Routine for Softmax {
    fn units(&self, _: usize) -> usize {
        if self.rows.len * self.rows.inner == 0 { 0 } else { self.rows.outer }
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let floats = self.rows.len * self.rows.inner;
        if self.rows.inner == 1 && self.rows.len < SHORT && !self.log {
            let range = units.start * floats..units.end * floats;
            self.short(&on.read::<f32>(0)[range.clone()], on.write(0, range));
            return Ok(());
        }
        for unit in units {
            let range = unit * floats..(unit + 1) * floats;
            let (x, y) = (&on.read::<f32>(0)[range.clone()], on.write(0, range));
            if self.rows.inner == 1 { self.row(x, y) } else { self.across(x, y) }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Reduce
    }

    fn flops(&self) -> f64 {
        20.0 * (self.rows.count() * self.rows.len) as f64
    }
}
