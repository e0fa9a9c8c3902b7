//! Sets of requests that came together, of several sessions, and their joints: one call in which what the models have in common is
//! computed once. Knows programs; must never know requests, nor when a joint is worth it.

use super::ready::Ready;
use super::stacks::Stacks;
use crate::lane::Lane;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// Sets of which it is known what they take as one call.
const KEPT: usize = 16;
/// Holders of what joints need of weights are numbered from here on, far above those of sessions.
const HOLDERS: u64 = 1 << 40;

/// For each request of a set, the number of each of its inputs: those of one number are fed the same.
pub(super) type Fed = Vec<Vec<usize>>;

/// A program for a set of requests. It lets go of its weights with its last call.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) ready: Rc<Ready>,
    /// For each of its inputs a request that has it, and where among that request's own.
    pub(super) inputs: Vec<(usize, usize)>,
    /// For each request, where its outputs are.
    pub(super) outputs: Vec<Vec<usize>>,
    /// Let go of with it.
    pub(super) _held: Held,
}

/// Weights that a joint holds on its lane.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lane: Rc<dyn Lane>,
    pub(super) holder: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lane.release(self.holder);
    }
}

/// Programs whose requests came together, each fed so.
#[derive(Debug)]
pub(super) struct Set {
    programs: Vec<Weak<Ready>>,
    pub(super) fed: Fed,
    pub(super) stacks: RefCell<Stacks<Joint>>,
    /// Whether one of its programs left the lane.
    gone: Cell<bool>,
}

/// The sets of one lane.
#[derive(Debug, Default)]
pub struct Joints {
    sets: RefCell<Vec<Rc<Set>>>,
    made: Cell<u64>,
}

impl Set {
    /// How many requests it has.
    pub(super) fn len(&self) -> usize {
        self.programs.len()
    }

    /// Takes in its joint; nothing where there can be none.
    pub(super) fn made(&self, joint: Option<Joint>) {
        let joint = joint.filter(|_| !self.gone.get());
        self.stacks.borrow_mut().made(self.len(), joint.map(Rc::new));
    }

    fn is(&self, programs: &[Weak<Ready>], fed: &Fed) -> bool {
        self.fed == *fed
            && self.len() == programs.len()
            && self.programs.iter().zip(programs).all(|(own, other)| own.ptr_eq(other))
    }
}

impl Joints {
    /// A holder's number that no other has.
    pub(super) fn holder(&self) -> u64 {
        self.made.set(self.made.get() + 1);
        HOLDERS + self.made.get()
    }

    /// The set of `programs` that are fed so.
    pub(super) fn of<'a>(&self, programs: impl Iterator<Item = &'a Rc<Ready>>, fed: Fed) -> Rc<Set> {
        let programs: Vec<Weak<Ready>> = programs.map(Rc::downgrade).collect();
        let mut sets = self.sets.borrow_mut();
        sets.retain(|set| set.programs.iter().all(|program| program.strong_count() > 0));
        let known = sets.iter().position(|set| set.is(&programs, &fed)).map(|at| sets.remove(at));
        if known.is_none() && sets.len() == KEPT {
            sets.remove(0).gone.set(true);
        }
        let set =
            known.unwrap_or_else(|| Rc::new(Set { programs, fed, stacks: RefCell::default(), gone: Cell::default() }));
        sets.push(Rc::clone(&set));
        set
    }

    /// Forgets the sets that one of `programs` is of.
    pub(super) fn forget(&self, programs: &[Rc<Ready>]) {
        let of = |set: &Set| set.programs.iter().any(|own| programs.iter().any(|p| own.ptr_eq(&Rc::downgrade(p))));
        self.sets.borrow_mut().retain(|set| {
            let goes = of(set);
            if goes {
                set.gone.set(true);
            }
            !goes
        });
    }
}
