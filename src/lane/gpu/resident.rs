//! Tensors that stay on the device between calls: each in a buffer of its own, counted while anyone holds it.

use super::alloc::Block;
use crate::graph::{HostTensor, TensorType};
use crate::memory::weight_bytes;
use crate::program::Port;
use std::rc::Rc;

/// A tensor on the device; its bytes are freed with its last holder.
#[derive(Debug)]
pub struct Resident {
    /// Element type and shape.
    pub ty: TensorType,
    /// Nothing where it has no elements.
    pub(super) block: Option<Block>,
}

impl Resident {
    /// Its bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.block.as_ref().map_or(0, Block::bytes)
    }
}

/// One input of a request.
#[derive(Clone, Debug)]
pub enum Input {
    /// Its elements, 4 bytes each.
    Words(Rc<[u32]>),
    /// A tensor that is on the device already.
    Resident(Rc<Resident>),
}

/// One output of a request.
#[derive(Clone, Debug)]
pub enum Output {
    /// Read back.
    Host(HostTensor),
    /// Left on the device.
    Resident(Rc<Resident>),
}

impl Output {
    /// The tensor where it was read back.
    pub fn host(&self) -> Option<&HostTensor> {
        if let Output::Host(tensor) = self { Some(tensor) } else { None }
    }

    /// The tensor where it stayed.
    pub fn resident(&self) -> Option<&Rc<Resident>> {
        if let Output::Resident(tensor) = self { Some(tensor) } else { None }
    }
}

/// Bytes that the outputs of a program that stay on the device will hold.
pub(super) fn resident_bytes(outputs: &[Port]) -> u64 {
    outputs.iter().filter(|p| p.resident && !p.ty.is_empty()).map(|p| weight_bytes(p.bytes())).sum()
}
