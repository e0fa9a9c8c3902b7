//! Which lane the next call of a session is to run on, by what its calls took on each. Knows times; must never know a lane.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

/// Measured calls of which the median counts.
const RECENT: usize = 5;
/// Measured calls before a lane is compared with another, and with how many of that each of its calls is: those nearest in time.
const ENOUGH: usize = 3;
/// Measured calls that are remembered of a lane; so many decide, whatever they say.
const REMEMBERED: usize = 8;
/// Measured calls that another lane is tried for, and for how many milliseconds at least: more where they are so short, in milliseconds,
/// that what else the machine does is as long as they are, and an engine still makes them fast; and most where a lane may bring what is so
/// short nearer while it is called.
const TRIED: (usize, f64) = (2, 0.0);
const SHORT_MS: f64 = 4.0;
const TRIED_SHORT: (usize, f64) = (RECENT, 200.0);
const SHORTEST_MS: f64 = 1.0;
const TRIED_SHORTEST: (usize, f64) = (12, 400.0);
/// After so many calls in a row on the lane that is tried one runs at home, for both to meet the same machine; and the more where what is
/// short comes nearer only while it is called.
const IN_A_ROW: usize = 1;
const IN_A_ROW_SHORTEST: usize = 4;
/// Where calls on one of two lanes take at most so much of the time of the other's, few of them tell; and one that was left is tried again
/// where it took so much less than calls take now.
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
    /// It runs where the last did, and nothing of it is to be on the other lane.
    Stay,
    /// It runs where the last did, beside those that try the other lane.
    Beside,
    /// It runs on the other lane, to see.
    Try,
    /// It runs on the other lane, and so do all after it.
    Move,
}

/// What calls took, by the number of a lane's opening and their shapes.
#[derive(Debug, Default)]
pub(super) struct Routes(RefCell<BTreeMap<(u64, Shapes), Took>>);

/// A measured call.
#[derive(Clone, Copy, Debug)]
struct Call {
    ms: f64,
    until_ms: f64,
}

/// What calls took on one lane: the last of them, how many there were, when the first and the last ended, how often it was tried again,
/// and how many calls there were elsewhere when it was found to be no better, if it was.
#[derive(Clone, Debug, Default)]
struct Took {
    recent: VecDeque<Call>,
    calls: usize,
    since_ms: f64,
    until_ms: f64,
    again: i32,
    left: Option<usize>,
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
        let last: Vec<f64> = self.last(2).collect();
        self.calls < RECENT && matches!(last[..], [last, before] if last < WARMING * before && before > SHORT_MS)
    }

    fn hopeless(&self, usual: f64) -> bool {
        let least = self.last(REMEMBERED).fold(f64::INFINITY, f64::min);
        let most = if self.calls < 2 { HOPELESS * HOPELESS } else { HOPELESS };
        least > usual * most && least > usual + SHORT_MS
    }

    /// Whether it was left so long ago that it is to be tried again beside `now`: after many calls, or sooner where those became slower
    /// than what was measured here.
    fn due(&self, now: &Took, now_ms: f64, build_ms: f64) -> bool {
        let (usual, latest) = (now.usual(), median(self.last(ENOUGH)));
        let since = now.calls.saturating_sub(self.left.unwrap_or(0));
        if latest < CLEARLY * usual && since >= RECENT << self.again.clamp(0, 16) {
            return true;
        }
        let trial_ms = (self.until_ms - self.since_ms).min(TRIED_SHORTEST.1);
        let took = self.last(REMEMBERED).sum::<f64>().max(trial_ms);
        let patience = AGAIN * 2_f64.powi(self.again) * (build_ms + took);
        latest <= usual * HOPELESS * HOPELESS && now_ms - self.until_ms > patience
    }

    /// The last calls, the latest first.
    fn last(&self, most: usize) -> impl Iterator<Item = f64> + '_ {
        self.recent.iter().rev().take(most).map(|call| call.ms)
    }

    fn usual(&self) -> f64 {
        median(self.last(RECENT))
    }

    /// What calls took about the time when one ended: the median of those next to it.
    fn about(&self, until_ms: f64) -> f64 {
        let mut near: Vec<Call> = self.recent.iter().rev().copied().collect();
        near.sort_by(|a, b| (a.until_ms - until_ms).abs().total_cmp(&(b.until_ms - until_ms).abs()));
        median(near.iter().take(ENOUGH).map(|call| call.ms))
    }

    /// How many times as long as on `now` the last calls took, each beside those next to it in time.
    fn ratios(&self, now: &Took) -> Vec<f64> {
        self.recent.iter().map(|call| call.ms / now.about(call.until_ms)).collect()
    }

    /// What to do with the next call of a session that runs on `now`.
    fn next(&self, now: &Took) -> Next {
        let usual = now.usual();
        let in_a_row = if usual < SHORTEST_MS { IN_A_ROW_SHORTEST } else { IN_A_ROW };
        let run = self.recent.iter().filter(|call| call.until_ms > now.until_ms).count();
        let go_on = if run >= in_a_row { Next::Beside } else { Next::Try };
        if self.calls == 0 || self.warming() {
            return go_on;
        }
        if self.hopeless(usual) {
            return Next::Stay;
        }
        let ratios = self.ratios(now);
        if self.calls >= RECENT && median(ratios.iter().rev().take(ENOUGH).copied()) < CLEARLY {
            return Next::Move;
        }
        if !self.tried(usual) {
            return go_on;
        }
        let better = ratios.iter().filter(|&&ratio| ratio < BETTER).count();
        let (more, fewer) = (better.max(ratios.len() - better), better.min(ratios.len() - better));
        let median = median(ratios.iter().copied());
        let clear = !(CLEARLY..=1.0 / CLEARLY).contains(&median);
        // All of a few say the same clearly, or nearly all of many do, or there were enough of them.
        let agreed = match fewer {
            0 => clear || more >= ENOUGH,
            1 => more >= RECENT - 1,
            _ => false,
        };
        match (agreed || ratios.len() >= REMEMBERED, median < BETTER) {
            (false, _) => go_on,
            (true, true) => Next::Move,
            (true, false) => Next::Stay,
        }
    }
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = times.collect();
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
        if took.recent.len() == REMEMBERED {
            took.recent.pop_front();
        }
        took.recent.push_back(Call { ms, until_ms: now_ms });
        if took.calls == 0 {
            took.since_ms = now_ms;
        }
        (took.calls, took.until_ms) = (took.calls + 1, now_ms);
    }

    /// What a call takes on a lane, where enough were seen.
    pub(super) fn usual(&self, lane: u64, shapes: &Shapes) -> Option<f64> {
        self.0.borrow().get(&(lane, shapes.clone())).filter(|took| took.calls >= ENOUGH).map(Took::usual)
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
        let mut all = self.0.borrow_mut();
        let Some(home) = all.get(&(now, shapes.clone())).filter(|took| took.calls >= ENOUGH).cloned() else {
            return Next::Stay;
        };
        let Some(took) = all.get_mut(&(other, shapes.clone())) else {
            return if forecast().is_some_and(|ms| ms <= home.usual() * WORTH) { Next::Try } else { Next::Stay };
        };
        if took.left.is_some() {
            if !took.due(&home, now_ms, build_ms) {
                return Next::Stay;
            }
            *took = Took { again: took.again + 1, ..Took::default() };
        }
        let next = took.next(&home);
        match next {
            Next::Stay => took.left = Some(home.calls),
            Next::Move => {
                let there = took.calls;
                // What is left is what calls came from.
                if let Some(home) = all.get_mut(&(now, shapes.clone())) {
                    home.left = Some(there);
                }
            }
            Next::Try | Next::Beside => {}
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs 20 calls whose time on two lanes is `of`, by the number of the call: the lane of the last, and how often the other was tried.
    fn calls(routes: &Routes, mut of: impl FnMut(usize, usize) -> f64, forecast: f64) -> (usize, usize) {
        let (shapes, mut now, mut tried) = (vec![vec![1, 8]], 0, 0);
        for call in 0..20 {
            let other = 1 - now;
            let now_ms = 30.0 * call as f64;
            let at = match routes.next((now as u64, other as u64), &shapes, (now_ms, 0.0), || Some(forecast)) {
                Next::Stay | Next::Beside => now,
                Next::Try => {
                    tried += 1;
                    other
                }
                Next::Move => {
                    now = other;
                    other
                }
            };
            routes.took(at as u64, &shapes, of(at, call), now_ms);
        }
        (now, tried)
    }

    fn twenty(routes: &Routes, of: [f64; 2], forecast: f64) -> (usize, usize) {
        calls(routes, |lane, _| of[lane], forecast)
    }

    #[test]
    fn the_faster_lane_is_found_by_few_trials_where_its_forecast_lets_hope() {
        assert_eq!(twenty(&Routes::default(), [10.0, 5.0], 12.0), (1, 2));
        assert_eq!(twenty(&Routes::default(), [10.0, 11.0], 8.0), (0, 3));
        assert_eq!(twenty(&Routes::default(), [10.0, 5.0], 20.1), (0, 0), "it is not hoped for");
        assert_eq!(twenty(&Routes::default(), [10.0, 41.0], 8.0), (0, 1), "one such is enough");
        assert_eq!(twenty(&Routes::default(), [10.0, 9.9], 8.0), (0, 3), "too little to move for");
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
    }

    #[test]
    fn the_faster_lane_is_found_on_a_machine_that_does_other_work_too() {
        let mut seed = 1u64;
        let mut uniform = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        for (faster, most) in [(0.8, 0.14), (0.6, 0.01), (1.25, 0.1), (1.7, 0.005)] {
            let mut wrong = 0;
            for _ in 0..1000 {
                let (start, speed) = (uniform(), uniform());
                let times = |lane: usize, call: usize| {
                    // The sum of four is about normal: calls vary by a quarter, and the machine by as much, slowly.
                    let noise = (0..4).map(|_| uniform() - 0.5).sum::<f64>() / (4.0_f64 / 12.0).sqrt();
                    let drift = (std::f64::consts::TAU * (start + speed * call as f64 / 10.0)).sin();
                    10.0 * [1.0, faster][lane] * (0.25 * noise + 0.25 * drift).exp()
                };
                let (lane, _) = calls(&Routes::default(), times, 10.0);
                wrong += usize::from((lane == 1) != (faster < 1.0));
            }
            assert!(f64::from(wrong as u32) <= most * 1000.0, "{faster}: {wrong} of 1000");
        }
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
        assert_eq!(twenty(&Routes::default(), [0.5, 0.6], 0.6), (0, 13), "it never does, in 400 ms");
    }

    #[test]
    fn a_first_call_that_was_cold_does_not_end_a_trial() {
        let (routes, shapes) = (Routes::default(), vec![vec![1, 8]]);
        (0..ENOUGH).for_each(|_| routes.took(0, &shapes, 7.0, 0.0));
        for ms in [15.0, 4.0, 4.0, 4.0, 4.0] {
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
                routes.took(0, &shapes, 10.0, now_ms);
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
        (0..ENOUGH).for_each(|_| routes.took(3, &shapes, 0.5, -1.0));
        for call in 0..15 {
            let now_ms = 30.0 * f64::from(call);
            let beside = call % 5 == 4;
            let next = if beside { Next::Beside } else { Next::Try };
            assert_eq!(routes.next((3, 4), &shapes, (now_ms, 0.0), || Some(0.5)), next, "call {call}");
            routes.took(if beside { 3 } else { 4 }, &shapes, if beside { 0.5 } else { 0.6 }, now_ms);
        }
        assert_eq!(routes.next((3, 4), &shapes, (450.0, 0.0), || None), Next::Try, "400 ms are not over");
        routes.took(4, &shapes, 0.6, 450.0);
        assert_eq!(routes.next((3, 4), &shapes, (480.0, 0.0), || None), Next::Stay);
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
        for _ in 0..2 {
            assert_eq!(routes.next((1, 0), &shapes, (700.0, 0.0), || None), Next::Try);
            routes.took(0, &shapes, 10.0, 700.0);
        }
        assert_eq!(routes.next((1, 0), &shapes, (700.0, 0.0), || None), Next::Move);
        assert_eq!(
            routes.next((1, 0), &vec![vec![2, 8]], (0.0, 0.0), || None),
            Next::Stay,
            "of other shapes nothing is known"
        );
    }
}
