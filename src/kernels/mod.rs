//! The operators: one file per family, its WGSL beside it; attributes, shape rule, CPU reference and kernels said once.
//! Knows the graph's contract; must never know a device, memory places, models or JS.
//!
//! To add an operator: implement [`Kernel`] (and `graph::Operator`) in its family's file and name it in that
//! family's `OPERATORS` list; a new family gets one line in [`FAMILIES`].

pub mod argument;
pub mod attention;
mod attention_stream;
pub mod binary;
pub mod call;
pub mod ceiling;
pub mod concat;
pub mod conv;
mod conv_direct;
mod conv_implicit;
pub mod conv_transpose;
mod conv_unfold;
mod depthwise;
pub mod endings;
pub mod epilogue;
pub mod gather;
pub mod limits;
pub mod lowering;
pub mod map;
pub mod matmul;
pub mod movement;
pub mod normalise;
pub mod operand;
mod placed;
pub mod planes;
pub mod pool;
pub mod product;
mod product_shared;
mod product_split;
mod product_tile;
pub mod reduce;
pub mod resize;
pub mod rows;
pub mod select;
pub mod shape;
pub mod softmax;
mod softmax_held;
pub mod tuning;
pub mod unary;
pub mod view;
pub mod wgsl;
pub mod window;
mod winograd;

pub use call::{Binding, Class, Element, KernelCall, Shader, Slot};
pub use lowering::{Home, LoweredTensor, Lowering};
pub use planes::Planes;
pub use tuning::{QUAD, Tuning};

use crate::error::Result;
use crate::graph::{Call, Operator, OperatorSet};

/// An operator with its GPU kernels.
pub trait Kernel: Operator {
    /// Appends the dispatches that compute the outputs on the GPU.
    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()>;

    /// Which operands may be planes that lie apart.
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Dense
    }
}

/// Every operator, by family.
pub const FAMILIES: &[&[&'static dyn Kernel]] = &[
    argument::OPERATORS,
    binary::OPERATORS,
    concat::OPERATORS,
    conv::OPERATORS,
    conv_transpose::OPERATORS,
    gather::OPERATORS,
    matmul::OPERATORS,
    movement::OPERATORS,
    normalise::OPERATORS,
    pool::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    select::OPERATORS,
    shape::OPERATORS,
    softmax::OPERATORS,
    unary::OPERATORS,
    view::OPERATORS,
];

/// All operators of [`FAMILIES`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry;

impl Registry {
    /// The operator of that name with its kernels.
    pub fn kernel(self, domain: &str, op_type: &str) -> Option<&'static dyn Kernel> {
        let domain = if domain == "ai.onnx" { "" } else { domain };
        FAMILIES
            .iter()
            .flat_map(|family| family.iter())
            .find(|k| k.op_type() == op_type && k.domain() == domain)
            .copied()
    }
}

impl OperatorSet for Registry {
    fn find(&self, domain: &str, op_type: &str) -> Option<&dyn Operator> {
        self.kernel(domain, op_type).map(|k| k as &dyn Operator)
    }
}
