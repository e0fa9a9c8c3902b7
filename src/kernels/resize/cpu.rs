//! Resize on a processor: the rows that an output lies between first, then the columns, each by a table of places.
//! Knows places; must never know another family.

use super::{Axis, Mode, Rule, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[("Resize", lower)];

/// The two elements that an output lies between, and its distance from the first.
type Place = (usize, usize, f32);

#[derive(Debug)]
struct Resize {
    planes: usize,
    /// Elements of a row of the input, and rows.
    width: usize,
    height: usize,
    y: Vec<Place>,
    x: Vec<Place>,
    linear: bool,
}

fn places(axis: Axis, mode: Mode) -> Vec<Place> {
    let place = |i: i64| match mode {
        Mode::Linear => {
            let (from, to, distance) = axis.between(i);
            (from, to, distance as f32)
        }
        _ => (axis.nearest(i, mode), 0, 0.0),
    };
    (0..axis.output).map(place).collect()
}

fn lower(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let Rule { shape, y, x, mode } = rule(call)?;
    if shape.contains(&0) {
        return Ok(false);
    }
    let planes = shape[..shape.len() - 2].iter().product();
    let (width, height) = (x.input as usize, y.input as usize);
    let (y, x) = (places(y, mode), places(x, mode));
    let (from, to) = (steps.input(0)?, steps.output(0)?);
    steps.push(Resize { planes, width, height, y, x, linear: mode == Mode::Linear }, vec![from], vec![to]);
    Ok(true)
}

impl Routine for Resize {
    fn units(&self, _: usize) -> usize {
        self.planes
    }

    fn scratch(&self) -> usize {
        self.width
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let (plane, outputs) = (self.width * self.height, self.x.len() * self.y.len());
        let between = &mut on.scratch()[..self.width];
        for unit in units {
            let from = &on.read::<f32>(0)[unit * plane..(unit + 1) * plane];
            let row = |at: usize| &from[at * self.width..(at + 1) * self.width];
            let to: &mut [f32] = on.write(0, unit * outputs..(unit + 1) * outputs);
            let mut last: Option<&mut [f32]> = None;
            for (i, (to, &(first, second, distance))) in to.chunks_exact_mut(self.x.len()).zip(&self.y).enumerate() {
                match last {
                    // An output row that is made of the same is the same.
                    Some(done) if self.y[i - 1] == self.y[i] => to.copy_from_slice(done),
                    _ if self.linear => {
                        let all = between.iter_mut().zip(row(first)).zip(row(second));
                        all.for_each(|((y, a), b)| *y = a + (b - a) * distance);
                        for (y, &(a, b, distance)) in to.iter_mut().zip(&self.x) {
                            *y = between[a] + (between[b] - between[a]) * distance;
                        }
                    }
                    _ => {
                        let row = row(first);
                        to.iter_mut().zip(&self.x).for_each(|(y, place)| *y = row[place.0]);
                    }
                }
                last = Some(to);
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Movement
    }

    fn flops(&self) -> f64 {
        6.0 * (self.planes * self.x.len() * self.y.len()) as f64
    }
}
