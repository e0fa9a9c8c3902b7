//! The operators, a room for each family: attributes, shape rule, CPU reference and kernels said once, WGSL beside them.
//! Knows the graph's contract; must never know a device, memory places, models or JS.
//!
//! To add an operator: implement [`Kernel`] (and `graph::Operator`) in its family's room and name it in that room's
//! `OPERATORS`; a new family gets one line in [`FAMILIES`]. What all of them are made of is [`base`], the floor below; a
//! family knows another only downwards: convolution, attention and movement know product, attention knows softmax.

pub mod attention;
pub mod base;
pub mod convolution;
pub mod elementwise;
pub mod movement;
pub mod normalisation;
pub mod pooling;
pub mod product;
pub mod recurrent;
pub mod reduction;
pub mod resize;
pub mod softmax;

pub use base::{
    Binding, Class, Element, Entry, Home, Kernel, KernelCall, LoweredTensor, Lowering, Planes, QUAD, Shader, Slot,
    Tuning, ceiling, endings, planes, wgsl,
};

use crate::error::Result;
use crate::graph::{Call, DType, Operator, OperatorSet};
use base::cpu::links::Term;
use base::cpu::{Lower, Routines};

/// Every operator, by family and its files.
pub const FAMILIES: &[&[&[&Entry]]] = &[
    convolution::OPERATORS,
    elementwise::OPERATORS,
    movement::OPERATORS,
    normalisation::OPERATORS,
    pooling::OPERATORS,
    product::OPERATORS,
    recurrent::OPERATORS,
    reduction::OPERATORS,
    resize::OPERATORS,
    softmax::OPERATORS,
];

/// What computes them on a processor, by family; the rest is computed by its references.
const ROUTINES: &[Routines] = &[
    convolution::cpu::ROUTINES,
    convolution::TRANSPOSED,
    elementwise::cpu::ROUTINES,
    elementwise::select::cpu::ROUTINES,
    movement::cpu::ROUTINES,
    normalisation::cpu::ROUTINES,
    pooling::cpu::ROUTINES,
    product::cpu::ROUTINES,
    recurrent::cpu::ROUTINES,
    reduction::reduce::cpu::ROUTINES,
    resize::cpu::ROUTINES,
    softmax::cpu::ROUTINES,
];

/// Of those the ones that look at the type of what they take, or do not care: the rest takes every float for a float32.
const OF_ANY_TYPE: &[Routines] =
    &[elementwise::cpu::ROUTINES, elementwise::select::cpu::ROUTINES, movement::cpu::ROUTINES];

/// What computes the operator of that name on a processor.
pub fn routine(domain: &str, op_type: &str, call: &Call<'_>) -> Option<Lower> {
    let wide = call.inputs.iter().flatten().any(|operand| operand.ty.dtype == DType::Float64);
    let all = if wide { OF_ANY_TYPE } else { ROUTINES }.iter().flat_map(|family| family.iter());
    let mut known = all.filter(|_| domain.is_empty() || domain == "ai.onnx");
    known.find(|(name, _)| *name == op_type).map(|(_, lower)| *lower)
}

/// Operators whose routines put their results through a chain of elementwise ones.
const ENDING: &[&str] = &["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Whether the routine of the operator of that name ends with a chain.
pub fn ends(domain: &str, op_type: &str) -> bool {
    (domain.is_empty() || domain == "ai.onnx") && ENDING.contains(&op_type)
}

/// What a node computes of floats, element by element, on a processor; `None` where it is another operator.
pub fn term(domain: &str, op_type: &str, call: &Call<'_>) -> Result<Option<Term>> {
    if domain.is_empty() || domain == "ai.onnx" { elementwise::cpu::term(op_type, call) } else { Ok(None) }
}

/// All operators of [`FAMILIES`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry;

impl Registry {
    /// The operator of that name with its kernels.
    pub fn kernel(self, domain: &str, op_type: &str) -> Option<&'static Entry> {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        FAMILIES
            .iter()
            .flat_map(|family| family.iter().copied().flatten())
            .find(|k| k.op_type() == op_type && k.domain() == domain)
            .copied()
    }
}

impl OperatorSet for Registry {
    fn find(&self, domain: &str, op_type: &str) -> Option<&dyn Operator> {
        self.kernel(domain, op_type).map(|k| k as &dyn Operator)
    }
}
