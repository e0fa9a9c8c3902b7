//! Moves on a processor: views cost nothing, the rest copies words of whatever type in the longest runs that there are.
//! Knows strides; must never know what elements mean.

use super::moves::{Read, expand, slice, transpose};
use super::{concat, gather, pad, split};
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, TensorId};
use crate::kernels::base::Class;
use crate::kernels::base::cpu::{Access, Operands, Routine, Routines, Steps};
use bytemuck::Pod;
use std::ops::Range;

/// What computes this family on a processor.
pub const ROUTINES: Routines = &[
    ("Identity", view),
    ("Reshape", view),
    ("Flatten", view),
    ("Squeeze", view),
    ("Unsqueeze", view),
    ("Transpose", |call, steps| moved(transpose(call)?, steps)),
    ("Slice", |call, steps| moved(slice(call)?, steps)),
    ("Expand", |call, steps| moved(expand(call)?, steps)),
    ("Concat", join),
    ("Gather", pick),
    ("Pad", pad::cpu::pad),
    ("Split", parts),
];

/// Elements that are worth another thread.
const UNIT: usize = 1 << 14;

fn view(_: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    steps.view(y, x);
    Ok(true)
}

/// A strided read.
#[derive(Debug)]
struct Move {
    access: Access,
    len: usize,
    bytes: usize,
}

fn moved(from: Read, steps: &mut Steps<'_>) -> Result<bool> {
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    read(from, x, y, steps);
    Ok(true)
}

/// Appends a read of `x` that makes `y`.
fn read(read: Read, x: TensorId, y: TensorId, steps: &mut Steps<'_>) {
    let access = Access::merged(0, read.base as usize, &read.shape, &read.strides);
    let ty = steps.ty(x).clone();
    if access.alike() && read.base == 0 && steps.ty(y).len() == ty.len() {
        steps.view(y, x);
        return;
    }
    let len = steps.ty(y).len();
    if read.base == 0 && read.strides.iter().all(|&stride| stride >= 0) {
        steps.reorder(y, x, read.strides);
    }
    steps.push(Move { access, len, bytes: ty.dtype.host_bytes() }, vec![x], vec![y]);
}

/// Appends a read for each part that somebody names.
fn parts(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let x = steps.input(0)?;
    for (i, part) in split::parts(call)?.into_iter().enumerate() {
        if let Ok(y) = steps.output(i) {
            read(part, x, y, steps);
        }
    }
    Ok(true)
}

impl Move {
    fn words<T: Pod>(&self, range: Range<usize>, on: &Operands<'_>) {
        self.access.read::<T>(on.read(0), range.start, on.write(0, range));
    }
}

impl Routine for Move {
    fn units(&self, _: usize) -> usize {
        self.len.div_ceil(UNIT)
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let range = units.start * UNIT..(units.end * UNIT).min(self.len);
        match self.bytes {
            1 => self.words::<u8>(range, on),
            2 => self.words::<u16>(range, on),
            4 => self.words::<u32>(range, on),
            _ => self.words::<u64>(range, on),
        }
        Ok(())
    }

    fn reads(&self, _: usize, bytes: u64) -> u64 {
        bytes.min((self.len * self.bytes) as u64)
    }

    fn class(&self) -> Class {
        Class::Movement
    }

    fn flops(&self) -> f64 {
        0.0
    }
}

/// Parts one after another, `outer` times; each unit is one of those times.
#[derive(Debug)]
struct Join {
    outer: usize,
    /// Bytes of each part at one time.
    runs: Vec<usize>,
    /// Whether these are of whole words, and short.
    few: bool,
}

/// Bytes of a run below which its words are copied by themselves: an engine calls out of wasm for what is copied at once.
const FEW: usize = 64;
/// Times whose short runs are copied part by part: all of them lie in the nearest cache.
const TIMES: usize = 128;

fn join(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (axis, ty) = concat::rule(call)?;
    let bytes = ty.dtype.host_bytes();
    let outer = ty.shape[..axis].iter().product();
    let run = |i: usize| call.input(i).map(|part| part.ty.shape[axis..].iter().product::<usize>() * bytes);
    let runs = (0..call.inputs.len()).map(run).collect::<Result<Vec<_>>>()?;
    let few = bytes.is_multiple_of(4) && runs.iter().all(|&run| run <= FEW);
    let (reads, y) = (steps.given(), steps.output(0)?);
    steps.push(Join { outer, runs, few }, reads, vec![y]);
    Ok(true)
}

impl Join {
    /// The same of short runs of whole words.
    fn few(&self, units: Range<usize>, on: &Operands<'_>) {
        let all = self.runs.iter().sum::<usize>() / 4;
        for first in units.clone().step_by(TIMES) {
            let times = first..(first + TIMES).min(units.end);
            let to: &mut [u32] = on.write(0, times.start * all..times.end * all);
            let mut at = 0;
            for (part, run) in self.runs.iter().map(|run| run / 4).enumerate().filter(|(_, run)| *run > 0) {
                let from = &on.read::<u32>(part)[times.start * run..times.end * run];
                for (to, from) in to.chunks_exact_mut(all).zip(from.chunks_exact(run)) {
                    to[at..at + run].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
                at += run;
            }
        }
    }
}

impl Routine for Join {
    fn units(&self, _: usize) -> usize {
        self.outer
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let all: usize = self.runs.iter().sum();
        if self.few {
            self.few(units, on);
            return Ok(());
        }
        for unit in units {
            let mut to: &mut [u8] = on.write(0, unit * all..(unit + 1) * all);
            for (part, &run) in self.runs.iter().enumerate().filter(|(_, run)| **run > 0) {
                let (own, rest) = to.split_at_mut(run);
                own.copy_from_slice(&on.read::<u8>(part)[unit * run..(unit + 1) * run]);
                to = rest;
            }
        }
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Movement
    }

    fn flops(&self) -> f64 {
        0.0
    }
}

/// Runs of bytes at indices; each unit is one of the `outer` times.
#[derive(Debug)]
struct Pick {
    outer: usize,
    size: usize,
    /// Bytes of one run.
    run: usize,
    indices: DType,
    /// How many there are.
    count: usize,
}

fn pick(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (axis, ty) = gather::rule(call)?;
    let (from, at) = (&call.input(0)?.ty.shape, &call.input(1)?.ty);
    let pick = Pick {
        outer: from[..axis].iter().product(),
        size: from[axis],
        run: from[axis + 1..].iter().product::<usize>() * ty.dtype.host_bytes(),
        indices: at.dtype,
        count: at.len(),
    };
    let nothing = ty.is_empty();
    let (reads, y) = (steps.given(), steps.output(0)?);
    if nothing {
        return Ok(false);
    }
    steps.push(pick, reads, vec![y]);
    Ok(true)
}

impl Routine for Pick {
    fn units(&self, _: usize) -> usize {
        self.outer
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let narrow: Vec<i64>;
        let at: &[i64] = match self.indices {
            DType::Int64 => on.read(1),
            _ => {
                narrow = on.read::<i32>(1).iter().map(|&i| i.into()).collect();
                &narrow
            }
        };
        let from: &[u8] = on.read(0);
        for unit in units {
            let to: &mut [u8] = on.write(0, unit * at.len() * self.run..(unit + 1) * at.len() * self.run);
            for (&i, to) in at.iter().zip(to.chunks_exact_mut(self.run)) {
                let place = usize::try_from(if i < 0 { i + self.size as i64 } else { i }).ok();
                let outside = || Error::new(Kind::InvalidInput, format!("index {i} of an axis of {}", self.size));
                let first = (unit * self.size + place.filter(|&p| p < self.size).ok_or_else(outside)?) * self.run;
                to.copy_from_slice(&from[first..first + self.run]);
            }
        }
        Ok(())
    }

    fn reads(&self, i: usize, bytes: u64) -> u64 {
        // Its rows, however many the table has.
        if i == 0 { bytes.min((self.outer * self.count * self.run) as u64) } else { bytes }
    }

    fn class(&self) -> Class {
        Class::Movement
    }

    fn flops(&self) -> f64 {
        0.0
    }
}
