//! Concat: each operand is copied into its stretch of every row of the output.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::limits::word;
use crate::kernels::base::operand::axis;
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};

/// The operators of this family.
pub const OPERATORS: &[&dyn Kernel] = &[&Concat];

static SHADER: Shader = Shader {
    name: "concat",
    class: Class::Movement,
    source: include_str!("concat.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

/// Tensors joined along one axis.
#[derive(Debug)]
pub struct Concat;

fn rule(call: &Call<'_>) -> Result<(usize, TensorType)> {
    let first = call.input(0)?.ty.clone();
    let axis = axis(call.attributes.int("axis", 0)?, first.shape.len())?;
    let mut ty = first.clone();
    for i in 1..call.inputs.len() {
        let other = &call.input(i)?.ty;
        let fits = other.dtype == ty.dtype
            && other.shape.len() == ty.shape.len()
            && (0..ty.shape.len()).all(|d| d == axis || other.shape[d] == ty.shape[d]);
        if !fits {
            return Err(Error::new(
                Kind::InvalidInput,
                format!("shapes {:?} and {:?} do not join along axis {axis}", first.shape, other.shape),
            ));
        }
        ty.shape[axis] += other.shape[axis];
    }
    Ok((axis, ty))
}

impl Operator for Concat {
    fn op_type(&self) -> &'static str {
        "Concat"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["axis"]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![rule(call)?.1])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let (axis, ty) = rule(call)?;
        let parts: Vec<&HostTensor> = inputs.iter().copied().flatten().collect();
        let outer: usize = ty.shape[..axis].iter().product();
        // Every element of all parts, one part after another: rows are picked from there.
        let mut runs = vec![];
        let mut start = 0;
        for part in &parts {
            let run: usize = part.shape()[axis..].iter().product();
            runs.push((start, run));
            start += part.len();
        }
        let joined = HostTensor::joined(ty.dtype, &parts)?;
        let at = (0..outer).flat_map(|o| runs.iter().flat_map(move |&(s, run)| s + o * run..s + (o + 1) * run));
        Ok(vec![joined.pick(ty.shape.clone(), at)?])
    }
}

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
