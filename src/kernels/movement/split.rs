//! Split: parts of a tensor along an axis, each a strided read of it. Knows sizes; must never know what elements mean.

use super::moves::Read;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::{Entry, operand::axis, operand::given, strides::contiguous, strides::strided_places};
#[cfg(feature = "wgsl")]
use crate::kernels::base::{Kernel, Lowering, map::Map, strides::Strided};

/// The operators of this file.
pub const OPERATORS: &[&Entry] = &[&Split];

/// Parts of the sizes that `split` says, as an input since opset 13; equal ones, but for the last, where it says nothing.
#[derive(Debug)]
pub struct Split;

/// Where each part is read.
pub(super) fn parts(call: &Call<'_>) -> Result<Vec<Read>> {
    let from = &call.input(0)?.ty.shape;
    let axis = axis(call.attributes.int("axis", 0)?, from.len())?;
    let sizes = match call.attributes.ints("split")? {
        Some(sizes) => Some(sizes.to_vec()),
        None => call.optional_i64(1)?,
    };
    let count = usize::try_from(call.attributes.int("num_outputs", call.outputs as i64)?).unwrap_or(0);
    let each = from[axis].div_ceil(count.max(1));
    let equal = |i: usize| (from[axis].min((i + 1) * each) - from[axis].min(i * each)) as i64;
    let sizes = sizes.unwrap_or_else(|| (0..count).map(equal).collect());
    let refuse = || {
        let text = format!("a Split of shape {from:?} along axis {axis} into {} parts of {sizes:?}", call.outputs);
        Error::new(Kind::InvalidModel, text)
    };
    let strides = contiguous(from);
    let (mut reads, mut first) = (vec![], 0);
    for &size in &sizes {
        let mut shape = from.clone();
        shape[axis] = usize::try_from(size).ok().filter(|size| *size <= from[axis]).ok_or_else(refuse)?;
        reads.push(Read { shape, base: first * strides[axis], strides: strides.clone() });
        first += size;
    }
    if first != from[axis] as i64 || sizes.len() < call.outputs {
        return Err(refuse());
    }
    Ok(reads)
}

impl Operator for Split {
    fn op_type(&self) -> &'static str {
        "Split"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "split", "num_outputs"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let dtype = call.input(0)?.ty.dtype;
        Ok(parts(call)?.into_iter().map(|part| TensorType::new(dtype, part.shape)).collect())
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, axis) = (&call.input(0).ok()?.ty.shape, call.only_first(axes)?);
        parts(call).ok()?.iter().map(|part| part.along(from, axis)).collect()
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let x = given(inputs, 0)?;
        let part = |part: Read| x.pick(part.shape.clone(), strided_places(part.shape, part.strides, part.base));
        parts(call)?.into_iter().map(part).collect()
    }
}

#[cfg(feature = "wgsl")]
impl Kernel for Split {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let x = out.input(0)?;
        for (i, part) in parts(call)?.into_iter().enumerate() {
            let Some(output) = out.optional_output(i) else { continue };
            if out.ty(output).is_empty() {
                continue;
            }
            let operands = vec![Strided { tensor: x, base: part.base, strides: part.strides }];
            Map { moves: true, expression: "u".to_owned(), functions: "", operands, output, flops: 0.0 }.lower(out)?;
        }
        Ok(())
    }
}
