//! Where a session lives: a home on each lane that holds its weights, and the programs made ready there. Knows one session's
//! side of a lane; must never know why it lives there.

use super::builds::Beside;
use super::joints::Joints;
use super::ready::Ready;
use crate::error::Result;
use crate::graph::HostTensor;
use crate::kernels::Tuning;
use crate::lane::Lane;
use crate::lane::host::LocalFuture;
use crate::program::Residency;
use futures_util::future::Shared;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What a program is compiled for: the shapes of all inputs, and which inputs and outputs stay on the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) residency: Residency,
    /// The elements of those inputs that decide what is computed.
    pub(super) values: Vec<Option<Arc<HostTensor>>>,
}

impl Form {
    /// Inputs of these shapes from the host, outputs back to it.
    pub(super) fn of(shapes: Vec<Vec<usize>>) -> Form {
        Form { shapes, residency: Residency::default(), values: vec![] }
    }
}

/// After so many calls that needed no further home, a session leaves it.
pub(super) const CALM: u32 = 64;
/// Forms for which a session keeps its programs.
pub(super) const KEPT: usize = 16;

/// A program on its way.
pub(super) type Preparation = Shared<LocalFuture<Result<Rc<Ready>>>>;

/// A session on one lane. What it holds there is let go of with it, or when it leaves.
#[derive(Debug)]
pub struct Home {
    pub(super) lane: Rc<dyn Lane>,
    /// How many sessions live there.
    tenants: Rc<Cell<usize>>,
    /// Calls there of several sessions.
    joints: Rc<Joints>,
    /// As whom the lane knows it.
    pub(super) holder: u64,
    /// Every program of a home has the same variants, so that equal inputs give equal results.
    pub(super) tuning: Tuning,
    /// Programs by form, used last at the end.
    pub(super) programs: RefCell<Vec<(Form, Preparation)>>,
    /// Forms that are made ready beside the session's calls.
    pub(super) beside: Beside<Form>,
    /// Whether it is for calls that another home is not ready for.
    pub(super) stands_by: Cell<bool>,
    /// Whether the lane holds the weights, or did.
    pub(super) furnished: Cell<bool>,
    left: Cell<bool>,
}

impl Home {
    /// One on `lane`, where so many others are and nothing was brought to. `halves`: whether products may multiply f16.
    pub(super) fn new(
        lane: &Rc<dyn Lane>,
        (tenants, joints): (&Rc<Cell<usize>>, &Rc<Joints>),
        holder: u64,
        halves: bool,
    ) -> Rc<Home> {
        let tuning = lane.tuning();
        tenants.set(tenants.get() + 1);
        Rc::new(Home {
            lane: Rc::clone(lane),
            tenants: Rc::clone(tenants),
            joints: Rc::clone(joints),
            holder,
            tuning: if halves { tuning } else { tuning.whole() },
            programs: RefCell::default(),
            beside: Beside::default(),
            stands_by: Cell::default(),
            furnished: Cell::default(),
            left: Cell::default(),
        })
    }

    /// Whether the lane can still be asked.
    pub(super) fn stands(&self) -> bool {
        self.lane.check().is_ok()
    }

    /// The programs that are ready, used last at the end.
    pub(super) fn ready(&self) -> Vec<Rc<Ready>> {
        let programs = self.programs.borrow();
        programs.iter().filter_map(|(_, p)| p.peek().and_then(|r| r.as_ref().ok()).map(Rc::clone)).collect()
    }

    /// The program for `form`, where it is ready.
    pub(super) fn ready_for(&self, form: &Form) -> Option<Rc<Ready>> {
        let programs = self.programs.borrow();
        let (_, program) = programs.iter().find(|(key, _)| key == form)?;
        program.peek().and_then(|ready| ready.as_ref().ok()).map(Rc::clone)
    }

    /// The form of `ready` where its inputs and outputs are the host's.
    pub(super) fn form_of(&self, ready: &Rc<Ready>) -> Option<Form> {
        let programs = self.programs.borrow();
        let is = |p: &Preparation| p.peek().is_some_and(|r| r.as_ref().is_ok_and(|r| Rc::ptr_eq(r, ready)));
        let own = programs.iter().find(|(form, p)| form.residency == Residency::default() && is(p));
        own.map(|(form, _)| form.clone())
    }

    /// The program for `form` on its way, or there.
    pub(super) fn under_way(&self, form: &Form) -> Option<Preparation> {
        self.programs.borrow().iter().find(|(key, _)| key == form).map(|(_, program)| program.clone())
    }

    /// The form that was met last of those with these shapes, whose inputs and outputs are the host's.
    pub(super) fn met(&self, shapes: &[Vec<usize>]) -> Option<Form> {
        let programs = self.programs.borrow();
        let alike = |form: &&Form| form.shapes == shapes && form.residency == Residency::default();
        programs.iter().rev().map(|(form, _)| form).find(alike).cloned()
    }

    /// Lets go of what is held on the lane; calls in flight keep what they use.
    pub(super) fn leave(&self) {
        if !self.left.replace(true) {
            self.tenants.set(self.tenants.get() - 1);
            self.joints.forget(&self.ready());
            self.lane.release(self.holder);
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.leave();
    }
}
