//! Softmax and LogSoftmax, along one axis since opset 13 and over all axes from `axis` on before.
//! Knows rows; must never know another family.

pub mod cpu;
pub(super) mod gpu;
mod held;

use crate::error::Result;
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{axis, float_shape, real, result, values};
use crate::kernels::base::rows::Rows;

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&Softmax { log: false }, &Softmax { log: true }]];

/// `exp(x) / Σ exp(x)`, or its logarithm.
#[derive(Debug)]
pub struct Softmax {
    log: bool,
}

fn rows(call: &Call<'_>) -> Result<Rows> {
    let shape = float_shape(call, 0)?;
    let old = call.opset < 13;
    let given = call.attributes.int("axis", if old { 1 } else { -1 })?;
    // The flattened form may name the end of the shape: rows of one element.
    if old && given == shape.len() as i64 {
        return Ok(Rows::of(shape, shape.len(), shape.len()));
    }
    let axis = axis(given, shape.len())?;
    Ok(Rows::of(shape, axis, if old { shape.len() } else { axis + 1 }))
}

impl Operator for Softmax {
    fn op_type(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        rows(call)?;
        Ok(vec![real(call, float_shape(call, 0)?)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, axis) = (&call.input(0).ok()?.ty.shape, call.only_first(axes)?);
        Some(vec![rows(call).ok()?.along(from, axis, from.len())?])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let rows = rows(call)?;
        let x = values(inputs, 0)?;
        let mut y = vec![0.0; x.len()];
        for row in 0..rows.count() {
            let at = |i: usize| rows.start(row) + i * rows.inner;
            let greatest = (0..rows.len).map(|i| x[at(i)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..rows.len).map(|i| (x[at(i)] - greatest).exp()).sum();
            for i in 0..rows.len {
                let v = x[at(i)] - greatest;
                y[at(i)] = if self.log { v - sum.ln() } else { v.exp() / sum };
            }
        }
        Ok(vec![result(call, float_shape(call, 0)?, &y)?])
    }
}
