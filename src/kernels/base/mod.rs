//! What every kernel is made of: dispatches as data, their lowering, WGSL assembly, epilogues and maps, tuning, limits.
//! Knows the graph's contract; must never know a family of operators, a device, memory places, models or JS.

pub mod call;
pub mod ceiling;
pub mod chain;
pub mod cpu;
pub mod endings;
pub mod epilogue;
mod kernel;
pub(in crate::kernels) mod lean;
pub mod limits;
pub mod lowering;
pub mod map;
pub mod operand;
pub mod placed;
pub mod planes;
pub mod rows;
pub mod strides;
pub mod tuning;
pub mod variant;
pub mod wgsl;
pub mod window;

pub use call::{Binding, Class, Element, KernelCall, Shader, Slot};
pub use kernel::{Entry, Kernel};
pub(in crate::kernels) use lean::lean;
pub use lowering::{Home, LoweredTensor, Lowering};
pub use planes::Planes;
pub use tuning::{QUAD, Tuning};
pub use variant::{Variant, Work};
