//! LSTM, GRU and RNN on a processor: what is given adds to the gates of all steps at once, what is kept step by step. Knows panels of
//! weights; must never know another family.

use super::cells::{Activation, Cell};
use super::sizes::Sizes;
use super::{Recurrent, Steps as Attributes};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::lowering::Pack;
use crate::kernels::base::cpu::math::{sigmoid, tanh};
use crate::kernels::base::cpu::simd::F4;
use crate::kernels::base::cpu::{Operands, Routine, Routines, Steps};
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[
    ("LSTM", |call, steps| lower(Cell::Lstm, call, steps)),
    ("GRU", |call, steps| lower(Cell::Gru, call, steps)),
    ("RNN", |call, steps| lower(Cell::Rnn, call, steps)),
];

/// Units of a gate that are summed at once.
const WIDE: usize = 32;

/// Where among the operands what may be left out is.
#[derive(Debug, Default)]
struct Places {
    bias: Option<usize>,
    lengths: Option<usize>,
    hidden: Option<usize>,
    inner: Option<usize>,
    peephole: Option<usize>,
    /// The results of all steps, the last state, the last inner state.
    results: [Option<usize>; 3],
}

#[derive(Debug)]
struct Sequence {
    cell: Cell,
    sizes: Sizes,
    attributes: Attributes,
    at: Places,
}

fn lower(cell: Cell, call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let sizes = Sizes::of(call, cell)?;
    let attributes = Recurrent { cell }.steps(call, sizes.directions)?;
    let (w, r) = (steps.input(1)?, steps.input(2)?);
    if !steps.constant(w) || !steps.constant(r) {
        return Ok(false);
    }
    let gates = sizes.directions * cell.gates();
    let mut packed = |of, depth: usize| {
        let (hidden, floats) = (sizes.hidden, gates * padded(sizes.hidden) * depth);
        let form = format!("recurrent {gates} {hidden} {depth}");
        steps.pack(of, form, floats, Pack::moves(move |from| panels(from, hidden, depth)))
    };
    let (w, r) = (packed(w, sizes.input), packed(r, sizes.hidden));
    let mut reads = vec![steps.input(0)?, w, r];
    let mut place = |i: usize| {
        steps.optional_input(i).map(|id| {
            reads.push(id);
            reads.len() - 1
        })
    };
    let mut at = Places { bias: place(3), lengths: place(4), hidden: place(5), ..Places::default() };
    if cell == Cell::Lstm {
        (at.inner, at.peephole) = (place(6), place(7));
    }
    let mut writes = vec![];
    for (i, result) in at.results.iter_mut().enumerate() {
        if let Ok(id) = steps.output(i) {
            *result = Some(writes.len());
            writes.push(id);
        }
    }
    steps.push(Sequence { cell, sizes, attributes, at }, reads, writes);
    Ok(true)
}

/// Units of a gate with those that fill its last panel.
fn padded(hidden: usize) -> usize {
    hidden.next_multiple_of(WIDE)
}

/// Gate by gate the weights of [`WIDE`] units side by side, one element of what they multiply after another.
fn panels(from: &[f32], hidden: usize, depth: usize) -> Vec<f32> {
    let gates = from.len() / (hidden * depth).max(1);
    let mut to = vec![0.0; gates * padded(hidden) * depth];
    for (i, row) in from.chunks_exact(depth.max(1)).enumerate() {
        let (gate, unit) = (i / hidden, i % hidden);
        let panel = (gate * padded(hidden) + unit / WIDE * WIDE) * depth + unit % WIDE;
        row.iter().enumerate().for_each(|(k, v)| to[panel + k * WIDE] = *v);
    }
    to
}

/// Adds what the units of a panel make of `by`.
#[inline(never)]
fn add(to: &mut [f32], panel: &[f32], by: &[f32]) {
    let mut sums: [F4; WIDE / 4] = std::array::from_fn(|i| F4::of(&to[4 * i..]));
    for (weights, &x) in panel.chunks_exact(WIDE).zip(by) {
        let x = F4::splat(x);
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = sum.madd(x, F4::of(&weights[4 * i..]));
        }
    }
    sums.into_iter().enumerate().for_each(|(i, sum)| sum.put(&mut to[4 * i..]));
}

/// The same for all panels of some gates.
fn add_all(to: &mut [f32], panels: &[f32], by: &[f32]) {
    for (to, panel) in to.chunks_exact_mut(WIDE).zip(panels.chunks_exact(WIDE * by.len().max(1))) {
        add(to, panel, by);
    }
}

/// Puts the sums of a gate through its activation.
fn end(sums: &mut [f32], clip: Option<f32>, activation: Activation) {
    if let Some(clip) = clip {
        // A bound that is no number bounds nothing: clamp would panic.
        sums.iter_mut().for_each(|v| *v = v.max(-clip).min(clip));
    }
    match activation {
        Activation::Sigmoid => sums.iter_mut().for_each(|v| *v = sigmoid(*v)),
        Activation::Tanh => sums.iter_mut().for_each(|v| *v = tanh(*v)),
        Activation::Relu => sums.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
    }
}

/// Adds to sums what peepholes see of an inner state.
fn see(sums: &mut [f32], through: &[f32], inner: &[f32]) {
    sums.iter_mut().zip(through).zip(inner).for_each(|((sum, p), c)| *sum += p * c);
}

/// What the units of one direction and one of the batch keep from step to step.
struct Kept<'a> {
    /// Their state.
    h: &'a mut [f32],
    /// An LSTM's inner state.
    c: &'a mut [f32],
    /// What a step needs for itself, twice.
    spare: &'a mut [f32],
}

impl Sequence {
    /// Floats of the gates of one step.
    fn row(&self) -> usize {
        self.cell.gates() * padded(self.sizes.hidden)
    }

    /// What is given to a panel of gates by all steps.
    fn given(&self, unit: usize, on: &Operands<'_>) {
        let Sizes { steps, batch, input, hidden, .. } = self.sizes;
        let (gates, panels) = (self.cell.gates(), self.row() / WIDE);
        let (direction, panel) = (unit / panels, unit % panels);
        let (gate, first) = (panel * WIDE / padded(hidden), panel * WIDE % padded(hidden));
        let (x, w): (&[f32], &[f32]) = (on.read(0), on.read(1));
        let mut from = [0.0; WIDE];
        if let Some(bias) = self.at.bias {
            let all = &on.read::<f32>(bias)[direction * 2 * gates * hidden..][..2 * gates * hidden];
            let units = first..hidden.min(first + WIDE);
            for (i, to) in units.zip(&mut from) {
                // What is reset in a GRU has its bias within.
                let within = self.cell == Cell::Gru && gate == 2;
                *to = all[gate * hidden + i] + if within { 0.0 } else { all[(gates + gate) * hidden + i] };
            }
        }
        let weights = &w[unit * WIDE * input..][..WIDE * input];
        for step in 0..steps {
            for n in 0..batch {
                let at = ((direction * steps + step) * batch + n) * self.row() + panel * WIDE;
                let to = on.share(at..at + WIDE);
                to.copy_from_slice(&from);
                add(to, weights, &x[self.sizes.given(step, n)]);
            }
        }
    }

    /// One step of a direction, in whose `row` is what was given: the next state.
    fn step(&self, direction: usize, row: &mut [f32], kept: &mut Kept<'_>, on: &Operands<'_>) {
        let (hidden, wide) = (self.sizes.hidden, padded(self.sizes.hidden));
        let r = &on.read::<f32>(2)[direction * self.row() * hidden..][..self.row() * hidden];
        let (clip, by) = (self.attributes.clip.map(|clip| clip.abs() as f32), &self.attributes.activations[direction]);
        let Kept { h, c, spare } = kept;
        match self.cell {
            Cell::Rnn => {
                add_all(row, r, h);
                end(&mut row[..hidden], clip, by[0]);
                h.copy_from_slice(&row[..hidden]);
            }
            Cell::Gru => {
                let (gates, last) = row.split_at_mut(2 * wide);
                let (of_gates, of_last) = r.split_at(2 * wide * hidden);
                add_all(gates, of_gates, h);
                end(gates, clip, by[0]);
                let (update, reset) = gates.split_at(wide);
                let (sums, turned) = spare.split_at_mut(wide);
                sums.fill(0.0);
                if let Some(bias) = self.at.bias {
                    let from = (direction * 6 + 5) * hidden;
                    sums[..hidden].copy_from_slice(&on.read::<f32>(bias)[from..from + hidden]);
                }
                if self.attributes.linear_before_reset {
                    add_all(sums, of_last, h);
                    last.iter_mut().zip(&*sums).zip(reset).for_each(|((to, sum), reset)| *to += reset * sum);
                } else {
                    let turned = &mut turned[..hidden];
                    turned.iter_mut().zip(&**h).zip(reset).for_each(|((to, h), reset)| *to = reset * h);
                    add_all(sums, of_last, turned);
                    last.iter_mut().zip(&*sums).for_each(|(to, sum)| *to += sum);
                }
                end(&mut last[..hidden], clip, by[1]);
                h.iter_mut().zip(update).zip(&*last).for_each(|((h, z), new)| *h = (1.0 - z) * new + z * *h);
            }
            Cell::Lstm => {
                add_all(row, r, h);
                let (input, row) = row.split_at_mut(wide);
                let (output, row) = row.split_at_mut(wide);
                let (forget, inner) = row.split_at_mut(wide);
                let [input, output, forget, inner] = [input, output, forget, inner].map(|gate| &mut gate[..hidden]);
                let through = self.at.peephole.map(|i| &on.read::<f32>(i)[direction * 3 * hidden..][..3 * hidden]);
                if let Some(through) = through {
                    see(input, &through[..hidden], c);
                    see(forget, &through[2 * hidden..], c);
                }
                end(input, clip, by[0]);
                end(forget, clip, by[0]);
                end(inner, clip, by[1]);
                for (((c, f), i), g) in c.iter_mut().zip(&*forget).zip(&*input).zip(&*inner) {
                    *c = f * *c + i * g;
                }
                if let Some(through) = through {
                    see(output, &through[hidden..2 * hidden], c);
                }
                end(output, clip, by[0]);
                h.copy_from_slice(c);
                end(h, None, by[2]);
                h.iter_mut().zip(&*output).for_each(|(h, o)| *h *= o);
            }
        }
    }

    /// All steps of one direction and one of the batch.
    fn kept(&self, unit: usize, on: &Operands<'_>) {
        let Sizes { steps, batch, hidden, .. } = self.sizes;
        let (direction, n) = (unit / batch, unit % batch);
        let own = self.sizes.state(direction, n);
        let (states, spare) = on.scratch()[..self.scratch()].split_at_mut(2 * hidden);
        let (h, c) = states.split_at_mut(hidden);
        for (state, from) in [(&mut *h, self.at.hidden), (&mut *c, self.at.inner)] {
            match from {
                Some(i) => state.copy_from_slice(&on.read::<f32>(i)[own.clone()]),
                None => state.fill(0.0),
            }
        }
        let mut kept = Kept { h, c, spare };
        let length = self.at.lengths.map_or(steps, |i| usize::try_from(on.read::<i32>(i)[n]).unwrap_or(0).min(steps));
        for step in 0..steps {
            let at = if self.sizes.reversed(direction) && step < length { length - 1 - step } else { step };
            if step < length {
                let from = ((direction * steps + at) * batch + n) * self.row();
                self.step(direction, on.share(from..from + self.row()), &mut kept, on);
            }
            if let Some(i) = self.at.results[0] {
                let to = on.write(i, self.sizes.result(at, direction, n));
                if step < length { to.copy_from_slice(kept.h) } else { to.fill(0.0) }
            }
        }
        for (i, state) in [(self.at.results[1], &*kept.h), (self.at.results[2], &*kept.c)] {
            if let Some(i) = i {
                on.write(i, own.clone()).copy_from_slice(state);
            }
        }
    }
}

impl Routine for Sequence {
    fn phases(&self) -> usize {
        2
    }

    fn units(&self, phase: usize) -> usize {
        let Sizes { steps, batch, directions, hidden, .. } = self.sizes;
        match phase {
            _ if hidden == 0 => 0,
            0 if steps == 0 => 0,
            0 => directions * self.row() / WIDE,
            _ => directions * batch,
        }
    }

    fn run(&self, phase: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        units.for_each(|unit| if phase == 0 { self.given(unit, on) } else { self.kept(unit, on) });
        Ok(())
    }

    fn scratch(&self) -> usize {
        2 * self.sizes.hidden + 2 * padded(self.sizes.hidden)
    }

    fn shared(&self) -> usize {
        self.sizes.steps * self.sizes.batch * self.sizes.directions * self.row()
    }

    fn class(&self) -> Class {
        Class::Matmul
    }

    fn flops(&self) -> f64 {
        let Sizes { input, hidden, .. } = self.sizes;
        2.0 * (self.shared() / padded(hidden).max(1) * hidden * (input + hidden)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_and_one_that_is_no_number_bounds_nothing() {
        let ended = |clip| {
            let mut sums = [-9.0, 0.5, 9.0];
            end(&mut sums, clip, Activation::Relu);
            sums
        };
        assert_eq!(ended(Some(2.0)), [0.0, 0.5, 2.0]);
        assert_eq!((ended(Some(f32::NAN)), ended(None)), ([0.0, 0.5, 9.0], [0.0, 0.5, 9.0]));
    }
}
