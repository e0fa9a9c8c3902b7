//! The typed graph: values, nodes, constants, and what an operator must say of itself.
//! Knows ONNX's meaning but not its bytes; must never know a device, JS, or which operators exist.

mod attributes;
mod content;
mod dtype;
mod ir;
mod join;
mod operator;
pub mod reference;
mod rows;
mod specialise;
mod tensor;

pub use attributes::{Attribute, Attributes};
pub use content::{ContentHash, Naming, seed};
pub use dtype::DType;
pub use ir::{Constant, Dim, Graph, Node, Value, ValueId};
pub use join::{Joined, Part, joined};
pub use operator::{Call, Follows, Operand, Operator, OperatorSet, TensorType};
pub use rows::{Axes, apart, candidates, even, renamed, stacked, stacks, unstacked};
pub use specialise::{
    FOLDED_ELEMENTS, Source, SpecialNode, SpecialTensor, Specialised, TensorId, specialise, specialise_with,
};
pub use tensor::{Data, HostTensor};
