//! Reductions over neighbouring axes, and the global pools, which are two.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{axis, float_shape, real, result, values};
use crate::kernels::base::rows::Rows;

/// How the elements of a row become one.
#[derive(Debug)]
pub struct Reduce {
    op: &'static str,
    /// Whether the greatest is kept, not the sum.
    greatest: bool,
    /// WGSL over an element `e`.
    element: &'static str,
    /// WGSL over the sum or greatest `r` and the count `n`.
    result: &'static str,
    host: fn(&mut dyn Iterator<Item = f64>, f64) -> f64,
    /// Whether it takes all spatial axes, and no attributes.
    global: bool,
}

const fn sum(
    op: &'static str,
    element: &'static str,
    result: &'static str,
    host: fn(&mut dyn Iterator<Item = f64>, f64) -> f64,
) -> Reduce {
    Reduce { op, greatest: false, element, result, host, global: false }
}

const fn greatest(
    op: &'static str,
    element: &'static str,
    result: &'static str,
    host: fn(&mut dyn Iterator<Item = f64>, f64) -> f64,
) -> Reduce {
    Reduce { op, greatest: true, element, result, host, global: false }
}

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &sum("ReduceSum", "e", "r", |x, _| x.sum()),
    &sum("ReduceMean", "e", "r / n", |x, n| x.sum::<f64>() / n),
    &sum("ReduceSumSquare", "e * e", "r", |x, _| x.map(|v| v * v).sum()),
    &sum("ReduceL1", "abs(e)", "r", |x, _| x.map(f64::abs).sum()),
    &sum("ReduceL2", "e * e", "sqrt(r)", |x, _| x.map(|v| v * v).sum::<f64>().sqrt()),
    &greatest("ReduceMax", "e", "r", |x, _| x.fold(f64::NEG_INFINITY, f64::max)),
    &greatest("ReduceMin", "-e", "-r", |x, _| x.fold(f64::INFINITY, f64::min)),
    &Reduce {
        op: "GlobalAveragePool",
        greatest: false,
        element: "e",
        result: "r / n",
        host: |x, n| x.sum::<f64>() / n,
        global: true,
    },
    &Reduce {
        op: "GlobalMaxPool",
        greatest: true,
        element: "e",
        result: "r",
        host: |x, _| x.fold(f64::NEG_INFINITY, f64::max),
        global: true,
    },
];

/// The rows that become one element each, and the output's shape; `global`: those of all spatial axes.
pub(super) fn rule(global: bool, call: &Call<'_>) -> Result<(Rows, Vec<usize>)> {
    let shape = float_shape(call, 0)?;
    if global {
        if shape.len() < 3 {
            return Err(Error::new(Kind::InvalidModel, format!("no spatial axis in shape {shape:?}")));
        }
        let mut kept = shape[..2].to_vec();
        kept.resize(shape.len(), 1);
        return Ok((Rows::of(shape, 2, shape.len()), kept));
    }
    let given = match call.attributes.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => call.optional_i64(1)?,
    };
    let mut axes: Vec<usize> = match given.filter(|a| !a.is_empty()) {
        Some(axes) => axes.into_iter().map(|a| axis(a, shape.len())).collect::<Result<_>>()?,
        None if call.attributes.int("noop_with_empty_axes", 0)? != 0 => vec![],
        None => (0..shape.len()).collect(),
    };
    axes.sort_unstable();
    axes.dedup();
    let (from, to) = match (axes.first(), axes.last()) {
        (Some(&first), Some(&last)) => (first, last + 1),
        _ => (shape.len(), shape.len()),
    };
    // An axis of one element may stand between: it changes nothing.
    if (from..to).any(|i| !axes.contains(&i) && shape[i] != 1) {
        return Err(Error::new(Kind::Unsupported, format!("axes {axes:?} of shape {shape:?}: not neighbours")));
    }
    let keep = call.attributes.int("keepdims", 1)? != 0;
    let kept =
        (0..shape.len()).filter_map(|i| if axes.contains(&i) { keep.then_some(1) } else { Some(shape[i]) }).collect();
    Ok((Rows::of(shape, from, to), kept))
}

impl Reduce {
    fn rule(&self, call: &Call<'_>) -> Result<(Rows, Vec<usize>)> {
        rule(self.global, call)
    }
}

impl Operator for Reduce {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        if self.global { &[] } else { &["axes", "keepdims", "noop_with_empty_axes"] }
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![real(call, self.rule(call)?.1)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, (rows, shape)) = (&call.input(0).ok()?.ty.shape, self.rule(call).ok()?);
        Some(vec![rows.along(from, call.only_first(axes)?, shape.len())?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (rows, shape) = self.rule(call)?;
        let x = values(inputs, 0)?;
        let y: Vec<f64> = (0..rows.count())
            .map(|r| {
                let mut elements = (0..rows.len).map(|i| x[rows.start(r) + i * rows.inner]);
                (self.host)(&mut elements, rows.len as f64)
            })
            .collect();
        Ok(vec![result(call, shape, &y)?])
    }
}
