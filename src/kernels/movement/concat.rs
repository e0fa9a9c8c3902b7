//! Concat: each operand is copied into its stretch of every row of the output.

mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operand, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::axis;

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Concat];

/// Tensors joined along one axis.
#[derive(Debug)]
pub struct Concat;

pub(super) fn rule(call: &Call<'_>) -> Result<(usize, TensorType)> {
    let first = call.input(0)?.ty.clone();
    let axis = axis(call.attributes.int("axis", 0)?, first.shape.len())?;
    let mut ty = first.clone();
    for i in 1..call.inputs.len() {
        let other = &call.input(i)?.ty;
        let fits = other.dtype == ty.dtype
            && other.shape.len() == ty.shape.len()
            && (0..ty.shape.len()).all(|d| d == axis || other.shape[d] == ty.shape[d]);
        if !fits {
            return Err(Error::new(
                Kind::InvalidInput,
                format!("shapes {:?} and {:?} do not join along axis {axis}", first.shape, other.shape),
            ));
        }
        ty.shape[axis] += other.shape[axis];
    }
    Ok((axis, ty))
}

impl Operator for Concat {
    fn op_type(&self) -> &'static str {
        "Concat"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![rule(call)?.1])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (joined, ty) = rule(call).ok()?;
        let axis = call.aligned(axes, ty.shape.len()).filter(|&axis| axis != joined)?;
        // What is not stretched as a sum would be has as many rows as there are.
        let whole = |operand: &Operand| operand.ty.shape[axis] == ty.shape[axis];
        call.inputs.iter().flatten().all(whole).then(|| vec![axis])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (axis, ty) = rule(call)?;
        let parts: Vec<&HostTensor> = inputs.iter().copied().flatten().collect();
        let outer: usize = ty.shape[..axis].iter().product();
        // Every element of all parts, one part after another: rows are picked from there.
        let mut runs = vec![];
        let mut start = 0;
        for part in &parts {
            let run: usize = part.shape()[axis..].iter().product();
            runs.push((start, run));
            start += part.len();
        }
        let joined = HostTensor::joined(ty.dtype, &parts)?;
        let at = (0..outer).flat_map(|o| runs.iter().flat_map(move |&(s, run)| s + o * run..s + (o + 1) * run));
        Ok(vec![joined.pick(ty.shape.clone(), at)?])
    }
}
