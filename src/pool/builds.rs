//! What making sessions ready took, and which shapes are made ready beside calls. Knows times; must never know a lane, nor what is
//! made.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Forms of calls that are remembered at most.
const MOST: usize = 64;

/// What it took to make one session ready, by the number of a lane's opening: to bring its weights, and the last build.
#[derive(Debug, Default)]
pub(super) struct Builds(RefCell<BTreeMap<u64, (f64, f64)>>);

impl Builds {
    /// Takes in one more; `brought_ms`: what its weights took, where they were on their way, too.
    pub(super) fn took(&self, lane: u64, brought_ms: Option<f64>, built_ms: f64) {
        let mut all = self.0.borrow_mut();
        let one = all.entry(lane).or_default();
        *one = (brought_ms.unwrap_or(one.0), built_ms);
    }

    /// What the next is expected to take; `there`: whether the lane has the weights.
    pub(super) fn ms(&self, lane: u64, there: bool) -> Option<f64> {
        let (brought_ms, built_ms) = *self.0.borrow().get(&lane)?;
        Some(if there { built_ms } else { brought_ms + built_ms })
    }
}

/// What building a program took on one lane, by its steps: of all sessions.
#[derive(Debug, Default)]
pub(super) struct Pace(Cell<(f64, usize)>);

impl Pace {
    /// Takes in one of so many steps.
    pub(super) fn took(&self, steps: usize, ms: f64) {
        let (all_ms, all) = self.0.get();
        self.0.set((all_ms + ms, all + steps));
    }

    /// What one of so many steps takes at this pace; no time where none was seen.
    pub(super) fn ms(&self, steps: usize) -> f64 {
        let (all_ms, all) = self.0.get();
        if all == 0 { 0.0 } else { all_ms / all as f64 * steps as f64 }
    }
}

/// The forms of a session that are made ready beside its calls, one at a time. One that is new is while no other waits in vain to be
/// called again; one that comes again always is.
#[derive(Debug)]
pub(super) struct Beside<F> {
    seen: RefCell<Vec<F>>,
    /// Made so, and not called since.
    unused: RefCell<Vec<F>>,
    next: RefCell<Option<F>>,
    busy: Cell<bool>,
}

impl<F> Default for Beside<F> {
    fn default() -> Self {
        Beside { seen: RefCell::default(), unused: RefCell::default(), next: RefCell::default(), busy: Cell::default() }
    }
}

impl<F: Clone + PartialEq> Beside<F> {
    /// A call of `form` came, which is not made ready: what is to be begun now, if anything.
    pub(super) fn called(&self, form: &F) -> Option<F> {
        let mut seen = self.seen.borrow_mut();
        let again = seen.contains(form);
        if !again {
            if seen.len() == MOST {
                drop(seen.remove(0));
            }
            seen.push(form.clone());
        }
        if !again && !self.unused.borrow().is_empty() {
            return None;
        }
        // Of those that wait the last: it is the likeliest to come again.
        if self.busy.replace(true) {
            self.next.replace(Some(form.clone()));
            return None;
        }
        Some(form.clone())
    }

    /// `form` is ready, or failed: what is to be begun next.
    pub(super) fn ended(&self, form: F, ready: bool) -> Option<F> {
        if ready {
            self.unused.borrow_mut().push(form);
        }
        let next = self.next.take();
        self.busy.set(next.is_some());
        next
    }

    /// A call of `form` found it ready.
    pub(super) fn used(&self, form: &F) {
        self.unused.borrow_mut().retain(|unused| unused != form);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_takes_is_what_the_last_like_it_took() {
        let builds = Builds::default();
        assert_eq!(builds.ms(1, true), None);
        builds.took(1, Some(90.0), 7.0);
        builds.took(1, None, 8.0);
        assert_eq!((builds.ms(1, true), builds.ms(1, false), builds.ms(2, false)), (Some(8.0), Some(98.0), None));
        let pace = Pace::default();
        assert_eq!(pace.ms(10), 0.0);
        pace.took(10, 5.0);
        pace.took(30, 3.0);
        assert_eq!(pace.ms(20), 4.0);
    }

    #[test]
    fn shapes_that_come_once_are_not_built_in_vain_again_and_again() {
        let beside = Beside::default();
        assert_eq!(beside.called(&1), Some(1));
        assert_eq!((beside.called(&2), beside.called(&3)), (None, None), "one at a time");
        assert_eq!(beside.ended(1, true), Some(3), "the last of those that wait");
        assert_eq!(beside.ended(3, true), None);
        assert_eq!(beside.called(&4), None, "nobody called the others again");
        assert_eq!(beside.called(&4), Some(4), "it comes again");
        assert_eq!(beside.ended(4, false), None);
        beside.used(&1);
        assert_eq!(beside.called(&5), None, "one is left");
        beside.used(&3);
        assert_eq!(beside.called(&6), Some(6), "what was built was called");
    }
}
