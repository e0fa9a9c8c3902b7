//! Concat on the GPU: what it joins is computed where it belongs, or copied. Knows dispatches; must never know a device.

use super::{Concat, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};

static SHADER: Shader = Shader {
    name: "concat",
    class: Class::Movement,
    source: lean!("concat.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Concat {
    fn planes(&self, call: &Call<'_>) -> Planes {
        // Planes whole, one after another.
        if rule(call).is_ok_and(|(axis, _)| axis == 1) { Planes::Joined } else { Planes::Dense }
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (axis, ty) = rule(call)?;
        let y = out.output(0)?;
        if call.inputs.len() == 1 {
            let x = out.input(0)?;
            out.view(y, x);
            return Ok(());
        }
        let row: usize = out.ty(y).shape[axis..].iter().product();
        let element = Element::of(ty.dtype);
        // What follows each other whole needs no copy: each part is computed where it belongs.
        let whole = ty.shape[..axis].iter().product::<usize>() == 1;
        let mut offset = 0;
        for i in 0..call.inputs.len() {
            let x = out.input(i)?;
            let run: usize = out.ty(x).shape[axis..].iter().product();
            let count = out.ty(x).len();
            if count > 0 && !(whole && out.place_in(x, y, offset)) {
                let workgroups = spread(count.div_ceil(GROUP))?;
                out.dispatch(KernelCall {
                    shader: &SHADER,
                    snippets: vec![],
                    constants: vec![],
                    bindings: [x, y].map(|tensor| Binding { tensor, element }).to_vec(),
                    params: vec![word(count)?, workgroups[0], word(run)?, word(row)?, word(offset)?],
                    workgroups,
                    flops: 0.0,
                    bytes: 2.0 * out.bytes(x),
                });
            }
            offset += run;
        }
        Ok(())
    }
}
