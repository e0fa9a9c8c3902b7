//! Resize on the GPU: a thread for each element. Knows axes and dispatches; must never know a device.

use super::{Axis, Mode, Resize, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

static SHADER: Shader = Shader {
    name: "resize",
    class: Class::Movement,
    source: lean!("resize.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Resize {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let rule = rule(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        let count: usize = rule.shape.iter().product();
        let workgroups = spread(count.div_ceil(GROUP))?;
        let nearest = match rule.mode {
            Mode::Floor | Mode::Linear => "floored(n, d)",
            Mode::Ceil => "-floored(-n, d)",
            Mode::PreferFloor => "-floored(d - 2 * n, 2 * d)",
            Mode::PreferCeil => "floored(2 * n + d, 2 * d)",
        };
        let linear = rule.mode == Mode::Linear;
        let axis = |a: Axis| [a.scale as i32 as u32, a.shift as i32 as u32, a.parts as i32 as u32];
        let mut params = vec![word(count)?, workgroups[0]];
        for size in [rule.y.output, rule.x.output, rule.y.input, rule.x.input] {
            params.push(word(size as usize)?);
        }
        params.extend(axis(rule.y).into_iter().chain(axis(rule.x)));
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("nearest", nearest.to_owned()), ("linear", linear.to_string())],
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
            params,
            workgroups,
            flops: if linear { 12.0 * count as f64 } else { 0.0 },
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
