//! Elementwise operators of whole numbers and truth values on a processor, comparisons and casts: block by block, each
//! operand read as it broadcasts. Knows types; must never know where operands lie.

use crate::error::Result;
use crate::graph::{Call, DType};
use crate::kernels::base::Class;
use crate::kernels::base::cpu::{Access, Operands, Routine, Steps};
use crate::kernels::base::strides::broadcast_strides;
use bytemuck::Pod;
use half::f16;
use std::ops::Range;

/// Elements of a block.
const BLOCK: usize = 512;
/// Elements that are worth another thread.
const UNIT: usize = 1 << 13;

/// A loop over a range of the result.
type By = fn(&Each, Range<usize>, &Operands<'_>);

/// One such operator.
#[derive(Debug)]
struct Each {
    /// Where each operand's elements lie.
    given: Vec<Access>,
    len: usize,
    by: By,
}

impl Routine for Each {
    fn units(&self, _: usize) -> usize {
        self.len.div_ceil(UNIT)
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        (self.by)(self, units.start * UNIT..(units.end * UNIT).min(self.len), on);
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        self.len as f64
    }
}

/// `y = by(a, b)`.
#[inline(always)]
fn two<T: Pod + Default, U: Pod>(of: &Each, range: Range<usize>, on: &Operands<'_>, by: impl Fn(T, T) -> U) {
    let (a, b): (&[T], &[T]) = (on.read(0), on.read(1));
    let (first, second) = (&of.given[0], &of.given[1]);
    let mut rooms = [[T::default(); BLOCK]; 2];
    let y: &mut [U] = on.write(0, range.clone());
    for (number, y) in y.chunks_mut(BLOCK).enumerate() {
        let (at, n) = (range.start + number * BLOCK, y.len());
        let [p, q] = &mut rooms;
        let (p, q) = (&mut p[..n], &mut q[..n]);
        first.read(a, at, p);
        // A number for the whole block is compared with as such.
        if let Some(one) = second.one(b, at, n) {
            y.iter_mut().zip(p).for_each(|(y, &mut a)| *y = by(a, one));
            continue;
        }
        second.read(b, at, q);
        y.iter_mut().zip(p.iter().zip(q.iter())).for_each(|(y, (&a, &b))| *y = by(a, b));
    }
}

/// `y = by(x)`.
#[inline(always)]
fn one<T: Pod, U: Pod>(range: Range<usize>, on: &Operands<'_>, by: impl Fn(T) -> U) {
    let (x, y): (&[T], &mut [U]) = (on.read(0), on.write(0, range.clone()));
    y.iter_mut().zip(&x[range]).for_each(|(y, &x)| *y = by(x));
}

macro_rules! two {
    ($t:ty, |$a:ident, $b:ident| $y:expr) => {
        |of, range, on| two::<$t, _>(of, range, on, |$a, $b| $y)
    };
}

macro_rules! one {
    ($t:ty, |$x:ident| $y:expr) => {
        |_, range, on| one::<$t, _>(range, on, |$x| $y)
    };
}

macro_rules! compare {
    ($op:expr, $t:ty) => {
        match $op {
            "Equal" => two!($t, |a, b| u8::from(a == b)),
            "Greater" => two!($t, |a, b| u8::from(a > b)),
            "GreaterOrEqual" => two!($t, |a, b| u8::from(a >= b)),
            "Less" => two!($t, |a, b| u8::from(a < b)),
            "LessOrEqual" => two!($t, |a, b| u8::from(a <= b)),
            _ => return None,
        }
    };
}

macro_rules! whole {
    ($op:expr, $t:ty) => {
        match $op {
            "Add" => two!($t, |a, b| a.wrapping_add(b)),
            "Sub" => two!($t, |a, b| a.wrapping_sub(b)),
            "Mul" => two!($t, |a, b| a.wrapping_mul(b)),
            "Min" => two!($t, |a, b| a.min(b)),
            "Max" => two!($t, |a, b| a.max(b)),
            _ => compare!($op, $t),
        }
    };
}

fn of_two(op: &str, dtype: DType) -> Option<By> {
    Some(match dtype {
        DType::Int64 => whole!(op, i64),
        DType::Int32 => whole!(op, i32),
        DType::Float32 => compare!(op, f32),
        DType::Bool => match op {
            "Equal" => two!(u8, |a, b| u8::from(a == b)),
            "And" => two!(u8, |a, b| a & b),
            "Or" => two!(u8, |a, b| a | b),
            "Xor" => two!(u8, |a, b| a ^ b),
            _ => return None,
        },
        // By the reference.
        _ => return None,
    })
}

/// Casts as the references have them: floats to whole numbers toward zero and within their bounds, whole numbers wrap around.
fn cast_of(from: DType, to: DType) -> Option<By> {
    use DType::{Bool, Float16, Float32, Float64, Int8, Int32, Int64, Uint8};
    Some(match (from, to) {
        (Bool, Float32) => one!(u8, |x| f32::from(x)),
        (Bool, Int32) => one!(u8, |x| i32::from(x)),
        (Bool, Int64) => one!(u8, |x| i64::from(x)),
        (Int32, Float32) => one!(i32, |x| x as f32),
        (Int32, Int64) => one!(i32, |x| i64::from(x)),
        (Int32, Bool) => one!(i32, |x| u8::from(x != 0)),
        (Int64, Float32) => one!(i64, |x| x as f32),
        (Int64, Int32) => one!(i64, |x| x as i32),
        (Int64, Bool) => one!(i64, |x| u8::from(x != 0)),
        (Float32, Int32) => one!(f32, |x| x as i32),
        (Float32, Int64) => one!(f32, |x| x as i64),
        (Float32, Bool) => one!(f32, |x| u8::from(x != 0.0)),
        (Uint8, Float32) => one!(u8, |x| f32::from(x)),
        (Int8, Float32) => one!(i8, |x| f32::from(x)),
        (Float16, Float32) => one!(f16, |x| x.to_f32()),
        (Float64, Float32) => one!(f64, |x| x as f32),
        (Float32, Uint8) => one!(f32, |x| x as u8),
        (Float32, Float16) => one!(f32, |x| f16::from_f32(x)),
        (Float32, Float64) => one!(f32, |x| f64::from(x)),
        // By the reference.
        _ => return None,
    })
}

/// Appends an operator of two operands; `false` where it is another's.
pub fn pair(op: &str, call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (a, b) = (&call.input(0)?.ty, &call.input(1)?.ty);
    let Some(by) = of_two(op, a.dtype).filter(|_| a.dtype == b.dtype && call.inputs.len() == 2) else {
        return Ok(false);
    };
    let y = steps.output(0)?;
    let ty = steps.ty(y);
    let access =
        |operand: usize, shape: &[usize]| Access::merged(operand, 0, &ty.shape, &broadcast_strides(shape, &ty.shape));
    let (given, len) = (vec![access(0, &a.shape), access(1, &b.shape)], ty.len());
    let reads = vec![steps.input(0)?, steps.input(1)?];
    steps.push(Each { given, len, by }, reads, vec![y]);
    Ok(true)
}

/// A cast; one to the type that it is already only has another name.
pub fn cast(call: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    let (from, to, len) = (call.input(0)?.ty.dtype, steps.ty(y).dtype, steps.ty(y).len());
    if from == to {
        steps.view(y, x);
        return Ok(true);
    }
    let Some(by) = cast_of(from, to) else { return Ok(false) };
    steps.push(Each { given: vec![], len, by }, vec![x], vec![y]);
    Ok(true)
}

/// Not.
pub fn not(_: &Call<'_>, steps: &mut Steps<'_>) -> Result<bool> {
    let (x, y) = (steps.input(0)?, steps.output(0)?);
    let len = steps.ty(y).len();
    steps.push(Each { given: vec![], len, by: one!(u8, |x| x ^ 1) }, vec![x], vec![y]);
    Ok(true)
}
