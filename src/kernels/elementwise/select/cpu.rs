//! A choice by a condition on a processor: words of whatever type, block by block. Knows strides; must never know what the
//! elements mean.

use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::Class;
use crate::kernels::base::cpu::{Access, Operands, Routine, Routines, Steps};
use crate::kernels::base::strides::broadcast_strides;
use bytemuck::Pod;
use std::ops::Range;

/// What computes it on a processor.
pub const ROUTINES: Routines = &[("Where", lower)];

/// Elements that are worth another thread, and those of a block.
const UNIT: usize = 1 << 13;
const BLOCK: usize = 512;

/// Reads the condition, then what is taken where it holds, then what is taken elsewhere.
#[derive(Debug)]
struct Where {
    of: [Access; 3],
    len: usize,
    bytes: usize,
}

fn lower(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let y = steps.output(0)?;
    let ty = steps.ty(y).clone();
    let mut of = vec![];
    for i in 0..3 {
        let strides = broadcast_strides(&call.input(i)?.ty.shape, &ty.shape);
        of.push(Access::merged(i, 0, &ty.shape, &strides));
    }
    let Ok(of) = <[Access; 3]>::try_from(of) else { return Ok(false) };
    if ty.is_empty() {
        return Ok(false);
    }
    let reads = steps.given();
    steps.push(Where { of, len: ty.len(), bytes: ty.dtype.host_bytes() }, reads, vec![y]);
    Ok(true)
}

impl Where {
    fn words<T: Pod + Default>(&self, range: Range<usize>, on: &Operands<'_>) {
        let (mut chosen, mut first, mut second) = ([0u8; BLOCK], [T::default(); BLOCK], [T::default(); BLOCK]);
        for start in range.clone().step_by(BLOCK) {
            let n = BLOCK.min(range.end - start);
            self.of[0].read(on.read(0), start, &mut chosen[..n]);
            self.of[1].read(on.read(1), start, &mut first[..n]);
            self.of[2].read(on.read(2), start, &mut second[..n]);
            let to: &mut [T] = on.write(0, start..start + n);
            for (y, (c, (a, b))) in to.iter_mut().zip(chosen.iter().zip(first.iter().zip(&second))) {
                *y = if *c != 0 { *a } else { *b };
            }
        }
    }
}

impl Routine for Where {
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

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        self.len as f64
    }
}
