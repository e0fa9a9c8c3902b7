//! When what nobody waits for may use the machine. Knows moments; must never know who gives them.

use super::host::LocalFuture;
use std::any::Any;
use std::fmt;
use std::rc::Rc;

/// A moment in which nobody is in the way; it ends when this is dropped.
pub type Moment = Box<dyn Any>;

/// Gives moments for what a lane measures of itself: one run, or one pipeline.
#[derive(Clone)]
pub struct Pace {
    wait: Rc<dyn Fn() -> LocalFuture<Moment>>,
    hurry: Rc<dyn Fn() -> bool>,
}

impl Pace {
    /// `wait` gives the next moment; `hurry` says whether somebody waits for what is measured.
    pub fn new(wait: impl Fn() -> LocalFuture<Moment> + 'static, hurry: impl Fn() -> bool + 'static) -> Pace {
        Pace { wait: Rc::new(wait), hurry: Rc::new(hurry) }
    }

    /// The next moment.
    pub fn moment(&self) -> LocalFuture<Moment> {
        (self.wait)()
    }

    /// Whether somebody waits for what is measured.
    pub fn hurries(&self) -> bool {
        (self.hurry)()
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}
