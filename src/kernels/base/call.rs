//! One dispatch as plain data: which shader, over which tensors, with which constants, and what it costs.

use crate::graph::{DType, TensorId};
use serde::{Deserialize, Serialize};

/// Kernels that share one utilisation in the predictor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Matrix products.
    Matmul,
    /// Convolutions other than depthwise.
    Conv,
    /// Depthwise convolutions.
    Depthwise,
    /// Pooling.
    Pool,
    /// Element-wise operators.
    Elementwise,
    /// Moves without arithmetic: transpose, slice, concat, expand, gather.
    Movement,
    /// Reductions, softmax, normalisations.
    Reduce,
    /// Matrix products of few rows: what they take is to read the matrix.
    Gemv,
}

impl Class {
    /// Every class, in the order of the predictor's coefficients; what was recorded before one came has none of it at its end.
    pub const ALL: [Class; 8] = [
        Class::Matmul,
        Class::Conv,
        Class::Depthwise,
        Class::Pool,
        Class::Elementwise,
        Class::Movement,
        Class::Reduce,
        Class::Gemv,
    ];
    /// The most of a lane's ceilings that a class is believed to reach: these are measured too low where a machine has other work.
    pub const MOST_SHARE: f64 = 16.0;
}

/// One storage binding that a shader names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The WGSL variable.
    pub name: &'static str,
    /// Whether the shader writes it.
    pub writes: bool,
}

impl Slot {
    /// A slot that the shader only reads.
    pub const fn read(name: &'static str) -> Self {
        Slot { name, writes: false }
    }

    /// A slot that the shader writes.
    pub const fn write(name: &'static str) -> Self {
        Slot { name, writes: true }
    }
}

/// Operands of maps that a kernel took in, after its own slots.
pub(in crate::kernels) const TAKEN_IN: [Slot; 4] =
    [Slot::read("taken0"), Slot::read("taken1"), Slot::read("taken2"), Slot::read("taken3")];

/// A WGSL file without its bindings.
///
/// `source` declares `struct Params` (uniform layout, at most 256 bytes), reads it as `params`, and has the entry
/// point `main`. The header declares each slot as `var<storage, …> NAME: array<NAME_t>` with `alias NAME_t`, so
/// that a body can be written for any element type. Any `${key}` is replaced by a call's snippet of that key.
#[derive(Debug)]
pub struct Shader {
    /// Name for labels and reports.
    pub name: &'static str,
    /// Cost class.
    pub class: Class,
    /// The body.
    pub source: &'static str,
    /// Storage bindings in order, at most 8.
    pub slots: &'static [Slot],
}

/// The element type under which a shader sees a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `f32`
    F32,
    /// `vec4<f32>`; the tensor's length must be a multiple of 4
    Vec4F32,
    /// `i32`
    I32,
    /// `u32`
    U32,
}

impl Element {
    /// The scalar element of a tensor of `dtype`.
    pub fn of(dtype: DType) -> Self {
        match dtype.wgsl() {
            "f32" => Element::F32,
            "i32" => Element::I32,
            _ => Element::U32,
        }
    }

    /// Elements of the tensor in one.
    pub fn wide(self) -> usize {
        if self == Element::Vec4F32 { 4 } else { 1 }
    }

    /// As WGSL writes it.
    pub fn wgsl(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::Vec4F32 => "vec4<f32>",
            Element::I32 => "i32",
            Element::U32 => "u32",
        }
    }
}

/// What a slot is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The tensor, bound whole.
    pub tensor: TensorId,
    /// How the shader sees it.
    pub element: Element,
}

impl KernelCall {
    /// The tensor that it writes.
    pub(in crate::kernels) fn written(&self) -> Option<TensorId> {
        let at = self.shader.slots.iter().position(|s| s.writes)?;
        self.bindings.get(at).map(|b| b.tensor)
    }
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct KernelCall {
    /// The shader.
    pub shader: &'static Shader,
    /// Replacements of `${key}` in the shader's body.
    pub snippets: Vec<(&'static str, String)>,
    /// Values of `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// One per slot, then the operands of maps that the kernel took in.
    pub bindings: Vec<Binding>,
    /// The words of `Params`, at most 64.
    pub params: Vec<u32>,
    /// Workgroups in x, y, z, each at most 65 535.
    pub workgroups: [u32; 3],
    /// Floating-point operations; a multiply-add counts two.
    pub flops: f64,
    /// Bytes that must move at least once.
    pub bytes: f64,
}
