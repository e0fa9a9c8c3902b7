//! Kernels that measure an adapter's own ceilings: multiply-adds in registers, a plain copy, and nothing at all; and
//! one that finds out how subgroups lie.

use super::lean::lean;
use super::{Binding, Class, Element, KernelCall, Shader, Slot};
use crate::graph::TensorId;

const FMA: Shader =
    Shader { name: "ceiling-fma", class: Class::Matmul, source: lean!("ceiling_fma.wgsl"), slots: &[Slot::write("y")] };
const COPY: Shader = Shader {
    name: "ceiling-copy",
    class: Class::Movement,
    source: lean!("ceiling_copy.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};
const NOTHING: Shader = Shader {
    name: "ceiling-nothing",
    class: Class::Elementwise,
    source: lean!("ceiling_nothing.wgsl"),
    slots: &[Slot::write("y")],
};
const NEIGHBOURS: Shader = Shader {
    name: "neighbours",
    class: Class::Elementwise,
    source: lean!("ceiling_neighbours.wgsl"),
    slots: &[Slot::write("y")],
};

/// Threads in a workgroup of these kernels.
const WORKGROUP: u32 = 64;

/// Multiply-adds of one thread in one turn of the loop.
const UNROLLED: f64 = 8.0 * 16.0;

/// Multiply-adds in registers only, `rounds` of 128 in each of `workgroups` × 64 threads, over a `y` of that many f32.
pub fn fma(y: TensorId, workgroups: u32, rounds: u32) -> KernelCall {
    let flops = f64::from(workgroups) * f64::from(WORKGROUP) * f64::from(rounds) * UNROLLED * 2.0;
    call(&FMA, vec![(y, Element::F32)], vec![rounds], workgroups, flops, f64::from(workgroups * WORKGROUP) * 4.0)
}

/// Copies `vec4s` × 16 bytes from `x` to `y`.
pub fn copy(x: TensorId, y: TensorId, vec4s: u32) -> KernelCall {
    let bindings = vec![(x, Element::Vec4F32), (y, Element::Vec4F32)];
    call(&COPY, bindings, vec![vec4s], vec4s.div_ceil(WORKGROUP).min(65_535), 0.0, f64::from(vec4s) * 32.0)
}

/// One workgroup that writes one f32.
pub fn nothing(y: TensorId) -> KernelCall {
    call(&NOTHING, vec![(y, Element::F32)], vec![0], 1, 0.0, 4.0)
}

/// 1 in each of `y`'s 64 × `workgroups` f32 whose thread finds the threads of its subgroup, `size` at least, beside it.
pub fn neighbours(y: TensorId, size: u32, workgroups: u32) -> KernelCall {
    call(&NEIGHBOURS, vec![(y, Element::F32)], vec![size], workgroups, 0.0, f64::from(workgroups * WORKGROUP) * 4.0)
}

fn call(
    shader: &'static Shader,
    bindings: Vec<(TensorId, Element)>,
    params: Vec<u32>,
    workgroups: u32,
    flops: f64,
    bytes: f64,
) -> KernelCall {
    KernelCall {
        shader,
        snippets: Vec::new(),
        constants: Vec::new(),
        bindings: bindings.into_iter().map(|(tensor, element)| Binding { tensor, element }).collect(),
        params,
        workgroups: [workgroups, 1, 1],
        flops,
        bytes,
    }
}
