//! Which lane the next call of a session is to run on, by what its calls took on each. Knows times; must never know a lane.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

/// Measured calls of which the median counts.
const RECENT: usize = 5;
/// Measured calls before a lane is compared with another.
const ENOUGH: usize = 3;
/// Measured calls that another lane is tried for, and for how many milliseconds at least: more where they are so short, in milliseconds,
/// that what else the machine does is as long as they are, and an engine still makes them fast; and most where a lane may bring what is so
/// short nearer while it is called.
const TRIED: (usize, f64) = (2, 0.0);
const SHORT_MS: f64 = 4.0;
const TRIED_SHORT: (usize, f64) = (RECENT, 200.0);
const SHORTEST_MS: f64 = 1.0;
const TRIED_SHORTEST: (usize, f64) = (14, 400.0);
/// A lane on which short calls take at most so much of the time needs no more of them.
const CLEARLY: f64 = 0.8;
/// It is tried once more where the last such call took so much less of the time of the one before: it is not warm yet.
const WARMING: f64 = 0.8;
/// Another lane is tried where its forecast is at most so many times what calls take now: that of a lane on which little ran yet is off by
/// as much.
const WORTH: f64 = 2.0;
/// Where no call took less than so many times as long, and they are no short ones, the trial ends; and with the first that took the square
/// of it.
const HOPELESS: f64 = 2.0;
/// Another lane is taken where it takes at most so much of the time: less is noise.
const BETTER: f64 = 0.97;
/// A lane that was left is tried once more when that, and making it ready, would take so small a part of the time since; the next time after
/// twice as long. What was measured while an engine made it fast, or other work was on, is no reason for good.
const AGAIN: f64 = 32.0;
/// Sets of shapes that are remembered at most.
const MOST: usize = 64;

/// The shapes of a call's inputs.
type Shapes = Vec<Vec<usize>>;

/// What is to be done with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It runs where the last did.
    Stay,
    /// It runs on the other lane, to see.
    Try,
    /// It runs on the other lane, and so do all after it.
    Move,
}

/// What calls took, by the number of a lane's opening and their shapes.
#[derive(Debug, Default)]
pub(super) struct Routes(RefCell<BTreeMap<(u64, Shapes), Took>>);

/// What calls took on one lane: the last of them, how many there were, when the first and the last ended, and how often it was tried again.
#[derive(Debug, Default)]
struct Took {
    recent: VecDeque<f64>,
    calls: usize,
    since_ms: f64,
    until_ms: f64,
    again: i32,
}

impl Took {
    /// Whether these were enough to compare it with a lane on which calls take `usual`.
    fn tried(&self, usual: f64) -> bool {
        let (calls, ms) = match usual {
            short if short < SHORTEST_MS => TRIED_SHORTEST,
            short if short < SHORT_MS => TRIED_SHORT,
            _ => TRIED,
        };
        self.calls >= calls && self.until_ms - self.since_ms >= ms
    }

    fn warming(&self) -> bool {
        let last: Vec<f64> = self.recent.iter().rev().take(2).copied().collect();
        self.calls < RECENT && matches!(last[..], [last, before] if last < WARMING * before && before > SHORT_MS)
    }

    fn hopeless(&self, usual: f64) -> bool {
        let least = self.recent.iter().copied().fold(f64::INFINITY, f64::min);
        let most = if self.calls < 2 { HOPELESS * HOPELESS } else { HOPELESS };
        least > usual * most && least > usual + SHORT_MS
    }

    /// Whether it was left so long ago that it is to be tried again, where calls take `usual` now.
    fn due(&self, usual: f64, now_ms: f64, build_ms: f64) -> bool {
        let trial_ms = (self.until_ms - self.since_ms).min(TRIED_SHORTEST.1);
        let took = self.recent.iter().sum::<f64>().max(trial_ms);
        let patience = AGAIN * 2_f64.powi(self.again) * (build_ms + took);
        self.latest() <= usual * HOPELESS * HOPELESS && now_ms - self.until_ms > patience
    }

    /// What to do with the next call of a session that runs elsewhere, where calls take `usual`.
    fn next(&self, usual: f64) -> Next {
        match self.latest() {
            _ if self.calls == 0 || self.warming() => Next::Try,
            _ if self.hopeless(usual) => Next::Stay,
            ms if self.calls >= RECENT && ms < usual * CLEARLY => Next::Move,
            _ if !self.tried(usual) => Next::Try,
            ms if ms < usual * BETTER => Next::Move,
            _ => Next::Stay,
        }
    }

    /// The median of the last three: those before may have been cold.
    fn latest(&self) -> f64 {
        median(&self.recent.iter().rev().take(ENOUGH).copied().collect())
    }
}

fn median(times: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = times.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
}

impl Routes {
    /// Takes in that a call of `shapes` took so long on a lane, its first there not counted, and ended at `now_ms`.
    pub(super) fn took(&self, lane: u64, shapes: &Shapes, ms: f64, now_ms: f64) {
        let mut all = self.0.borrow_mut();
        if all.len() >= MOST {
            all.clear();
        }
        let took = all.entry((lane, shapes.clone())).or_default();
        if took.recent.len() == RECENT {
            took.recent.pop_front();
        }
        took.recent.push_back(ms);
        if took.calls == 0 {
            took.since_ms = now_ms;
        }
        (took.calls, took.until_ms) = (took.calls + 1, now_ms);
    }

    /// What a call takes on a lane, where enough were seen.
    pub(super) fn usual(&self, lane: u64, shapes: &Shapes) -> Option<f64> {
        self.0
            .borrow()
            .get(&(lane, shapes.clone()))
            .filter(|took| took.calls >= ENOUGH)
            .map(|took| median(&took.recent))
    }

    /// What to do with a call of `shapes`, at `now_ms`, whose session runs on the lane `now`, and could run on `other`, where it takes
    /// `build_ms` to be made ready and is forecast to take what `forecast` says.
    pub(super) fn next(
        &self,
        (now, other): (u64, u64),
        shapes: &Shapes,
        (now_ms, build_ms): (f64, f64),
        forecast: impl FnOnce() -> Option<f64>,
    ) -> Next {
        let Some(usual) = self.usual(now, shapes) else { return Next::Stay };
        let mut all = self.0.borrow_mut();
        match all.get_mut(&(other, shapes.clone())) {
            Some(took) => {
                let next = took.next(usual);
                if next != Next::Stay || !took.due(usual, now_ms, build_ms) {
                    return next;
                }
                *took = Took { again: took.again + 1, ..Took::default() };
                Next::Try
            }
            None if forecast().is_some_and(|ms| ms <= usual * WORTH) => Next::Try,
            None => Next::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs 20 calls whose time on two lanes is `of`: the lane of the last, and how often the other was tried.
    fn twenty(routes: &Routes, of: [f64; 2], forecast: f64) -> (usize, usize) {
        let (shapes, mut now, mut tried) = (vec![vec![1, 8]], 0, 0);
        for call in 0..20 {
            let other = 1 - now;
            let at =
                match routes.next((now as u64, other as u64), &shapes, (30.0 * call as f64, 0.0), || Some(forecast)) {
                    Next::Stay => now,
                    Next::Try => {
                        tried += 1;
                        other
                    }
                    Next::Move => {
                        now = other;
                        other
                    }
                };
            routes.took(at as u64, &shapes, of[at], 30.0 * call as f64);
        }
        (now, tried)
    }

    #[test]
    fn the_faster_lane_is_found_by_two_trials_where_its_forecast_lets_hope() {
        assert_eq!(twenty(&Routes::default(), [10.0, 5.0], 12.0), (1, 2));
        assert_eq!(twenty(&Routes::default(), [10.0, 11.0], 8.0), (0, 2));
        assert_eq!(twenty(&Routes::default(), [10.0, 5.0], 20.1), (0, 0), "it is not hoped for");
        assert_eq!(twenty(&Routes::default(), [10.0, 41.0], 8.0), (0, 1), "one such is enough");
        assert_eq!(twenty(&Routes::default(), [10.0, 9.9], 8.0), (0, 2), "too little to move for");
    }

    #[test]
    fn one_hiccup_of_a_short_call_is_not_what_its_lane_takes() {
        let (routes, shapes) = (Routes::default(), vec![vec![1, 8]]);
        for _ in 0..ENOUGH {
            routes.took(0, &shapes, 0.5, 0.0);
        }
        for ms in [0.3, 1.9, 0.3, 0.3, 0.3] {
            assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || Some(0.4)), Next::Try);
            routes.took(1, &shapes, ms, 0.0);
        }
        assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || None), Next::Move);
        routes.took(1, &shapes, 9.0, 0.0);
        assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || None), Next::Move, "nor is a longer one");
    }

    #[test]
    fn what_comes_nearer_while_it_is_tried_is_moved_to() {
        let (routes, shapes) = (Routes::default(), vec![vec![1, 8]]);
        (0..ENOUGH).for_each(|_| routes.took(0, &shapes, 0.5, 0.0));
        for ms in [0.6, 0.6, 0.7, 0.6, 0.6, 0.6, 0.2, 0.2] {
            assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || Some(0.6)), Next::Try);
            routes.took(1, &shapes, ms, 0.0);
        }
        assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || None), Next::Move);
        assert_eq!(twenty(&Routes::default(), [0.5, 0.6], 0.6), (0, 15), "it never does, in 400 ms");
    }

    #[test]
    fn a_first_call_that_was_cold_does_not_end_a_trial() {
        let (routes, shapes) = (Routes::default(), vec![vec![1, 8]]);
        (0..ENOUGH).for_each(|_| routes.took(0, &shapes, 7.0, 0.0));
        for ms in [15.0, 4.0, 4.0] {
            assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || Some(9.0)), Next::Try);
            routes.took(1, &shapes, ms, 0.0);
        }
        assert_eq!(routes.next((0, 1), &shapes, (0.0, 0.0), || None), Next::Move);
    }

    #[test]
    fn a_lane_that_was_left_is_tried_again_the_less_often_and_may_be_the_faster_by_then() {
        let (routes, shapes) = (Routes::default(), vec![vec![1, 8]]);
        let next = |now_ms: f64| routes.next((0, 1), &shapes, (now_ms, 100.0), || Some(15.0));
        (0..ENOUGH).for_each(|_| routes.took(0, &shapes, 10.0, 0.0));
        let tried = |now_ms: f64, ms: f64| {
            for _ in 0..2 {
                // As calls that come at once ask.
                assert_eq!([next(now_ms), next(now_ms)], [Next::Try; 2], "at {now_ms} ms");
                routes.took(1, &shapes, ms, now_ms);
            }
        };
        tried(0.0, 14.0);
        // It took 28 ms, and 100 to make it ready.
        assert_eq!((next(0.0), next(AGAIN * 128.0)), (Next::Stay, Next::Stay));
        tried(AGAIN * 128.0 + 1.0, 14.0);
        assert_eq!(next(2.5 * AGAIN * 128.0), Next::Stay, "twice as long");
        tried(4.0 * AGAIN * 128.0, 6.0);
        assert_eq!(next(4.0 * AGAIN * 128.0), Next::Move);
        // Nor does a trial begin anew that goes on.
        (0..ENOUGH).for_each(|_| routes.took(3, &shapes, 0.5, 0.0));
        for call in 0..14 {
            let now_ms = 30.0 * f64::from(call);
            assert_eq!(routes.next((3, 4), &shapes, (now_ms, 0.0), || Some(0.5)), Next::Try);
            routes.took(4, &shapes, 0.6, now_ms);
        }
        assert_eq!(routes.next((3, 4), &shapes, (420.0, 0.0), || None), Next::Try, "400 ms are not over");
        routes.took(4, &shapes, 0.6, 420.0);
        assert_eq!(routes.next((3, 4), &shapes, (450.0, 0.0), || None), Next::Stay);
        // One that took many times as long is left for good.
        routes.took(2, &shapes, 41.0, 0.0);
        assert_eq!(routes.next((0, 2), &shapes, (1e9, 0.0), || Some(10.0)), Next::Stay);
    }

    #[test]
    fn a_lane_that_slows_down_is_left_again() {
        let routes = Routes::default();
        assert_eq!(twenty(&routes, [10.0, 5.0], 5.0), (1, 2));
        let shapes = vec![vec![1, 8]];
        for _ in 0..RECENT {
            routes.took(1, &shapes, 15.0, 700.0);
        }
        assert_eq!(routes.next((1, 0), &shapes, (0.0, 0.0), || None), Next::Move);
        assert_eq!(
            routes.next((1, 0), &vec![vec![2, 8]], (0.0, 0.0), || None),
            Next::Stay,
            "of other shapes nothing is known"
        );
    }
}
