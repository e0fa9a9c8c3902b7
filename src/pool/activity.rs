//! What a pool is at work on, and how its machine is: the conditions under which executions run. Knows times; must never know what
//! is executed.

use crate::lane::Moment;
use crate::lane::host::{now_ms, sleep};
use crate::predict::{Conditions, Machine, Pressure};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// After so many milliseconds without a call nobody is in the way of what is measured meanwhile.
const QUIET_MS: f64 = 100.0;
/// How often, in milliseconds, what is to be measured looks whether that is so.
const LOOK_MS: u32 = 20;
/// Where calls do not pause, so many times as long as a moment took the next one waits: one call in twenty may be longer by it.
const BETWEEN: f64 = 20.0;
/// And so long the first.
const FIRST_MS: f64 = 1000.0;

/// Executions on all lanes of a pool, and what it was told of its machine.
#[derive(Debug, Default)]
pub struct Activity {
    /// When each that runs is expected to end.
    ends: RefCell<Vec<(u64, f64)>>,
    next: Cell<u64>,
    /// How many ran so far, times how long, until when.
    so_far: Cell<(f64, f64)>,
    /// When the last one ended.
    ended_ms: Cell<f64>,
    /// What is made ready.
    pub(super) preparing: Cell<usize>,
    /// Whether something is measured that nobody waits for, and how often that was so.
    moments: Cell<(bool, u64)>,
    /// When the next moment is, if calls do not pause.
    next_ms: Cell<Option<f64>>,
    machine: Cell<Machine>,
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
    moments: (bool, u64),
}

/// A moment in which something is measured, until it is dropped.
#[derive(Debug)]
struct Measuring {
    of: Rc<Activity>,
    began_ms: f64,
}

impl Drop for Measuring {
    fn drop(&mut self) {
        let now_ms = now_ms();
        self.of.next_ms.set(Some(now_ms + BETWEEN * (now_ms - self.began_ms)));
        self.of.moments.set((false, self.of.moments.get().1));
    }
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
        let (machine, moments) = (self.machine.get(), self.moments.get());
        Active { of: self, number, began_ms: now_ms, before, machine, moments }
    }

    /// A moment in which what nobody waits for may be measured: while no call is under way and none was lately, or once in a long
    /// while; or at once where `hurry` says that somebody waits. One at a time.
    pub(super) async fn moment(self: Rc<Self>, hurry: impl Fn() -> bool) -> Moment {
        while self.moments.get().0 || !(hurry() || self.calm(now_ms())) {
            sleep(LOOK_MS).await;
        }
        self.moments.set((true, self.moments.get().1 + 1));
        Box::new(Measuring { began_ms: now_ms(), of: self })
    }

    fn calm(&self, now_ms: f64) -> bool {
        let quiet = self.ends.borrow().is_empty() && now_ms - self.ended_ms.get() >= QUIET_MS;
        let next_ms = self.next_ms.get().unwrap_or(now_ms + FIRST_MS);
        self.next_ms.set(Some(next_ms));
        self.preparing.get() == 0 && !self.yielding() && (quiet || now_ms >= next_ms)
    }

    /// Takes in how the machine is. A processor of which nothing is told is pressed as it was last.
    pub(super) fn told(&self, machine: Machine) {
        let pressure = machine.pressure.or(self.machine.get().pressure);
        self.machine.set(Machine { pressure, ..machine });
    }

    /// Takes in how hard the processor was pressed before anything was told: the browser tells some time after it is asked.
    pub(super) fn recalls(&self, pressure: Option<Pressure>) {
        let machine = self.machine.get();
        self.machine.set(Machine { pressure: machine.pressure.or(pressure), ..machine });
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
    /// The conditions under which it ran; nothing where they were other ones meanwhile.
    pub(super) fn conditions(&self, now_ms: f64) -> Option<Conditions> {
        let took = now_ms - self.began_ms;
        let busy = if took > 0.0 { (self.of.passed(now_ms) - self.before) / took - 1.0 } else { 0.0 };
        // A clock of few digits is no other execution.
        let busy = if busy < 0.01 { 0.0 } else { busy };
        let conditions = Conditions { now_ms: self.began_ms, machine: self.machine, busy };
        // Nor what something was measured beside.
        let disturbed = self.moments.0 || self.of.moments.get() != self.moments;
        (self.of.machine.get() == self.machine && !disturbed).then_some(conditions)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.of.ended_ms.set(now_ms());
        self.of.ends.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(target_arch = "wasm32"))]
    use {crate::lane::host::block_on, futures_util::future::join};

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
        all.told(Machine { hidden: true, ..Machine::default() });
        assert_eq!(alone.conditions(31.0), None, "it ran in both");
        all.recalls(Some(Pressure::Serious));
        assert_eq!(all.alone(31.0).machine.pressure, Some(Pressure::Serious), "as it was for the pool before");
        all.told(Machine { pressure: Some(Pressure::Fair), ..Machine::default() });
        all.recalls(Some(Pressure::Critical));
        all.told(Machine::default());
        assert_eq!(
            all.alone(31.0).machine,
            Machine { pressure: Some(Pressure::Fair), ..Machine::default() },
            "as it was told"
        );
    }

    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn what_nobody_waits_for_is_measured_when_no_call_is_in_the_way() {
        block_on(async {
            let all = Rc::new(Activity::default());
            let moment = |hurry: bool| Rc::clone(&all).moment(move || hurry);
            drop(all.begin(now_ms(), 10.0));
            let since = now_ms();
            let first = moment(false).await;
            assert!(now_ms() - since >= QUIET_MS, "{} ms after a call", now_ms() - since);
            let beside = all.begin(now_ms(), 10.0);
            assert_eq!(beside.conditions(now_ms()), None, "something is measured beside it");
            drop(first);
            // As if it had been a long one.
            all.next_ms.set(Some(f64::INFINITY));
            let end = async {
                sleep(50).await;
                drop(beside);
                now_ms()
            };
            let (second, ended) = join(moment(false), end).await;
            assert!(now_ms() - ended >= QUIET_MS, "{} ms after its end", now_ms() - ended);
            drop(second);
            let (_beside, since) = (all.begin(now_ms(), 10.0), now_ms());
            drop(moment(true).await);
            assert!(now_ms() - since < QUIET_MS, "somebody waits for it");
        });
    }
}
