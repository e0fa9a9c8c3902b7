//! Gather on the GPU: a thread for each element. Knows dispatches; must never know a device.

use super::{Gather, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

static SHADER: Shader = Shader {
    name: "gather",
    class: Class::Movement,
    source: lean!("gather.wgsl"),
    slots: &[Slot::read("x"), Slot::read("at"), Slot::write("y")],
};

impl Kernel for Gather {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (axis, ty) = rule(call)?;
        let (x, at, y) = (out.input(0)?, out.input(1)?, out.output(0)?);
        let shape = &out.ty(x).shape;
        let (size, inner): (usize, usize) = (shape[axis], shape[axis + 1..].iter().product());
        let indices = out.ty(at).len();
        let element = Element::of(ty.dtype);
        let workgroups = spread(ty.len().div_ceil(GROUP))?;
        let params = [ty.len(), workgroups[0] as usize, size, inner, indices];
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![],
            constants: vec![],
            bindings: vec![
                Binding { tensor: x, element },
                Binding { tensor: at, element: Element::I32 },
                Binding { tensor: y, element },
            ],
            params: params.into_iter().map(word).collect::<Result<_>>()?,
            workgroups,
            flops: 0.0,
            bytes: 2.0 * out.bytes(y) + out.bytes(at),
        });
        Ok(())
    }
}
