//! Trilu on the GPU: a thread for each element. Knows dispatches; must never know a device.

use super::{Trilu, known, upper};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Shader, Slot};

static KNOWN: Shader = Shader {
    name: "trilu",
    class: Class::Movement,
    source: lean!("trilu.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

static COMPUTED: Shader = Shader {
    name: "trilu-k",
    class: Class::Movement,
    source: lean!("trilu.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y"), Slot::read("k")],
};

impl Kernel for Trilu {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (out.input(0)?, out.output(0)?);
        let ty = out.ty(y);
        let (element, count) = (Element::of(ty.dtype), ty.len());
        let (rows, columns) = (ty.shape[ty.shape.len() - 2], ty.shape[ty.shape.len() - 1]);
        let workgroups = spread(count.div_ceil(GROUP))?;
        let known = known(call)?;
        // Beyond the matrix every diagonal is alike.
        let most = word(rows.max(columns))? as i32;
        let diagonal = known.map_or(0, |k| k.clamp(-i64::from(most), i64::from(most)) as i32);
        let mut bindings = [x, y].map(|tensor| Binding { tensor, element }).to_vec();
        if known.is_none() {
            bindings.push(Binding { tensor: out.input(1)?, element: Element::I32 });
        }
        let k = if known.is_some() { "bitcast<i32>(params.diagonal)" } else { "k[0]" };
        let side = if upper(call)? { ">=" } else { "<=" };
        let mut params: Vec<u32> =
            [count, workgroups[0] as usize, rows, columns].into_iter().map(word).collect::<Result<_>>()?;
        params.push(diagonal as u32);
        out.dispatch(KernelCall {
            shader: if known.is_some() { &KNOWN } else { &COMPUTED },
            snippets: vec![("k", k.to_owned()), ("side", side.to_owned())],
            constants: vec![],
            bindings,
            params,
            workgroups,
            flops: 0.0,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
