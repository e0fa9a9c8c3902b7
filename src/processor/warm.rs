//! Runs what models are made of before a model comes: an engine makes code fast only once it has run for a while, and the first
//! call of a model would be over by then. Knows time and examples; must never know a model.

use super::alone::alone;
use super::ceilings::Clock;
use super::engine::{Arena, Cursor, Whole, advance, feed};
use super::store::Loaded;
use super::team::Alone;
use crate::error::Result;
use crate::program::examples::{Example, warm};

/// One turn takes so many milliseconds: what is asked meanwhile waits no longer.
const TURN_MS: f64 = 3.0;
/// Turns in which each example is run again and again: an engine decides after a few milliseconds.
const TURNS: usize = 3;

/// How far it is.
#[derive(Debug, Default)]
pub struct Warming {
    turns: usize,
    current: Option<(Loaded, Arena)>,
}

impl Warming {
    /// One more turn, where there is one left: whether there was. By one thread, as what is fast for one is fast for all: the others
    /// would take the time of whoever fetches and reads the model.
    pub fn turn(&mut self, clock: Clock) -> Result<bool> {
        let examples: Vec<Example> = warm();
        let Some(example) = examples.get(self.turns / TURNS) else {
            self.current = None;
            return Ok(false);
        };
        let end = clock() + TURN_MS;
        if self.turns.is_multiple_of(TURNS) {
            let (loaded, input) = alone(example)?;
            let mut arena = Arena::default();
            feed(&loaded, &mut arena, &Alone, &[&input])?;
            self.current = Some((loaded, arena));
        }
        if let Some((loaded, arena)) = &mut self.current {
            while clock() < end {
                let (mut from, mut watch) = (Cursor::default(), Whole(|_| {}));
                advance(loaded, arena, &Alone, &mut from, &|_| String::new(), &mut watch)?;
            }
        }
        self.turns += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Goes on by a millisecond each time that somebody looks.
    fn clock() -> f64 {
        static NOW: AtomicU32 = AtomicU32::new(0);
        f64::from(NOW.fetch_add(1, Ordering::Relaxed))
    }

    #[test]
    fn every_example_is_made_and_run_and_then_it_is_over() {
        let mut warming = Warming::default();
        let mut turns = 0;
        while warming.turn(clock).unwrap() {
            turns += 1;
            assert!(warming.current.is_some());
        }
        assert_eq!(turns, warm().len() * TURNS);
        assert!(warming.current.is_none() && !warming.turn(clock).unwrap());
    }
}
