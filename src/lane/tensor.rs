//! Tensors that go into an execution and come out of it: from the host, or left on a lane between calls. Knows types and
//! sizes; must never know where on its lane a tensor lies.

use crate::graph::{DType, HostTensor, TensorType};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// A number that no lane was opened under before.
pub fn opening() -> u64 {
    thread_local! {
        static LAST: Cell<u64> = const { Cell::new(0) };
    }
    LAST.with(|last| {
        last.set(last.get() + 1);
        last.get()
    })
}

/// A tensor on a lane; its bytes are freed with its last holder.
pub struct Resident {
    /// Element type and shape.
    pub ty: TensorType,
    /// Name of the lane: no other can read it.
    pub lane: &'static str,
    /// Which opening of that lane: one that came after it was lost has none of its tensors.
    pub opening: u64,
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

impl Input {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Input::Host(tensor) => tensor.dtype(),
            Input::Resident(tensor) => tensor.ty.dtype,
        }
    }

    /// Shape.
    pub fn shape(&self) -> &[usize] {
        match self {
            Input::Host(tensor) => tensor.shape(),
            Input::Resident(tensor) => &tensor.ty.shape,
        }
    }
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
