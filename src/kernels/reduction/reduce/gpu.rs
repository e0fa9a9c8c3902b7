//! Reductions on the GPU: a row by the threads of a workgroup. Knows rows and dispatches; must never know a device.

use super::Reduce;
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};

static SHADER: Shader = Shader {
    name: "reduce",
    class: Class::Reduce,
    source: lean!("../../base/lanes.wgsl", "reduce.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Reduce {
    fn planes(&self, _: &Call<'_>) -> Planes {
        if self.global { Planes::Each } else { Planes::Dense }
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (rows, _) = self.rule(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        let apart = if self.global { out.plane(x) } else { rows.len * rows.inner };
        let cover = rows.cover(rows.len, 1, out.tuning())?;
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![
                ("first", if self.greatest { "-3.4028234e38" } else { "0.0" }.to_owned()),
                ("element", self.element.to_owned()),
                ("step", if self.greatest { "max(r, v)" } else { "r + v" }.to_owned()),
                ("greatest", self.greatest.to_string()),
                ("result", self.result.to_owned()),
            ]
            .into_iter()
            .chain(cover.snippets("rows"))
            .collect(),
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
            params: vec![word(rows.count())?, word(rows.len)?, word(rows.inner)?, cover.workgroups[0], word(apart)?],
            workgroups: cover.workgroups,
            flops: 2.0 * (rows.count() * rows.len) as f64,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
