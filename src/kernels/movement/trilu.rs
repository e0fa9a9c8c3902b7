//! Trilu: the upper or lower triangle of matrices, zeros elsewhere, as causal masks are made.

mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::given;

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[&Trilu];

/// What lies on diagonal `k` and above it, or on it and below; diagonal 1 is the one above the main one. `k` may be
/// computed while running.
#[derive(Debug)]
pub struct Trilu;

/// Which triangle stays.
fn upper(call: &Call<'_>) -> Result<bool> {
    Ok(call.attributes.int("upper", 1)? != 0)
}

/// The diagonal where it is known before the run.
fn known(call: &Call<'_>) -> Result<Option<i64>> {
    let Some(k) = call.optional(1) else { return Ok(Some(0)) };
    let Some(value) = &k.value else { return Ok(None) };
    let one = value.to_i64().and_then(|k| k.first().copied());
    one.map(Some).ok_or_else(|| Error::new(Kind::InvalidModel, "the diagonal is no whole number"))
}

impl Operator for Trilu {
    fn op_type(&self) -> &'static str {
        "Trilu"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["upper"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        upper(call)?;
        let x = &call.input(0)?.ty;
        if x.shape.len() < 2 {
            return Err(Error::new(Kind::InvalidInput, format!("a triangle of shape {:?}: no matrices", x.shape)));
        }
        if let Some(k) = call.optional(1).filter(|k| k.ty.dtype != DType::Int64 || k.ty.len() != 1) {
            let (name, shape) = (k.ty.dtype.name(), &k.ty.shape);
            return Err(Error::new(Kind::InvalidModel, format!("a diagonal of type {name} and shape {shape:?}")));
        }
        Ok(vec![x.clone()])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let rank = call.input(0).ok()?.ty.shape.len();
        call.only_first(axes).filter(|axis| axis + 2 < rank).map(|axis| vec![axis])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let x = given(inputs, 0)?;
        let k = inputs.get(1).copied().flatten().and_then(HostTensor::to_i64).map_or(0, |k| k[0]);
        let upper = upper(call)?;
        let [.., rows, columns] = *x.shape() else { return Err(Error::new(Kind::InvalidInput, "no matrices")) };
        let stays = |i: usize| {
            let (row, column) = ((i / columns % rows) as i64, (i % columns) as i64);
            let beyond = column.saturating_sub(row.saturating_add(k));
            if upper { beyond >= 0 } else { beyond <= 0 }
        };
        // The element after the last is the zero.
        let zero = HostTensor::from_f64(x.dtype(), [1], &[0.0])?;
        let places = (0..x.len()).map(|i| if stays(i) { i } else { x.len() });
        Ok(vec![HostTensor::joined(x.dtype(), &[x, &zero])?.pick(x.shape(), places)?])
    }
}
