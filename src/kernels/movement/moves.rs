//! Moves that are one strided read: Transpose, Slice, Expand.

mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, Follows, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{axis, broadcast, given};
use crate::kernels::base::strides::{broadcast_strides, contiguous, strided_places};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &Move { op: "Transpose", attributes: &["perm"], rule: transpose },
    &Move { op: "Slice", attributes: &["starts", "ends", "axes"], rule: slice },
    &Move { op: "Expand", attributes: &[], rule: expand },
];

/// The output's shape, and where its elements are read.
pub(super) struct Read {
    pub(super) shape: Vec<usize>,
    pub(super) base: i64,
    pub(super) strides: Vec<i64>,
}

impl Read {
    /// Where `axis` of a tensor of shape `from` is in what is read of it; nothing where less than all of it is read, or in another order.
    pub(super) fn along(&self, from: &[usize], axis: usize) -> Option<usize> {
        let own = contiguous(from)[axis];
        (0..self.shape.len()).find(|&to| self.shape[to] == from[axis] && self.strides[to] == own)
    }
}

/// One such operator: its read is all of it.
#[derive(Debug)]
pub struct Move {
    op: &'static str,
    attributes: &'static [&'static str],
    rule: fn(&Call<'_>) -> Result<Read>,
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidModel, message)
}

pub(super) fn transpose(call: &Call<'_>) -> Result<Read> {
    let from = &call.input(0)?.ty.shape;
    let own = contiguous(from);
    let order: Vec<usize> = match call.attributes.ints("perm")? {
        None => (0..from.len()).rev().collect(),
        Some(perm) => perm.iter().map(|&p| axis(p, from.len())).collect::<Result<_>>()?,
    };
    let mut seen = order.clone();
    seen.sort_unstable();
    if !seen.into_iter().eq(0..from.len()) {
        return Err(invalid(format!("perm {order:?} of a tensor of shape {from:?}")));
    }
    Ok(Read {
        shape: order.iter().map(|&a| from[a]).collect(),
        base: 0,
        strides: order.iter().map(|&a| own[a]).collect(),
    })
}

pub(super) fn slice(call: &Call<'_>) -> Result<Read> {
    let from = &call.input(0)?.ty.shape;
    let (starts, ends, axes, steps) = match call.attributes.ints("starts")? {
        Some(starts) => {
            let ends = call.attributes.ints("ends")?.unwrap_or_default();
            (starts.to_vec(), ends.to_vec(), call.attributes.ints("axes")?.map(<[i64]>::to_vec), None)
        }
        None => (call.constant_i64(1)?, call.constant_i64(2)?, call.optional_i64(3)?, call.optional_i64(4)?),
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
        return Err(invalid("starts, ends, axes and steps of a Slice differ in length".to_owned()));
    }
    let own = contiguous(from);
    let mut read = Read { shape: from.clone(), base: 0, strides: own.clone() };
    for i in 0..starts.len() {
        let (a, step) = (axis(axes[i], from.len())?, steps[i]);
        let size = from[a] as i64;
        let from_front = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (start, end, count) = match step {
            0 => return Err(invalid("a Slice with step 0".to_owned())),
            1.. => {
                let (s, e) = (from_front(starts[i]).clamp(0, size), from_front(ends[i]).clamp(0, size));
                (s, e, (e - s).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
            }
            _ => {
                let (s, e) = (from_front(starts[i]).clamp(-1, size - 1), from_front(ends[i]).clamp(-1, size - 1));
                (s, e, (s - e).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
            }
        };
        let _ = end;
        read.shape[a] = count as usize;
        read.base += if count == 0 { 0 } else { start * own[a] };
        read.strides[a] = own[a] * step;
    }
    Ok(read)
}

pub(super) fn expand(call: &Call<'_>) -> Result<Read> {
    let from = &call.input(0)?.ty.shape;
    let asked = call.constant_i64(1)?;
    let asked: Vec<usize> = asked
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| invalid(format!("Expand to shape {asked:?}"))))
        .collect::<Result<_>>()?;
    let shape = broadcast(from, &asked)?;
    let strides = broadcast_strides(from, &shape);
    Ok(Read { shape, base: 0, strides })
}

impl Operator for Move {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        self.attributes
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(call.input(0)?.ty.dtype, (self.rule)(call)?.shape)])
    }

    fn follows(&self, i: usize) -> Follows {
        if i == 1 && self.op == "Expand" { Follows::Shape } else { Follows::Nothing }
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![(self.rule)(call).ok()?.along(&call.input(0).ok()?.ty.shape, call.only_first(axes)?)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let read = (self.rule)(call)?;
        let x = given(inputs, 0)?;
        Ok(vec![x.pick(read.shape.clone(), strided_places(read.shape, read.strides, read.base))?])
    }
}
