//! Pad on the GPU: a thread for each element. Knows dispatches; must never know a device.

use super::{Mode, Pad, rule};
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType};
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::strides::contiguous;
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

/// Axes that the parameters have room for.
const AXES: usize = 8;

static SHADER: Shader = Shader {
    name: "pad",
    class: Class::Movement,
    source: lean!("pad.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

impl Kernel for Pad {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let rule = rule(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        let dtype = out.ty(y).dtype;
        let count = out.ty(y).len();
        if rule.shape.len() > AXES {
            return Err(Error::new(Kind::Unsupported, format!("a Pad of {} axes", rule.shape.len())));
        }
        let workgroups = spread(count.div_ceil(GROUP))?;
        let bits = match dtype {
            DType::Float32 => (rule.value as f32).to_bits(),
            DType::Bool => u32::from(rule.value != 0.0),
            _ => rule.value as i32 as u32,
        };
        let mut params = vec![word(count)?, word(workgroups[0] as usize)?, word(rule.shape.len())?, bits];
        for (axis, stride) in contiguous(&rule.from).into_iter().enumerate() {
            let before =
                i32::try_from(rule.before[axis]).map_err(|_| Error::new(Kind::Unsupported, "a Pad of so many"))?;
            params.extend([word(rule.shape[axis])?, word(rule.from[axis])?, before as u32, word(stride as usize)?]);
        }
        params.resize(4 + 4 * AXES, 0);
        let around = match rule.mode {
            Mode::Constant => "",
            Mode::Edge => "at = clamp(at, 0, size - 1);",
            Mode::Reflect => {
                "at = abs(at); let mirrored = max(2 * (size - 1), 1); at = min(at % mirrored, mirrored - at % mirrored);"
            }
            Mode::Wrap => "at = (at + size) % size;",
        };
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("around", around.to_owned())],
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::of(dtype) }).to_vec(),
            params,
            workgroups,
            flops: 0.0,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
