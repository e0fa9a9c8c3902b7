//! Tensors that stay on a lane for a caller: by number, until disposed or the pool is closed; and what a call feeds and
//! keeps. Knows who holds what; must never know how a tensor is computed.

use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use crate::lane::Resident;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// One input of a call.
#[derive(Clone, Debug)]
pub enum Feed {
    /// From the caller's memory.
    Host(HostTensor),
    /// On a lane already.
    Resident(Rc<Resident>),
}

impl Feed {
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

/// Which outputs of a call stay on the lane.
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
    /// Takes a tensor into keeping: the number by which it is known.
    pub(super) fn hold(&self, tensor: Rc<Resident>) -> u64 {
        let id = self.next.get() + 1;
        self.next.set(id);
        self.held.borrow_mut().insert(id, tensor);
        id
    }

    /// The tensor of a number. `Closed` where it was disposed of.
    pub(super) fn get(&self, id: u64) -> Result<Rc<Resident>> {
        let held = self.held.borrow();
        held.get(&id).cloned().ok_or_else(|| Error::new(Kind::Closed, "the tensor was disposed of"))
    }

    /// Lets go of a tensor; calls in flight that use it still finish.
    pub(super) fn dispose(&self, id: u64) {
        self.held.borrow_mut().remove(&id);
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.held.borrow_mut().clear();
    }
}
