//! Tensors that stay on the device for a caller: by number, until disposed or the pool is closed; and what a call
//! feeds and keeps. Knows who holds what; must never know how a tensor is computed.

use super::Pool;
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, HostTensor};
use crate::lane::gpu::Resident;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// One input of a call.
#[derive(Clone, Debug)]
pub enum Feed {
    /// From the caller's memory.
    Host(HostTensor),
    /// On the device already.
    Resident(Rc<Resident>),
}

impl Feed {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Feed::Host(tensor) => tensor.dtype(),
            Feed::Resident(tensor) => tensor.ty.dtype,
        }
    }

    /// Shape.
    pub fn shape(&self) -> &[usize] {
        match self {
            Feed::Host(tensor) => tensor.shape(),
            Feed::Resident(tensor) => &tensor.ty.shape,
        }
    }
}

impl From<HostTensor> for Feed {
    fn from(tensor: HostTensor) -> Feed {
        Feed::Host(tensor)
    }
}

/// Which outputs of a call stay on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// None: all are read back.
    #[default]
    Nothing,
    /// Every one.
    All,
    /// Those of these names.
    Only(BTreeSet<String>),
}

/// Tensors that callers hold, by number.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    held: RefCell<BTreeMap<u64, Rc<Resident>>>,
    next: Cell<u64>,
}

impl Tensors {
    pub(super) fn clear(&self) {
        self.held.borrow_mut().clear();
    }
}

impl Pool {
    /// Takes a tensor into the pool's keeping: the number by which it is known.
    pub fn hold(&self, tensor: Rc<Resident>) -> u64 {
        let tensors = &self.inner.tensors;
        let id = tensors.next.get() + 1;
        tensors.next.set(id);
        tensors.held.borrow_mut().insert(id, tensor);
        id
    }

    /// The tensor of a number. `Closed` where it was disposed of.
    pub fn tensor(&self, id: u64) -> Result<Rc<Resident>> {
        let held = self.inner.tensors.held.borrow();
        held.get(&id).cloned().ok_or_else(|| Error::new(Kind::Closed, "the tensor was disposed of"))
    }

    /// Brings a tensor to the device.
    pub async fn upload(&self, tensor: &HostTensor) -> Result<Rc<Resident>> {
        self.inner.check()?;
        match self.inner.lane.upload(tensor).await {
            Ok(tensor) => Ok(Rc::new(tensor)),
            Err(error) => Err(self.inner.lane.cause(error).await),
        }
    }

    /// Reads a tensor back.
    pub async fn read(&self, tensor: &Resident) -> Result<HostTensor> {
        self.inner.check()?;
        match self.inner.lane.read(tensor).await {
            Ok(tensor) => Ok(tensor),
            Err(error) => Err(self.inner.lane.cause(error).await),
        }
    }

    /// Lets go of a tensor; calls in flight that use it still finish.
    pub fn dispose(&self, id: u64) {
        self.inner.tensors.held.borrow_mut().remove(&id);
    }
}
