//! How kernels take tensors of (batch, channels, spatial…) whose planes begin further apart than they are long: a plane
//! of 7 × 7 that begins at a multiple of four elements is read in vec4 where one of 49 is not.
//! Knows operands; must never know which tensors of a graph are laid out so: see `program::planes`.

/// Elements whose multiples are the beginnings of planes that lie apart.
pub const APART: usize = 4;

/// What an operator's kernels do about planes that lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planes {
    /// Every operand lies as ONNX says.
    Dense,
    /// Input 0 and output 0, each as it likes.
    Each,
    /// Input 0 and output 0 alike; other inputs have no planes.
    First,
    /// All inputs and output 0 alike.
    Joined,
    /// Output 0 and the inputs of its shape, all alike; other inputs are the same for a whole plane.
    Alike,
}
