//! Gather: slices of one axis by index, as embeddings are looked up.

mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, Follows, HostTensor, Operator, TensorType, apart};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{axis, given};

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Gather];

/// Slices of `axis` in the order of the indices. An index out of range is an error on the host; on the GPU, which
/// cannot refuse, it reads the nearest slice.
#[derive(Debug)]
pub struct Gather;

pub(super) fn rule(call: &Call<'_>) -> Result<(usize, TensorType)> {
    let (x, at) = (&call.input(0)?.ty, &call.input(1)?.ty);
    if !matches!(at.dtype, DType::Int32 | DType::Int64) {
        return Err(Error::new(Kind::InvalidModel, format!("indices of type {}", at.dtype.name())));
    }
    let axis = axis(call.attributes.int("axis", 0)?, x.shape.len())?;
    if x.shape[axis] == 0 && !at.is_empty() {
        return Err(Error::new(Kind::InvalidInput, format!("nothing to gather from shape {:?}", x.shape)));
    }
    let shape = [&x.shape[..axis], &at.shape, &x.shape[axis + 1..]].concat();
    Ok((axis, TensorType::new(x.dtype, shape)))
}

impl Operator for Gather {
    fn op_type(&self) -> &'static str {
        "Gather"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![rule(call)?.1])
    }

    fn follows(&self, i: usize) -> Follows {
        if i == 1 { Follows::Places } else { Follows::Nothing }
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (of, indices) = (rule(call).ok()?.0, call.input(1).ok()?.ty.shape.len());
        match *axes {
            [Some(axis), None] if axis < of => Some(vec![axis]),
            [Some(axis), None] if axis > of => Some(vec![axis - 1 + indices]),
            [None, Some(axis)] => Some(vec![of + axis]),
            // Rows lie one after another in one axis, of which each index takes one of its own row.
            [Some(0), None] if of == 0 => {
                let (data, indices) = (call.input(0).ok()?, call.input(1).ok()?);
                Some(vec![apart(indices.value.as_ref()?, data.ty.shape[0])?])
            }
            _ => None,
        }
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (axis, ty) = rule(call)?;
        let missing = || Error::new(Kind::InvalidModel, "indices are of no integers");
        let x = given(inputs, 0)?;
        let at = given(inputs, 1)?.to_i64().ok_or_else(missing)?;
        let size = x.shape()[axis] as i64;
        let at: Vec<usize> = at
            .into_iter()
            .map(|i| {
                let from_front = if i < 0 { i + size } else { i };
                usize::try_from(from_front)
                    .ok()
                    .filter(|_| from_front < size)
                    .ok_or_else(|| Error::new(Kind::InvalidInput, format!("index {i} of an axis of {size}")))
            })
            .collect::<Result<_>>()?;
        let outer: usize = x.shape()[..axis].iter().product();
        let inner: usize = x.shape()[axis + 1..].iter().product();
        let size = size as usize;
        let places =
            (0..outer).flat_map(|o| at.iter().flat_map(move |&i| (o * size + i) * inner..(o * size + i + 1) * inner));
        Ok(vec![x.pick(ty.shape, places)?])
    }
}
