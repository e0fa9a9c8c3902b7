//! When an execution looks up from its work: to pause when its slice of time is over, or to end because nobody wants it any more.
//! Knows times and numbers of executions; must never know programs or messages.

use super::ceilings::Clock;
use super::engine::Watch;
use crate::error::{Error, Kind};
use crate::program::DispatchCost;
use std::sync::atomic::{AtomicU32, Ordering};

/// Parts that the units of a phase are taken in at most, and of each phase where nobody knows yet how long the program takes.
const PARTS: usize = 32;
/// Milliseconds that a part may take, and parts of a slice that it may take.
const PART_MS: f64 = 5.0;
const OF_SLICE: f64 = 4.0;
/// Operations that take as long as moving a byte, about: what is shared out by it need not be exact.
const PER_BYTE: f64 = 4.0;

/// What an execution that was stopped ends with.
pub fn stopped() -> Error {
    Error::new(Kind::Aborted, "a run that was stopped on its way")
}

/// How much of a program's time a step takes, among its others.
pub fn weight(cost: &DispatchCost) -> f64 {
    cost.flops + PER_BYTE * cost.bytes
}

/// What tells an execution to end: a word of memory that anybody may write, and its number there.
#[derive(Clone, Copy, Debug)]
pub struct Stop<'a> {
    /// The number of the execution that is to end.
    pub word: &'a AtomicU32,
    /// The number of this one.
    pub number: u32,
}

impl Stop<'_> {
    /// Whether it is to end.
    pub fn is_set(&self) -> bool {
        // Nothing else is told by it, so nothing needs to be seen in its order.
        self.word.load(Ordering::Relaxed) == self.number
    }
}

/// A slice of time that a run has.
#[derive(Debug)]
pub struct Slice<'a> {
    clock: Clock,
    end: f64,
    part_ms: f64,
    /// What the program took lately, and the weights of all its steps.
    took_ms: f64,
    all: f64,
    stop: Stop<'a>,
}

impl<'a> Slice<'a> {
    /// Until `end`, of `slice_ms`, for a program that took `took_ms` lately (infinite where nobody knows) and whose steps weigh
    /// `all`. One that is over well within a slice is not asked to pause: looking at a clock is dear beside short steps.
    pub fn new(clock: Clock, (end, slice_ms): (f64, f64), (took_ms, all): (f64, f64), stop: Stop<'a>) -> Slice<'a> {
        let end = if took_ms <= slice_ms / 2.0 { f64::INFINITY } else { end };
        Slice { clock, end, part_ms: PART_MS.min(slice_ms / OF_SLICE), took_ms, all, stop }
    }
}

impl Watch for Slice<'_> {
    fn parts(&self, cost: &DispatchCost) -> usize {
        // What is no number is one part.
        ((self.took_ms * weight(cost) / self.all / self.part_ms).ceil() as usize).clamp(1, PARTS)
    }

    fn pauses(&mut self) -> bool {
        self.stop.is_set() || self.end.is_finite() && (self.clock)() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Class;

    fn cost(flops: f64) -> DispatchCost {
        DispatchCost { class: Class::Matmul, flops, bytes: 0.0 }
    }

    #[test]
    fn a_step_is_taken_in_parts_by_what_it_takes() {
        let word = AtomicU32::new(0);
        let of = |slice_ms: f64, took_ms: f64| {
            Slice::new(|| 0.0, (slice_ms, slice_ms), (took_ms, 100.0), Stop { word: &word, number: 1 })
        };
        let parts = |slice_ms, took_ms, flops| of(slice_ms, took_ms).parts(&cost(flops));
        assert_eq!(parts(f64::INFINITY, 1.0, 100.0), 1, "a short one at once");
        assert_eq!((parts(20.0, 100.0, 50.0), parts(20.0, 100.0, 1.0)), (10, 1), "parts of five milliseconds");
        assert_eq!((parts(20.0, 9e9, 50.0), parts(20.0, f64::INFINITY, 1.0)), (PARTS, PARTS));
        assert_eq!(parts(20.0, f64::INFINITY, 0.0), 1, "a step of nothing");
    }

    #[test]
    fn only_its_own_number_stops_a_run_and_only_a_long_one_pauses() {
        let word = AtomicU32::new(0);
        let of = |took_ms: f64| Slice::new(|| 50.0, (20.0, 20.0), (took_ms, 1.0), Stop { word: &word, number: 7 });
        assert!(of(30.0).pauses() && of(f64::INFINITY).pauses() && !of(10.0).pauses());
        word.store(6, Ordering::Relaxed);
        assert!(!of(10.0).pauses(), "another is to end");
        word.store(7, Ordering::Relaxed);
        assert!(of(10.0).pauses());
    }
}
