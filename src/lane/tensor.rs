//! Tensors that go into an execution and come out of it: from the host, or left on a lane between calls. Knows types and
//! sizes; must never know where on its lane a tensor lies.

use crate::graph::{HostTensor, TensorType};
use std::any::Any;
use std::fmt;
use std::rc::Rc;

/// A tensor on a lane; its bytes are freed with its last holder.
pub struct Resident {
    /// Element type and shape.
    pub ty: TensorType,
    /// Name of the lane: no other can read it.
    pub lane: &'static str,
    /// Bytes that it holds there.
    pub bytes: u64,
    /// What the lane made; nobody else looks into it.
    pub own: Box<dyn Any>,
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resident").field("ty", &self.ty).field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// One input of a request.
#[derive(Clone, Debug)]
pub enum Input {
    /// From the host.
    Host(Rc<HostTensor>),
    /// On the lane already.
    Resident(Rc<Resident>),
}

/// One output of a request.
#[derive(Clone, Debug)]
pub enum Output {
    /// Read back.
    Host(HostTensor),
    /// Left on the lane.
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
