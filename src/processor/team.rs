//! Who computes: one thread, or several that share out the units of each phase. Knows counts of units; must never know what
//! a routine computes.

use crate::error::{Error, Kind, Result};
use std::ops::Range;

/// Threads that compute together.
pub trait Team {
    /// How many there are, the caller among them.
    fn threads(&self) -> usize;

    /// From now on at most so many take part: the others' cores are needed elsewhere.
    fn limit(&self, _threads: usize) {}

    /// Runs each unit below `units` once, given the number of the thread, and returns when all are done; the first error.
    fn run(&self, units: usize, each: &(dyn Fn(usize, Range<usize>) -> Result<()> + Sync)) -> Result<()>;
}

/// The caller alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Team for Alone {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, units: usize, each: &(dyn Fn(usize, Range<usize>) -> Result<()> + Sync)) -> Result<()> {
        if units == 0 { Ok(()) } else { each(0, 0..units) }
    }
}

/// Threads of the system that are made for each phase, natively: dear, and enough to see that routines can be shared out.
#[derive(Clone, Copy, Debug)]
pub struct Scoped(pub usize);

impl Team for Scoped {
    fn threads(&self) -> usize {
        self.0.max(1)
    }

    fn run(&self, units: usize, each: &(dyn Fn(usize, Range<usize>) -> Result<()> + Sync)) -> Result<()> {
        let all = self.threads();
        let part = |thread: usize| units * thread / all..units * (thread + 1) / all;
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..all)
                .filter(|&thread| !part(thread).is_empty())
                .map(|thread| scope.spawn(move || each(thread, part(thread))))
                .collect();
            let own = if part(0).is_empty() { Ok(()) } else { each(0, part(0)) };
            let ended = |_| Err(Error::new(Kind::Internal, "a thread of a team ended"));
            others.into_iter().map(|other| other.join().unwrap_or_else(ended)).fold(own, Result::and)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_unit_runs_once_and_the_first_error_is_told() {
        for (threads, units) in [(1, 5), (3, 2), (4, 103), (2, 0)] {
            let done: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
            let each = |thread: usize, part: Range<usize>| {
                assert!(thread < threads);
                part.for_each(|unit| {
                    done[unit].fetch_add(1, Ordering::Relaxed);
                });
                Ok(())
            };
            let teams: [&dyn Team; 2] = [&Scoped(threads), &Alone];
            teams.iter().for_each(|team| assert!(team.run(units, &each).is_ok()));
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 2), "{threads} threads, {units} units");
        }
        let fails = |_: usize, part: Range<usize>| match part.contains(&7) {
            true => Err(Error::new(Kind::Internal, "unit 7")),
            false => Ok(()),
        };
        assert!(Scoped(3).run(9, &fails).is_err_and(|e| e.to_string().contains("unit 7")));
    }
}
