//! How far a lane's measurement is: not begun, under way, done, wanted. Knows that there is one; must never know what it
//! measures.

use super::known::{Known, Shelf};
use crate::error::Result;
use crate::lane::Pace;
use crate::lane::host::LocalFuture;
use futures_util::future::Shared;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The measurement: not begun, under way, or done.
pub struct Probing {
    pub(super) shelf: Option<Rc<dyn Shelf>>,
    pub(super) kernels: String,
    pub(super) under_way: RefCell<Option<Shared<LocalFuture<Result<()>>>>>,
    pub(super) done: Cell<bool>,
    /// What it found.
    pub(super) known: RefCell<Option<Known>>,
    /// Whether it was begun unasked: what fails then is tried again only when asked for.
    pub(super) begun: Cell<bool>,
    /// Whether someone waits for it.
    pub(super) wanted: Cell<bool>,
    /// What each of its steps waits for, where the lane waits for nothing itself.
    pub(super) steps: RefCell<Option<Pace>>,
}

impl std::fmt::Debug for Probing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probing").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Probing {
    /// Nothing is known yet; what will be is put on `shelf` as of `kernels`.
    pub(super) fn new(shelf: Option<Rc<dyn Shelf>>, kernels: String) -> Probing {
        Probing {
            shelf,
            kernels,
            under_way: RefCell::default(),
            done: Cell::default(),
            known: RefCell::default(),
            begun: Cell::default(),
            wanted: Cell::default(),
            steps: RefCell::default(),
        }
    }

    /// Whether the predictor knows what classes reach.
    pub(super) fn done(&self) -> bool {
        self.done.get()
    }
}
