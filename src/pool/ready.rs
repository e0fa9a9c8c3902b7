//! A program that is ready on a lane, and those for several of its requests. Knows what was compiled; must never know whose it is.

use super::stacks::Stacks;
use crate::graph::Axes;
use crate::lane::Compiled;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A program on the lane with what the predictor sees of it.
#[derive(Debug)]
pub struct Ready {
    pub(super) compiled: Rc<Compiled>,
    /// Whether it has run before: a first run still pays the driver's own warm-up.
    pub(super) warm: Cell<bool>,
    /// Programs for several of its requests.
    pub(super) stacks: RefCell<Stacks<Stack>>,
}

impl Ready {
    /// One that never ran.
    pub(super) fn new(compiled: Compiled) -> Ready {
        Ready { compiled: Rc::new(compiled), warm: Cell::new(false), stacks: RefCell::default() }
    }
}

/// A program for several requests of one form, whose tensors lie one after another along these axes; what has none all share.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) times: usize,
    pub(super) inputs: Axes,
    pub(super) outputs: Axes,
    pub(super) ready: Rc<Ready>,
}
