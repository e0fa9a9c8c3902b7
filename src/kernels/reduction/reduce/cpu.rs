//! Reductions on a processor: rows that lie together one by one, rows that lie across side by side. Knows rows; must never
//! know another family.

use super::rule;
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::sums::{greatest, sum};
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use crate::kernels::base::rows::Rows;
use std::ops::Range;

/// How a row becomes one element.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Sum,
    Mean,
    Squares,
    L1,
    L2,
    Max,
    Min,
}

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[
    ("ReduceSum", |call, steps| lower(call, steps, How::Sum, false)),
    ("ReduceMean", |call, steps| lower(call, steps, How::Mean, false)),
    ("ReduceSumSquare", |call, steps| lower(call, steps, How::Squares, false)),
    ("ReduceL1", |call, steps| lower(call, steps, How::L1, false)),
    ("ReduceL2", |call, steps| lower(call, steps, How::L2, false)),
    ("ReduceMax", |call, steps| lower(call, steps, How::Max, false)),
    ("ReduceMin", |call, steps| lower(call, steps, How::Min, false)),
    ("GlobalAveragePool", |call, steps| lower(call, steps, How::Mean, true)),
    ("GlobalMaxPool", |call, steps| lower(call, steps, How::Max, true)),
];

#[derive(Debug)]
struct Reduce {
    rows: Rows,
    how: How,
}

fn lower(call: &Call<'_>, steps: &mut Steps<'_>, how: How, global: bool) -> Result<bool> {
    let (rows, _) = rule(global, call)?;
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    steps.push(Reduce { rows, how }, vec![x], vec![y]);
    Ok(true)
}

impl Reduce {
    fn first(&self) -> f32 {
        match self.how {
            How::Max => f32::NEG_INFINITY,
            How::Min => f32::INFINITY,
            _ => 0.0,
        }
    }

    fn row(&self, x: &[f32]) -> f32 {
        match self.how {
            How::Sum | How::Mean => sum(x, |v| v),
            How::Squares | How::L2 => sum(x, |v| v * v),
            How::L1 => sum(x, f32::abs),
            How::Max => greatest(x, f32::NEG_INFINITY, |v| v),
            How::Min => -greatest(x, f32::NEG_INFINITY, |v| -v),
        }
    }

    /// One element more of each row.
    fn add(&self, y: &mut [f32], x: &[f32]) {
        let all = y.iter_mut().zip(x);
        match self.how {
            How::Sum | How::Mean => all.for_each(|(y, x)| *y += x),
            How::Squares | How::L2 => all.for_each(|(y, x)| *y += x * x),
            How::L1 => all.for_each(|(y, x)| *y += x.abs()),
            How::Max => all.for_each(|(y, &x)| *y = if x > *y { x } else { *y }),
            How::Min => all.for_each(|(y, &x)| *y = if x < *y { x } else { *y }),
        }
    }

    fn finish(&self, y: &mut [f32]) {
        match self.how {
            How::Mean => y.iter_mut().for_each(|y| *y /= self.rows.len as f32),
            How::L2 => y.iter_mut().for_each(|y| *y = y.sqrt()),
            _ => {}
        }
    }
}

impl Routine for Reduce {
    fn units(&self, _: usize) -> usize {
        if self.rows.inner == 0 { 0 } else { self.rows.outer }
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let Rows { len, inner, .. } = self.rows;
        let x: &[f32] = on.read(0);
        for unit in units {
            let y = on.write(0, unit * inner..(unit + 1) * inner);
            let x = &x[unit * len * inner..(unit + 1) * len * inner];
            if inner == 1 {
                y[0] = self.row(x);
            } else {
                y.fill(self.first());
                x.chunks_exact(inner).for_each(|x| self.add(y, x));
            }
            self.finish(y);
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Reduce
    }

    fn flops(&self) -> f64 {
        2.0 * (self.rows.count() * self.rows.len) as f64
    }
}
