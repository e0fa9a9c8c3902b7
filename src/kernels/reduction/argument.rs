//! ArgMax and ArgMin: where along an axis the greatest or least element lies.

mod gpu;

use crate::error::{Error, Kind, Result};
#[cfg(feature = "references")]
use crate::graph::HostTensor;
use crate::graph::{Call, DType, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::axis;
#[cfg(feature = "references")]
use crate::kernels::base::operand::values;
use crate::kernels::base::rows::Rows;

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Argument { greatest: true }, &Argument { greatest: false }];

/// The place of the greatest or least element; the first of equal ones unless `select_last_index` is set.
#[derive(Debug)]
pub struct Argument {
    greatest: bool,
}

impl Argument {
    fn rule(&self, call: &Call<'_>) -> Result<(Rows, Vec<usize>)> {
        let ty = &call.input(0)?.ty;
        if ty.dtype == DType::Bool {
            return Err(Error::new(Kind::Unsupported, format!("{} of bool", self.op_type())));
        }
        let axis = axis(call.attributes.int("axis", 0)?, ty.shape.len())?;
        if ty.shape[axis] == 0 {
            let message = format!("{} along axis {axis} of shape {:?}, which is empty", self.op_type(), ty.shape);
            return Err(Error::new(Kind::InvalidInput, message));
        }
        let mut shape = ty.shape.clone();
        if call.attributes.int("keepdims", 1)? != 0 {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        Ok((Rows::of(&ty.shape, axis, axis + 1), shape))
    }

    fn last(call: &Call<'_>) -> Result<bool> {
        Ok(call.attributes.int("select_last_index", 0)? != 0)
    }
}

impl Operator for Argument {
    fn op_type(&self) -> &'static str {
        if self.greatest { "ArgMax" } else { "ArgMin" }
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis", "keepdims", "select_last_index"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(DType::Int64, self.rule(call)?.1)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, (rows, shape)) = (&call.input(0).ok()?.ty.shape, self.rule(call).ok()?);
        Some(vec![rows.along(from, call.only_first(axes)?, shape.len())?])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (rows, shape) = self.rule(call)?;
        let last = Self::last(call)?;
        let x = values(inputs, 0)?;
        let place = |row: usize| {
            let at = |i: usize| x[rows.start(row) + i * rows.inner];
            let mut best = 0;
            for i in 1..rows.len {
                let better = if self.greatest { at(i) > at(best) } else { at(i) < at(best) };
                if better || (last && at(i) == at(best)) {
                    best = i;
                }
            }
            best as i64
        };
        Ok(vec![HostTensor::i64(shape, (0..rows.count()).map(place).collect())?])
    }
}
