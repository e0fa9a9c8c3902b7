//! Normalisation on the GPU: rows by workgroups or subgroups; a batch's as a chain of maps. Knows rows and dispatches; must
//! never know a device.

use super::{BatchNormalization, LayerNormalization, channels, layer_rows};
use crate::error::Result;
use crate::graph::Call;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::float;
use crate::kernels::base::strides::Strided;
use crate::kernels::base::wgsl::literal;
use crate::kernels::base::{Binding, Class, Kernel, KernelCall, Lowering, Planes, Shader, Slot};

const SOURCE: &str = lean!("../base/lanes.wgsl", "normalise.wgsl");

static PLAIN: Shader = Shader {
    name: "layer-norm",
    class: Class::Reduce,
    source: SOURCE,
    slots: &[Slot::read("x"), Slot::read("scale"), Slot::write("y")],
};

static WITH_BIAS: Shader = Shader {
    name: "layer-norm-bias",
    class: Class::Reduce,
    source: SOURCE,
    slots: &[Slot::read("x"), Slot::read("scale"), Slot::write("y"), Slot::read("bias")],
};

impl Kernel for LayerNormalization {
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let rows = layer_rows(call)?;
        let (x, scale, bias, y) = (out.input(0)?, out.input(1)?, out.optional_input(2), out.output(0)?);
        let cover = rows.cover(rows.bound_len(), 2, out.tuning())?;
        let mut bindings = vec![x, scale, y];
        bindings.extend(bias);
        let bytes = bindings.iter().map(|&id| out.bytes(id)).sum();
        out.dispatch(KernelCall {
            shader: if bias.is_some() { &WITH_BIAS } else { &PLAIN },
            snippets: vec![
                ("parts", rows.parts().to_owned()),
                ("wide", rows.element().wide().to_string()),
                ("bias", if bias.is_some() { " + bias[i]" } else { "" }.to_owned()),
            ]
            .into_iter()
            .chain(cover.snippets("rows"))
            .collect(),
            constants: vec![],
            bindings: bindings.into_iter().map(|tensor| Binding { tensor, element: rows.element() }).collect(),
            params: vec![
                word(rows.count())?,
                word(rows.bound_len())?,
                call.attributes.float("epsilon", 1e-5)?.to_bits(),
                cover.workgroups[0],
            ],
            workgroups: cover.workgroups,
            flops: 8.0 * (rows.count() * rows.len) as f64,
            bytes,
        });
        Ok(())
    }
}

impl Kernel for BatchNormalization {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::First
    }

    // Two maps of three operands: a binding each for x and four numbers of a channel would be more than one map has.
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        channels(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        let shape = out.ty(y).shape.clone();
        let normal = out.temporary(float(shape.clone()));
        let mut per_channel = vec![0; shape.len()];
        per_channel[1] = 1;
        let of = |tensor| Strided { tensor, base: 0, strides: per_channel.clone() };
        let epsilon = literal(call.attributes.float("epsilon", 1e-5)?);
        Map {
            moves: false,
            expression: format!("(u - v) * inverseSqrt(w + {epsilon})"),
            functions: "",
            operands: vec![Strided::broadcast(x, &shape, &shape), of(out.input(3)?), of(out.input(4)?)],
            output: normal,
            flops: 4.0,
        }
        .lower(out)?;
        Map {
            moves: false,
            expression: "u * v + w".to_owned(),
            functions: "",
            operands: vec![Strided::broadcast(normal, &shape, &shape), of(out.input(1)?), of(out.input(2)?)],
            output: y,
            flops: 2.0,
        }
        .lower(out)
    }
}
