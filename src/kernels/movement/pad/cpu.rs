//! Pad on a processor: rows of the innermost axis, each copied in one piece where it lies in one. Knows places along axes;
//! must never know what elements mean.

use super::{Mode, rule};
use crate::error::Result;
use crate::graph::{Call, HostTensor};
use crate::kernels::base::Class;
use crate::kernels::base::cpu::{Operands, Routine, Steps};
use bytemuck::Pod;
use std::ops::Range;

/// Elements that are worth another thread.
const UNIT: usize = 1 << 14;

/// Where rows and their elements come from.
#[derive(Debug)]
struct Padded {
    /// Rows, and for each axis but the innermost where each place comes from.
    rows: usize,
    outer: Vec<Vec<Option<usize>>>,
    /// Sizes of these axes in the source.
    sizes: Vec<usize>,
    /// Elements of a row in the source, and of its result.
    from: usize,
    to: usize,
    /// Of a row: elements of the value, then elements that lie together from a place on; where that is not all, each alone.
    run: Option<(usize, usize, usize)>,
    each: Vec<Option<usize>>,
    /// Bytes of the value.
    value: Vec<u8>,
}

/// Appends a pad.
pub fn pad(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let mut rule = rule(call)?;
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    let dtype = steps.ty(x).dtype;
    if rule.shape.is_empty() {
        return Ok(false);
    }
    // Inner axes that stay as they are lengthen the row: it is one piece then.
    let mut inner = 1;
    while rule.shape.len() > 1 && rule.before.last() == Some(&0) && rule.shape.last() == rule.from.last() {
        inner *= rule.shape.pop().unwrap_or(1);
        rule.from.pop();
        rule.before.pop();
    }
    let last = rule.shape.len() - 1;
    let places =
        |axis: usize| -> Vec<Option<usize>> { (0..rule.shape[axis]).map(|at| rule.source(axis, at)).collect() };
    let each: Vec<Option<usize>> =
        places(last).into_iter().flat_map(|place| (0..inner).map(move |i| Some(place? * inner + i))).collect();
    let first = each.iter().position(Option::is_some).unwrap_or(each.len());
    let begin = each.get(first).copied().flatten().unwrap_or(0);
    let len = each[first..].iter().enumerate().take_while(|(i, place)| **place == Some(begin + i)).count();
    let one_piece = rule.mode == Mode::Constant && each[first + len..].iter().all(Option::is_none);
    let value = HostTensor::from_f64(dtype, [1], &[rule.value])?.bytes().to_vec();
    let routine = Padded {
        rows: rule.shape[..last].iter().product(),
        outer: (0..last).map(places).collect(),
        sizes: rule.from[..last].to_vec(),
        from: rule.from[last] * inner,
        to: rule.shape[last] * inner,
        run: one_piece.then_some((first, begin, len)),
        each,
        value,
    };
    steps.push(routine, vec![x], vec![y]);
    Ok(true)
}

impl Padded {
    /// Rows of a unit.
    fn part(&self) -> usize {
        UNIT.div_ceil(self.to.max(1))
    }

    /// Which row of the source the row of that number comes from.
    fn source(&self, row: usize) -> Option<usize> {
        let (mut left, mut source, mut stride) = (row, 0, 1);
        for (axis, places) in self.outer.iter().enumerate().rev() {
            source += places[left % places.len()]? * stride;
            left /= places.len();
            stride *= self.sizes[axis];
        }
        Some(source)
    }

    fn words<T: Pod>(&self, rows: Range<usize>, on: &Operands<'_>) {
        let value: T = bytemuck::pod_read_unaligned(&self.value);
        let (x, y): (&[T], &mut [T]) = (on.read(0), on.write(0, rows.start * self.to..rows.end * self.to));
        for (row, y) in rows.zip(y.chunks_exact_mut(self.to.max(1))) {
            let Some(source) = self.source(row) else {
                y.fill(value);
                continue;
            };
            let x = &x[source * self.from..(source + 1) * self.from];
            match self.run {
                Some((first, begin, len)) => {
                    y[..first].fill(value);
                    y[first..first + len].copy_from_slice(&x[begin..begin + len]);
                    y[first + len..].fill(value);
                }
                None => y.iter_mut().zip(&self.each).for_each(|(y, place)| *y = place.map_or(value, |at| x[at])),
            }
        }
    }
}

impl Routine for Padded {
    fn units(&self, _: usize) -> usize {
        self.rows.div_ceil(self.part())
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let rows = units.start * self.part()..(units.end * self.part()).min(self.rows);
        match self.value.len() {
            1 => self.words::<u8>(rows, on),
            2 => self.words::<u16>(rows, on),
            4 => self.words::<u32>(rows, on),
            _ => self.words::<u64>(rows, on),
        }
        Ok(())
    }

    fn reads(&self, _: usize, bytes: u64) -> u64 {
        // Where it cuts it reads no more than it writes.
        bytes.min((self.rows * self.to * self.value.len()) as u64)
    }

    fn class(&self) -> Class {
        Class::Movement
    }

    fn flops(&self) -> f64 {
        0.0
    }
}
