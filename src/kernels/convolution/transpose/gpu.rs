//! ConvTranspose on the GPU: a thread for each element of the output. Knows axes and dispatches; must never know a device.

use super::{ConvTranspose, rule};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::{rounds, word};
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

static PLAIN: Shader = Shader {
    name: "conv-transpose",
    class: Class::Conv,
    source: lean!("transpose.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y")],
};

static WITH_BIAS: Shader = Shader {
    name: "conv-transpose-bias",
    class: Class::Conv,
    source: lean!("transpose.wgsl"),
    slots: &[Slot::read("x"), Slot::read("w"), Slot::write("y"), Slot::read("bias")],
};

impl Kernel for ConvTranspose {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let r = rule(call)?;
        let bias = call.optional(2).map(|_| out.input(2)).transpose()?;
        let mut tensors = vec![out.input(0)?, out.input(1)?, out.output(0)?];
        tensors.extend(bias);
        let (channels, filters) = (r.channels / r.group, r.filters / r.group);
        rounds(r.y.kernel * (1 + r.x.kernel * (1 + channels)))?;
        let count: usize = r.shape.iter().product();
        let workgroups = spread(count.div_ceil(GROUP))?;
        let (y, x) = (r.y, r.x);
        let sizes = [
            vec![r.filters, filters, r.channels, channels],
            vec![y.output, x.output, y.input, x.input, y.kernel, x.kernel],
            vec![y.stride, x.stride, y.dilation, x.dilation, y.before, x.before],
        ];
        let mut params = vec![word(count)?, workgroups[0]];
        for size in sizes.concat() {
            params.push(word(size)?);
        }
        // Of a kernel's taps, every stride-th meets an input element.
        let taps = (y.kernel.div_ceil(y.stride) * x.kernel.div_ceil(x.stride)) as f64;
        let bytes = tensors.iter().map(|&id| out.bytes(id)).sum();
        out.dispatch(KernelCall {
            shader: if bias.is_some() { &WITH_BIAS } else { &PLAIN },
            snippets: vec![("first", if bias.is_some() { "bias[filter_index]" } else { "0.0" }.to_owned())],
            constants: vec![],
            bindings: tensors.into_iter().map(|tensor| Binding { tensor, element: Element::F32 }).collect(),
            params,
            workgroups,
            flops: 2.0 * count as f64 * channels as f64 * taps,
            bytes,
        });
        Ok(())
    }
}
