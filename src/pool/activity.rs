//! What a pool is at work on, and how its machine is: the conditions under which executions run. Knows times; must never know what
//! is executed.

use crate::predict::{Conditions, Machine};
use std::cell::{Cell, RefCell};

/// Executions on all lanes of a pool, and what it was told of its machine.
#[derive(Debug, Default)]
pub struct Activity {
    /// When each that runs is expected to end.
    ends: RefCell<Vec<(u64, f64)>>,
    next: Cell<u64>,
    /// How many ran so far, times how long, until when.
    so_far: Cell<(f64, f64)>,
    pub(super) machine: Cell<Machine>,
    /// Whether it leaves the machine to others while nobody sees the page.
    pub(super) yields: Cell<bool>,
}

/// An execution under way, until it is dropped.
#[derive(Debug)]
pub struct Active<'a> {
    of: &'a Activity,
    number: u64,
    began_ms: f64,
    before: f64,
    machine: Machine,
}

impl Activity {
    /// Executions times milliseconds until now.
    fn passed(&self, now_ms: f64) -> f64 {
        let (sum, until) = self.so_far.get();
        let sum = sum + self.ends.borrow().len() as f64 * (now_ms - until).max(0.0);
        self.so_far.set((sum, now_ms));
        sum
    }

    /// One more is begun, which is expected to take `ms`.
    pub(super) fn begin(&self, now_ms: f64, ms: f64) -> Active<'_> {
        let (before, number) = (self.passed(now_ms), self.next.replace(self.next.get() + 1));
        self.ends.borrow_mut().push((number, now_ms + ms));
        Active { of: self, number, began_ms: now_ms, before, machine: self.machine.get() }
    }

    /// Whether the pool is to do no more than it must.
    pub(super) fn yielding(&self) -> bool {
        self.yields.get() && self.machine.get().hidden
    }

    /// The conditions of what begins now and takes `ms` alone.
    pub(super) fn conditions(&self, now_ms: f64, ms: f64) -> Conditions {
        let beside = |&(_, end): &(u64, f64)| (end - now_ms).clamp(0.0, ms);
        let beside: f64 = self.ends.borrow().iter().map(beside).sum();
        Conditions { busy: if ms > 0.0 { beside / ms } else { 0.0 }, ..self.alone(now_ms) }
    }

    /// The conditions of what begins now, were it alone.
    pub(super) fn alone(&self, now_ms: f64) -> Conditions {
        Conditions { now_ms, machine: self.machine.get(), busy: 0.0 }
    }
}

impl Active<'_> {
    /// The conditions under which it ran; nothing where the machine's became other ones meanwhile.
    pub(super) fn conditions(&self, now_ms: f64) -> Option<Conditions> {
        let took = now_ms - self.began_ms;
        let busy = if took > 0.0 { (self.of.passed(now_ms) - self.before) / took - 1.0 } else { 0.0 };
        // A clock of few digits is no other execution.
        let busy = if busy < 0.01 { 0.0 } else { busy };
        let conditions = Conditions { now_ms: self.began_ms, machine: self.machine, busy };
        (self.of.machine.get() == self.machine).then_some(conditions)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.of.ends.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_beside_an_execution_is_counted_by_its_time() {
        let all = Activity::default();
        let first = all.begin(0.0, 10.0);
        assert_eq!(all.conditions(5.0, 10.0).busy, 0.5, "half of it will be over");
        let second = all.begin(5.0, 10.0);
        assert_eq!(first.conditions(10.0).unwrap().busy, 0.5);
        drop(first);
        assert_eq!(second.conditions(15.0).unwrap().busy, 0.5);
        drop(second);
        let alone = all.begin(20.0, 10.0);
        let conditions = alone.conditions(30.0).unwrap();
        assert_eq!((conditions.busy, conditions.now_ms), (0.0, 20.0));
        all.machine.set(Machine { hidden: true, ..Machine::default() });
        assert_eq!(alone.conditions(31.0), None, "it ran in both");
    }
}
