//! Which stacks of a program's requests there are, and what a request takes in each. Knows counts and times; must never know what
//! a stack is.

use std::rc::Rc;

/// Measured times of which the median counts, and from how many on it does.
const RECENT: usize = 5;
const ENOUGH: usize = 3;
/// A stack is used where a request in it takes at most so much of what it takes alone.
const WORTH: f64 = 0.97;
/// One that took so many times as long is not tried again.
const HOPELESS: f64 = 2.0;

/// What is known of stacks of so many of one program's requests.
#[derive(Debug)]
struct Known<T> {
    times: usize,
    /// Nothing while it is on its way, and where it cannot be.
    made: Option<Rc<T>>,
    /// Milliseconds of a request, the last ones.
    took: Vec<f64>,
}

/// What is known of stacks of one program's requests; one alone is one, too.
#[derive(Debug)]
pub struct Stacks<T>(Vec<Known<T>>);

impl<T> Default for Stacks<T> {
    fn default() -> Self {
        Stacks(vec![])
    }
}

impl<T> Known<T> {
    /// What a request takes, once that is known.
    fn usual(&self) -> Option<f64> {
        let mut sorted = self.took.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        (sorted.len() >= ENOUGH).then(|| sorted[sorted.len() / 2])
    }
}

impl<T> Stacks<T> {
    fn of(&mut self, times: usize) -> &mut Known<T> {
        let at = self.0.iter().position(|known| known.times == times).unwrap_or_else(|| {
            self.0.push(Known { times, made: None, took: vec![] });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Whether one of so many is to be made now: it never was, and a request alone is known to take at most `ms`.
    pub(super) fn begins(&mut self, times: usize, ms: f64) -> bool {
        self.of(1).usual().is_some_and(|alone| alone <= ms) && self.claims(times)
    }

    /// What a request takes where so many are one call, once that is known.
    pub(super) fn usual(&self, times: usize) -> Option<f64> {
        self.0.iter().find(|known| known.times == times)?.usual()
    }

    /// Whether one of so many was never begun; it is now.
    pub(super) fn claims(&mut self, times: usize) -> bool {
        let new = self.0.iter().all(|known| known.times != times);
        self.of(times);
        new
    }

    /// The stack of so many, where it is made.
    pub(super) fn there(&self, times: usize) -> Option<Rc<T>> {
        self.0.iter().find(|known| known.times == times)?.made.clone()
    }

    /// Takes in that it is made; nothing where it cannot be.
    pub(super) fn made(&mut self, times: usize, stack: Option<Rc<T>>) {
        self.of(times).made = stack;
    }

    /// Takes in what a request took where so many were one call.
    pub(super) fn took(&mut self, times: usize, ms: f64) {
        let took = &mut self.of(times).took;
        if took.len() == RECENT {
            took.remove(0);
        }
        took.push(ms);
    }

    /// The stack for the most of `count` requests that is worth it, or was not tried often enough to know.
    pub(super) fn best(&mut self, count: usize) -> Option<Rc<T>> {
        let alone = self.of(1).usual()?;
        let worth = |known: &&Known<T>| match known.usual() {
            Some(ms) => ms < WORTH * alone,
            None => known.took.last().is_none_or(|&ms| ms < HOPELESS * alone),
        };
        let fits = self.0.iter().filter(|known| known.times <= count && known.made.is_some());
        fits.filter(worth).max_by_key(|known| known.times)?.made.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_used_as_long_as_its_requests_take_less_than_alone() {
        let mut stacks = Stacks::default();
        assert!(!stacks.begins(8, 50.0), "what one takes alone is not known");
        (0..ENOUGH).for_each(|_| stacks.took(1, 1.0));
        assert!(!stacks.begins(8, 0.9), "it is long");
        assert!(stacks.begins(8, 50.0) && !stacks.begins(8, 50.0), "it is made once");
        assert_eq!(stacks.best(16), None, "it is on its way");
        stacks.made(8, Some(Rc::new("eight")));
        assert_eq!(stacks.best(16).as_deref(), Some(&"eight"), "to see");
        assert_eq!(stacks.best(7), None);
        (0..ENOUGH).for_each(|_| stacks.took(8, 0.3));
        assert_eq!(stacks.best(8).as_deref(), Some(&"eight"));
        stacks.made(16, Some(Rc::new("sixteen")));
        assert_eq!(stacks.best(16).as_deref(), Some(&"sixteen"), "to see");
        stacks.took(16, 2.5);
        assert_eq!(stacks.best(16).as_deref(), Some(&"eight"), "one such is enough");
        (0..RECENT).for_each(|_| stacks.took(8, 1.1));
        assert_eq!(stacks.best(16), None);
    }
}
