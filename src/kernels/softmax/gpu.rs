//! Softmax on the GPU: rows held by threads where they fit, else in passes over them. Knows rows and dispatches; must never
//! know a device.

use super::{Softmax, held, rows};
use crate::error::Result;
use crate::graph::{Call, TensorId};
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::Rows;
use crate::kernels::base::{Binding, Class, Kernel, KernelCall, Lowering, Shader, Slot};

static SHADER: Shader = Shader {
    name: "softmax",
    class: Class::Reduce,
    source: lean!("../base/lanes.wgsl", "softmax.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Softmax {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        dispatch(rows(call)?, out.input(0)?, out.output(0)?, self.log, out)
    }
}

/// Appends the softmax of `rows` of `x`, or its logarithm.
pub(in crate::kernels) fn dispatch(
    rows: Rows,
    x: TensorId,
    y: TensorId,
    log: bool,
    out: &mut Lowering<'_>,
) -> Result<()> {
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
