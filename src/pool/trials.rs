//! What sets of programs took by each strategy, and by which one is run next: what was measured counts more than a forecast. Knows
//! times; must never know what a strategy does.

use super::ready::Ready;
use crate::predict::Strategy;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// Sets of which it is known what they took.
const KEPT: usize = 32;
/// Measured times of which the median counts, and from how many on it does.
const RECENT: usize = 5;
const ENOUGH: usize = 3;
/// After so many runs of a set its second best strategy is tried again.
const AGAIN: u32 = 32;
/// One that is forecast, or was measured, to take more than so many times the best's time is not tried.
pub(super) const BOUND: f64 = 1.2;
/// One that took so many times as long once is not tried a second time.
const HOPELESS: f64 = 2.0;

#[derive(Debug, Default)]
struct Set {
    programs: Vec<Weak<Ready>>,
    took: Vec<(Strategy, Vec<f64>)>,
    runs: u32,
    /// Whether it is known what is best.
    settled: bool,
}

/// The sets of one lane.
#[derive(Debug, Default)]
pub struct Trials(RefCell<Vec<Set>>);

/// The programs in an order of their own: in whatever order they come they are one set.
fn key(programs: &[&Rc<Ready>]) -> Vec<Weak<Ready>> {
    let mut key: Vec<Weak<Ready>> = programs.iter().map(|program| Rc::downgrade(program)).collect();
    key.sort_by_key(|program| program.as_ptr() as usize);
    key
}

impl Set {
    fn usual(&self, strategy: Strategy) -> Option<f64> {
        let mut sorted = self.times(strategy)?.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        (sorted.len() >= ENOUGH).then(|| sorted[sorted.len() / 2])
    }

    fn times(&self, strategy: Strategy) -> Option<&Vec<f64>> {
        self.took.iter().find(|(of, _)| *of == strategy).map(|(_, times)| times)
    }

    /// Of `forecast`, the best, and `rival`: what is to be run next.
    fn next(&mut self, forecast: Strategy, rival: Option<Strategy>) -> Strategy {
        self.runs = self.runs.wrapping_add(1);
        self.settled = true;
        let Some(rival) = rival else { return forecast };
        match (self.usual(forecast), self.usual(rival)) {
            (None, _) => {
                self.settled = false;
                forecast
            }
            (Some(own), None) => {
                self.settled = self.times(rival).and_then(|times| times.last()).is_some_and(|&ms| ms > HOPELESS * own);
                if self.settled { forecast } else { rival }
            }
            (Some(own), Some(other)) => {
                let (best, second) = if own <= other { (forecast, rival) } else { (rival, forecast) };
                let near = own.max(other) <= BOUND * own.min(other);
                if near && self.runs.is_multiple_of(AGAIN) { second } else { best }
            }
        }
    }
}

impl Trials {
    fn of<T>(&self, programs: &[&Rc<Ready>], with: impl FnOnce(&mut Set) -> T) -> T {
        let (key, mut sets) = (key(programs), self.0.borrow_mut());
        sets.retain(|set| set.programs.iter().all(|program| program.strong_count() > 0));
        let same = |set: &Set| {
            set.programs.len() == key.len() && set.programs.iter().zip(&key).all(|(own, other)| own.ptr_eq(other))
        };
        let mut set = match sets.iter().position(same) {
            Some(at) => sets.remove(at),
            None => Set { programs: key, ..Set::default() },
        };
        let told = with(&mut set);
        if sets.len() == KEPT {
            drop(sets.remove(0));
        }
        sets.push(set);
        told
    }

    /// The strategy for the next run of `programs`, of which `forecast` is expected to be the best and `rival` not to be much worse.
    pub(super) fn next(&self, programs: &[&Rc<Ready>], forecast: Strategy, rival: Option<Strategy>) -> Strategy {
        self.of(programs, |set| set.next(forecast, rival))
    }

    /// Whether it is known by which strategy `programs` run best.
    pub(super) fn settled(&self, programs: &[&Rc<Ready>]) -> bool {
        self.of(programs, |set| set.settled)
    }

    /// Takes in that `programs` took so long by a strategy.
    pub(super) fn took(&self, programs: &[&Rc<Ready>], strategy: Strategy, ms: f64) {
        self.of(programs, |set| {
            if set.times(strategy).is_none() {
                set.took.push((strategy, vec![]));
            }
            for (_, times) in set.took.iter_mut().filter(|(of, _)| *of == strategy) {
                if times.len() == RECENT {
                    times.remove(0);
                }
                times.push(ms);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strategy::{Parallel, Sequential};

    fn took(set: &mut Set, strategy: Strategy, ms: f64) {
        if set.times(strategy).is_none() {
            set.took.push((strategy, vec![]));
        }
        set.took.iter_mut().filter(|(of, _)| *of == strategy).for_each(|(_, times)| times.push(ms));
    }

    /// The strategies of some runs, each of which takes what `ms` says.
    fn runs(count: usize, ms: impl Fn(Strategy) -> f64) -> Vec<Strategy> {
        let mut set = Set::default();
        let run = |_| {
            let strategy = set.next(Sequential, Some(Parallel));
            took(&mut set, strategy, ms(strategy));
            strategy
        };
        (0..count).map(run).collect()
    }

    fn of(all: &[Strategy], strategy: Strategy) -> usize {
        all.iter().filter(|&&other| other == strategy).count()
    }

    #[test]
    fn what_was_measured_counts_more_than_the_forecast() {
        let faster = runs(100, |s| if s == Parallel { 6.0 } else { 10.0 });
        assert_eq!(faster[..ENOUGH], [Sequential; ENOUGH]);
        assert_eq!(faster[ENOUGH..], [Parallel; 97]);
        let slower = runs(100, |s| if s == Parallel { 15.0 } else { 10.0 });
        assert_eq!(of(&slower, Parallel), ENOUGH, "it is tried as often as it takes to know");
        let hopeless = runs(100, |s| if s == Parallel { 30.0 } else { 10.0 });
        assert_eq!(of(&hopeless, Parallel), 1);
        let alike = runs(100, |s| if s == Parallel { 11.0 } else { 10.0 });
        assert_eq!(of(&alike, Parallel), ENOUGH + 3, "and once in a while");
    }

    #[test]
    fn nothing_is_tried_that_is_no_rival() {
        let mut set = Set::default();
        for _ in 0..50 {
            assert_eq!(set.next(Sequential, None), Sequential);
            took(&mut set, Sequential, 10.0);
        }
    }
}
