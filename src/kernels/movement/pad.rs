//! Pad: a tensor with more elements around it, or fewer where a pad is negative.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{axis, given};
use crate::kernels::base::strides::contiguous;

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Pad];

/// What is added lies before and after each axis: one value, or what lies at the edge, mirrored there, or beyond the other end.
#[derive(Debug)]
pub struct Pad;

/// What is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A value.
    Constant,
    /// The nearest element.
    Edge,
    /// The elements before the nearest, backwards.
    Reflect,
    /// The elements from the other end.
    Wrap,
}

/// A pad, said.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) mode: Mode,
    pub(super) from: Vec<usize>,
    /// What is added before each axis; cut off where negative.
    pub(super) before: Vec<i64>,
    pub(super) shape: Vec<usize>,
    /// The value.
    pub(super) value: f64,
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidModel, message)
}

pub(super) fn rule(call: &Call<'_>) -> Result<Rule> {
    let x = &call.input(0)?.ty;
    let from = x.shape.clone();
    let rank = from.len();
    let mode = match call.attributes.string("mode", "constant")? {
        "constant" => Mode::Constant,
        "edge" => Mode::Edge,
        "reflect" => Mode::Reflect,
        "wrap" => Mode::Wrap,
        other => return Err(invalid(format!("a Pad of mode '{other}'"))),
    };
    let (pads, value) = match call.attributes.ints("pads")? {
        Some(pads) => (pads.to_vec(), f64::from(call.attributes.float("value", 0.0)?)),
        None => (call.constant_i64(1)?, value(call)?),
    };
    let axes = call.optional_i64(3)?.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(invalid(format!("{} pads of {} axes", pads.len(), axes.len())));
    }
    let (mut before, mut shape) = (vec![0; rank], from.clone());
    for (i, &a) in axes.iter().enumerate() {
        let a = axis(a, rank)?;
        let (first, last) = (pads[i], pads[axes.len() + i]);
        let size = from[a] as i64;
        let padded = size.checked_add(first).and_then(|size| size.checked_add(last)).filter(|&size| size >= 0);
        let least = if mode == Mode::Reflect { size - 1 } else { size };
        let reaches = mode == Mode::Constant || mode == Mode::Edge || (first <= least && last <= least);
        let padded = padded.filter(|&padded| reaches && (size > 0 || mode == Mode::Constant || padded == 0));
        let refuse = || {
            Error::new(
                Kind::InvalidInput,
                format!("pads {first} and {last} of axis {a} of shape {from:?}, mode {mode:?}"),
            )
        };
        (before[a], shape[a]) = (first, padded.ok_or_else(refuse)? as usize);
    }
    Ok(Rule { mode, from, before, shape, value })
}

/// The value that is added, from the operator's input.
fn value(call: &Call<'_>) -> Result<f64> {
    let Some(given) = call.optional(2) else { return Ok(0.0) };
    let known = given.value.as_ref().map(|value| value.to_f64());
    let one = known.and_then(|value| value.first().copied());
    one.ok_or_else(|| Error::new(Kind::Unsupported, "a Pad by a value that is only known while running"))
}

impl Rule {
    /// Where along an axis the element at `at` comes from; nothing where it is the value.
    pub(super) fn source(&self, axis: usize, at: usize) -> Option<usize> {
        let (size, at) = (self.from[axis] as i64, at as i64 - self.before[axis]);
        let found = match self.mode {
            Mode::Constant => at,
            Mode::Edge => at.clamp(0, size - 1),
            // The axis and its mirror image, over and over: an axis of one element has none.
            Mode::Reflect => {
                let period = (2 * (size - 1)).max(1);
                let at = at.rem_euclid(period);
                at.min(period - at)
            }
            Mode::Wrap => at.rem_euclid(size),
        };
        (0..size).contains(&found).then_some(found as usize)
    }
}

impl Operator for Pad {
    fn op_type(&self) -> &'static str {
        "Pad"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["mode", "pads", "value"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(call.input(0)?.ty.dtype, rule(call)?.shape)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (rule, axis) = (rule(call).ok()?, call.only_first(axes)?);
        (rule.shape[axis] == rule.from[axis] && rule.source(axis, 0) == Some(0)).then(|| vec![axis])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let rule = rule(call)?;
        let x = given(inputs, 0)?;
        let (own, to) = (contiguous(&rule.from), contiguous(&rule.shape));
        let place = |i: usize| {
            let along = |axis: usize| rule.source(axis, i / to[axis].max(1) as usize % rule.shape[axis]);
            let from = (0..rule.shape.len()).map(|axis| Some(along(axis)? * own[axis] as usize)).sum::<Option<usize>>();
            // The element after the last is the value.
            from.unwrap_or(x.len())
        };
        let value = if x.dtype() == DType::Bool { f64::from(rule.value != 0.0) } else { rule.value };
        let value = HostTensor::from_f64(x.dtype(), [1], &[value])?;
        let count = rule.shape.iter().product();
        Ok(vec![HostTensor::joined(x.dtype(), &[x, &value])?.pick(rule.shape.clone(), (0..count).map(place))?])
    }
}
