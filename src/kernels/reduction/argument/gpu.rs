//! ArgMax and ArgMin on the GPU: a row by the threads of a workgroup. Knows rows and dispatches; must never know a device.

use super::Argument;
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word};
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

static SHADER: Shader = Shader {
    name: "argument",
    class: Class::Reduce,
    source: lean!("argument.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Argument {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (rows, _) = self.rule(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        rounds(rows.len)?;
        let better = match (self.greatest, Self::last(call)?) {
            (true, false) => ">",
            (true, true) => ">=",
            (false, false) => "<",
            (false, true) => "<=",
        };
        let workgroups = spread(rows.count().div_ceil(GROUP))?;
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("better", better.to_owned())],
            constants: vec![],
            bindings: vec![
                Binding { tensor: x, element: Element::of(call.input(0)?.ty.dtype) },
                Binding { tensor: y, element: Element::I32 },
            ],
            params: vec![word(rows.count())?, word(rows.len)?, word(rows.inner)?, workgroups[0]],
            workgroups,
            flops: (rows.count() * rows.len) as f64,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
