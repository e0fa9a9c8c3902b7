//! What many operators ask of their operands: element types, axes, broadcast shapes.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, TensorType};

/// Shape of input `i`, which must be float32, or float64, which references alone compute with.
pub fn float_shape<'a>(call: &'a Call<'_>, i: usize) -> Result<&'a [usize]> {
    let ty = &call.input(i)?.ty;
    if !matches!(ty.dtype, DType::Float32 | DType::Float64) {
        return Err(Error::new(Kind::Unsupported, format!("input {i} of type {}", ty.dtype.name())));
    }
    Ok(&ty.shape)
}

/// A float32 type.
pub fn float(shape: impl Into<Vec<usize>>) -> TensorType {
    TensorType::new(DType::Float32, shape)
}

/// A type of the elements of input 0.
pub fn real(call: &Call<'_>, shape: impl Into<Vec<usize>>) -> TensorType {
    let dtype = call.inputs.first().and_then(Option::as_ref).map_or(DType::Float32, |operand| operand.ty.dtype);
    TensorType::new(dtype, shape)
}

/// A result of the type of input 0.
pub fn result(call: &Call<'_>, shape: impl Into<Vec<usize>>, values: &[f64]) -> Result<HostTensor> {
    let ty = real(call, shape);
    HostTensor::from_f64(ty.dtype, ty.shape, values)
}

/// Input `i` of an evaluation.
pub fn given<'a>(inputs: &[Option<&'a HostTensor>], i: usize) -> Result<&'a HostTensor> {
    let missing = || Error::new(Kind::InvalidModel, format!("input {i} is missing"));
    inputs.get(i).copied().flatten().ok_or_else(missing)
}

/// The elements of input `i` of an evaluation.
pub fn values(inputs: &[Option<&HostTensor>], i: usize) -> Result<Vec<f64>> {
    given(inputs, i).map(HostTensor::to_f64)
}

/// The elements of input `i` of an evaluation, if it is given.
pub fn optional_values(inputs: &[Option<&HostTensor>], i: usize) -> Option<Vec<f64>> {
    inputs.get(i).copied().flatten().map(HostTensor::to_f64)
}

/// `axis` of a tensor of `rank`, counted from the end where negative.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| Error::new(Kind::InvalidModel, format!("axis {axis} of a tensor with {rank} axes")))
}

/// The shape that `a` and `b` broadcast to.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|i| match (dim(a, i), dim(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(Error::new(Kind::InvalidInput, format!("shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// Refuses outputs after the first `count`.
pub fn at_most_outputs(call: &Call<'_>, count: usize) -> Result<()> {
    if call.outputs > count {
        return Err(Error::new(Kind::Unsupported, format!("{} outputs, only {count} understood", call.outputs)));
    }
    Ok(())
}
