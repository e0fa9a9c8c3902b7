//! Moves that are one strided read: Transpose, Slice, Expand.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorId, TensorType};
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::{axis, broadcast};
use crate::kernels::base::strides::strided_places;
use crate::kernels::base::strides::{Strided, broadcast_strides, contiguous};
use crate::kernels::base::{Kernel, KernelCall, Lowering};
use crate::kernels::product::stored_apart;

/// The operators of this family.
pub const OPERATORS: &[&dyn Kernel] = &[
    &Move { op: "Transpose", attributes: &["perm"], rule: transpose },
    &Move { op: "Slice", attributes: &["starts", "ends", "axes"], rule: slice },
    &Move { op: "Expand", attributes: &[], rule: expand },
];

/// The output's shape, and where its elements are read.
struct Read {
    shape: Vec<usize>,
    base: i64,
    strides: Vec<i64>,
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

fn transpose(call: &Call<'_>) -> Result<Read> {
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

fn slice(call: &Call<'_>) -> Result<Read> {
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

fn expand(call: &Call<'_>) -> Result<Read> {
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

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let read = (self.rule)(call)?;
        let x = inputs.first().copied().flatten().ok_or_else(|| invalid("input 0 is missing".to_owned()))?;
        Ok(vec![x.pick(read.shape.clone(), strided_places(read.shape, read.strides, read.base))?])
    }
}

/// The product that computes what `from` moves to `output`, storing there at once, and what it writes now.
fn stored_moved(from: &Strided, output: TensorId, out: &Lowering<'_>) -> Option<(KernelCall, TensorId)> {
    let (before, at) = out.private_writer(from.tensor)?;
    // Where each element of what is read goes: the axes of both are the same, in another order.
    let (shape, own) = (out.ty(output).shape.as_slice(), contiguous(&out.ty(output).shape));
    let dense = contiguous(&out.ty(from.tensor).shape);
    let goes = |(&size, &stride): (&usize, &i64)| {
        let axis = (0..shape.len()).find(|&a| from.strides[a] == stride && shape[a] == size);
        if size == 1 { Some(0) } else { axis.map(|a| own[a]) }
    };
    let strides: Vec<i64> = out.ty(from.tensor).shape.iter().zip(&dense).map(goes).collect::<Option<_>>()?;
    let whole = from.base == 0 && out.ty(output).len() == out.ty(from.tensor).len();
    let call = stored_apart(before, &out.ty(from.tensor).shape, &strides, output).filter(|_| whole)?;
    Some((call, at))
}

impl Kernel for Move {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let read = (self.rule)(call)?;
        let (x, output) = (out.input(0)?, out.output(0)?);
        let whole = read.shape.iter().product::<usize>() == out.ty(x).len();
        // Axes of one element may move freely: what is left in order is the same bytes.
        let moved = |&i: &usize| read.shape[i] != 1 && read.strides[i] != contiguous(&read.shape)[i];
        if whole && read.base == 0 && !(0..read.shape.len()).any(|i| moved(&i)) {
            out.view(output, x);
            return Ok(());
        }
        let from = Strided { tensor: x, base: read.base, strides: read.strides };
        if let Some((call, at)) = stored_moved(&from, output, out) {
            out.replace_writer(at, call);
            return Ok(());
        }
        let operands = vec![from.clone()];
        Map { moves: true, expression: "u".to_owned(), functions: "", operands, output, flops: 0.0 }.lower(out)?;
        out.keep_move(output, from);
        Ok(())
    }
}
