//! Tensors that stay on the device between calls: each in a buffer of its own, counted while anyone holds it.

use super::alloc::Block;
use crate::graph::TensorType;
use crate::lane::tensor::Resident;
use crate::memory::weight_bytes;
use crate::program::Port;
use std::rc::Rc;

/// The name of this lane in the API.
pub(super) const NAME: &str = "gpu";

/// A tensor of `ty` in `block`; nothing where it has no elements.
pub(super) fn resident(opening: u64, ty: TensorType, block: Option<Block>) -> Resident {
    Resident { ty, lane: NAME, opening, bytes: block.as_ref().map_or(0, Block::bytes), own: Box::new(block) }
}

/// Where a tensor lies; nothing where it has no elements, or is of another lane.
pub(super) fn block(tensor: &Resident) -> Option<&Block> {
    tensor.own.downcast_ref::<Option<Block>>().and_then(Option::as_ref)
}

/// One input of a request, as the device takes it.
#[derive(Clone, Debug)]
pub enum Input {
    /// Its elements, 4 bytes each.
    Words(Rc<[u32]>),
    /// A tensor that is on the device already.
    Resident(Rc<Resident>),
}

/// Bytes that the outputs of a program that stay on the device will hold.
pub(super) fn resident_bytes(outputs: &[Port]) -> u64 {
    outputs.iter().filter(|p| p.resident && !p.ty.is_empty()).map(|p| weight_bytes(p.bytes())).sum()
}
