//! Softmax and LogSoftmax, along one axis since opset 13 and over all axes from `axis` on before.
//! Knows rows; must never know another family.

mod held;

use crate::error::Result;
use crate::graph::{Call, HostTensor, Operator, TensorId, TensorType};
use crate::kernels::base::limits::word;
use crate::kernels::base::operand::{axis, float, float_shape, values};
use crate::kernels::base::rows::Rows;
use crate::kernels::base::{Binding, Class, Kernel, KernelCall, Lowering, Shader, Slot};

/// The operators of this family.
pub const OPERATORS: &[&[&dyn Kernel]] = &[&[&Softmax { log: false }, &Softmax { log: true }]];

static SHADER: Shader = Shader {
    name: "softmax",
    class: Class::Reduce,
    source: concat!(include_str!("../base/lanes.wgsl"), include_str!("softmax.wgsl")),
    slots: &[Slot::read("x"), Slot::write("y")],
};

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
        Ok(vec![float(float_shape(call, 0)?)])
    }

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
                y[at(i)] = if self.log { v - sum.ln() } else { v.exp() / sum } as f32;
            }
        }
        Ok(vec![HostTensor::f32(float_shape(call, 0)?, y)?])
    }
}

impl Kernel for Softmax {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        dispatch(rows(call)?, out.input(0)?, out.output(0)?, self.log, out)
    }
}

/// Appends the softmax of `rows` of `x`, or its logarithm.
pub(super) fn dispatch(rows: Rows, x: TensorId, y: TensorId, log: bool, out: &mut Lowering<'_>) -> Result<()> {
    if let Some(held) = rows.held(out.tuning())? {
        out.dispatch(held::call(rows, held, x, y, log, out)?);
        return Ok(());
    }
    let cover = rows.cover(rows.bound_len(), 2, out.tuning())?;
    let (scale, result) = if log { ("log(sum)", "v - scale") } else { ("1.0 / sum", "exp(v) * scale") };
    out.dispatch(KernelCall {
        shader: &SHADER,
        snippets: vec![("parts", rows.parts().to_owned()), ("scale", scale.to_owned()), ("result", result.to_owned())]
            .into_iter()
            .chain(cover.snippets("rows"))
            .collect(),
        constants: vec![],
        bindings: [x, y].map(|tensor| Binding { tensor, element: rows.element() }).to_vec(),
        params: vec![word(rows.count())?, word(rows.bound_len())?, word(rows.inner)?, cover.workgroups[0]],
        workgroups: cover.workgroups,
        // Compare, subtract, exponentiate and add, then again and scale: an exponential counted as one.
        flops: 7.0 * (rows.count() * rows.len) as f64,
        bytes: out.bytes(x) + out.bytes(y),
    });
    Ok(())
}
