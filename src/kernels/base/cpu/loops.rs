//! Loops over floats, written so that compilers make vectors of them. Knows slices; must never know an operator.

use super::simd::F4;

/// Parameters of a loop, as many as it has.
pub type Parameters = [f32; 6];

/// The loops of an operator, with parameters: for each operator its own, so that the compiler makes vectors of them.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// From one register to another.
    pub apart: fn(&[f32], &mut [f32], Parameters),
    /// Within one.
    pub within: fn(&mut [f32], Parameters),
}

/// The loops of an operator of two: over registers, or with one number for all of the first or of the second.
#[derive(Clone, Copy, Debug)]
pub struct Loops {
    /// Both are registers.
    pub both: fn(&[f32], &[f32], &mut [f32]),
    /// The first is a number.
    pub left: fn(f32, &[f32], &mut [f32]),
    /// The second is a number.
    pub right: fn(&[f32], f32, &mut [f32]),
    /// The result is where the first was.
    pub onto: fn(&mut [f32], &[f32]),
    /// The result is where the second was.
    pub under: fn(&[f32], &mut [f32]),
    /// The result is where the first was, the second a number.
    pub onto_one: fn(&mut [f32], f32),
    /// The result is where the second was, the first a number.
    pub under_one: fn(f32, &mut [f32]),
}

/// Floats that a loop takes at once: an engine does not unroll it.
const WIDE: usize = 16;

/// `y = by(x)`, several at once.
#[inline(always)]
pub fn each(x: &[f32], y: &mut [f32], by: impl Fn(f32) -> f32) {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<WIDE>(), y.as_chunks_mut::<WIDE>());
    for (y, x) in y.iter_mut().zip(x) {
        for i in 0..WIDE {
            y[i] = by(x[i]);
        }
    }
    y_rest.iter_mut().zip(x_rest).for_each(|(y, &x)| *y = by(x));
}

/// `y = by(y)`, several at once.
#[inline(always)]
pub fn each_within(y: &mut [f32], by: impl Fn(f32) -> f32) {
    let (y, rest) = y.as_chunks_mut::<WIDE>();
    for y in y {
        for y in y.iter_mut() {
            *y = by(*y);
        }
    }
    rest.iter_mut().for_each(|y| *y = by(*y));
}

/// `y = four(x)`, four at once, and of what is left `one`, which is the same.
#[inline(always)]
pub fn each_four(x: &[f32], y: &mut [f32], four: impl Fn(F4) -> F4, one: impl Fn(f32) -> f32) {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<WIDE>(), y.as_chunks_mut::<WIDE>());
    for (y, x) in y.iter_mut().zip(x) {
        for i in (0..WIDE).step_by(4) {
            four(F4::of(&x[i..])).put(&mut y[i..]);
        }
    }
    y_rest.iter_mut().zip(x_rest).for_each(|(y, &x)| *y = one(x));
}

/// The same within `y`.
#[inline(always)]
pub fn each_four_within(y: &mut [f32], four: impl Fn(F4) -> F4, one: impl Fn(f32) -> f32) {
    let (y, rest) = y.as_chunks_mut::<WIDE>();
    for y in y {
        for i in (0..WIDE).step_by(4) {
            four(F4::of(&y[i..])).put(&mut y[i..]);
        }
    }
    rest.iter_mut().for_each(|y| *y = one(*y));
}

/// `y = by(y, b)`, several at once.
#[inline(always)]
pub fn each_onto(y: &mut [f32], b: &[f32], by: impl Fn(f32, f32) -> f32) {
    let ((y, y_rest), (b, b_rest)) = (y.as_chunks_mut::<WIDE>(), b.as_chunks::<WIDE>());
    for (y, b) in y.iter_mut().zip(b) {
        for i in 0..WIDE {
            y[i] = by(y[i], b[i]);
        }
    }
    y_rest.iter_mut().zip(b_rest).for_each(|(y, &b)| *y = by(*y, b));
}

/// `y = by(a, b)`, several at once.
#[inline(always)]
pub fn each_of_two(a: &[f32], b: &[f32], y: &mut [f32], by: impl Fn(f32, f32) -> f32) {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    let (y, y_rest) = y.as_chunks_mut::<WIDE>();
    for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
        for i in 0..WIDE {
            y[i] = by(a[i], b[i]);
        }
    }
    y_rest.iter_mut().zip(a_rest.iter().zip(b_rest)).for_each(|(y, (&a, &b))| *y = by(a, b));
}

/// `min(max(x, low), high)`, where what is no number stays none.
#[inline(always)]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let above = if x < low { low } else { x };
    if above > high { high } else { above }
}
