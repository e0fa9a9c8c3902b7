//! Requests shared out over lanes that run at once. Knows what each request is forecast to take where; must never know what a lane
//! is.

use super::desk::Desk;
use super::homes::Form;
use super::plan::Plan;
use super::ready::Ready;
use super::report::StrategyPrediction;
use super::session::Session;
use crate::predict::{Span, Strategy, longest_first};
use std::rc::Rc;

/// Doubt of how lanes slow each other, as the standard deviation of a logarithm, before any were seen at once.
const FIRST_DOUBT: f64 = 0.3;
/// How much of what it was a run changes at least.
const GAIN: f64 = 0.2;
/// Standard deviations that hold nine tenths of a normal distribution.
const WIDTH: f64 = 1.645;

/// How much longer lanes take that run at once, learned from those that did: they share cores, caches and memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing {
    log: f64,
    doubt: f64,
    seen: u32,
}

impl Default for Sharing {
    fn default() -> Self {
        Sharing { log: 0.0, doubt: FIRST_DOUBT, seen: 0 }
    }
}

impl Sharing {
    /// Takes in that lanes took `measured_ms` at once, of which the longest was forecast to take `forecast_ms` alone.
    pub(super) fn took(&mut self, measured_ms: f64, forecast_ms: f64) {
        let seen = (measured_ms / forecast_ms).ln();
        if !seen.is_finite() {
            return;
        }
        self.seen += 1;
        let gain = self.gain();
        // An outlier is not followed.
        let apart = (seen - self.log).clamp(-1.0, 1.0);
        self.log += gain * apart;
        self.doubt += gain * (apart.abs() - self.doubt);
    }

    /// The doubt of it, as the standard deviation of a logarithm: what single runs are apart by is little doubt of their mean.
    pub(super) fn doubt(&self) -> f64 {
        let gain = self.gain();
        self.doubt * (gain / (2.0 - gain)).sqrt()
    }

    /// How much of what it was the last run changed.
    fn gain(&self) -> f64 {
        GAIN.max(1.0 / f64::from(self.seen + 1))
    }

    /// How many times as long they take.
    pub(super) fn factor(&self) -> f64 {
        self.log.exp()
    }
}

/// A request that is ready at a home of its session.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) session: Rc<Session>,
    pub(super) form: Form,
    pub(super) desk: Rc<Desk>,
    pub(super) ready: Rc<Ready>,
}

/// By how many each of `parts`, lanes with what each takes alone, divides the threads of its kind: those count that take half as long at
/// least, it among them.
pub(super) fn shares(parts: &[(Rc<Desk>, f64)]) -> Vec<usize> {
    let of = |(desk, ms): &(Rc<Desk>, f64)| {
        parts.iter().filter(|(other, theirs)| other.like(desk) && *theirs >= ms / 2.0).count().max(1)
    };
    parts.iter().map(of).collect()
}

/// When each of `parts` is done that begin at once: like lanes have the threads of one between them, and what fewer threads lose less is
/// known of programs that ran side by side.
pub(super) fn ends(parts: &[(Rc<Desk>, f64)]) -> Vec<f64> {
    let needs = |(desk, ms): &(Rc<Desk>, f64), share: usize| {
        let all = desk.lane.threads();
        let threads = (all / share).max(1);
        let by = if threads < all { desk.predictor.borrow().beside() } else { 1.0 };
        (ms * by / threads as f64, threads)
    };
    let needs: Vec<(f64, usize)> = parts.iter().zip(shares(parts)).map(|(part, share)| needs(part, share)).collect();
    let end = |((desk, _), &(own, _)): (&(Rc<Desk>, f64), &(f64, usize))| {
        let like = |at: &usize| parts[*at].0.like(desk);
        let alike: Vec<(f64, usize)> = (0..parts.len()).filter(like).map(|at| needs[at]).collect();
        end_of(own, &alike, desk.lane.threads())
    };
    parts.iter().zip(&needs).map(end).collect()
}

/// When one is done that needs `own` of each thread that it asks for, one of `alike`, each with how many of `threads` it asks for: where
/// they ask for more than there are, each has less in that measure.
fn end_of(own: f64, alike: &[(f64, usize)], threads: usize) -> f64 {
    // Those of one thread have each its own.
    if threads < 2 {
        return own;
    }
    let (mut now, mut given) = (0.0, 0.0);
    while given < own {
        let (mut asked, mut next) = (0, own);
        for (need, by) in alike.iter().filter(|(need, _)| *need > given) {
            asked += by;
            next = next.min(*need);
        }
        now += (next - given) * asked.max(threads) as f64;
        given = next;
    }
    now
}

/// The requests of one lane.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) desk: Rc<Desk>,
    /// What the lane is called beside others of its name.
    pub(super) place: String,
    /// The requests' places in their set.
    pub(super) requests: Vec<usize>,
    /// Milliseconds that it takes alone.
    ms: f64,
}

/// A set of requests, shared out.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) parts: Vec<Part>,
}

/// What one request takes at `desk`: by its program there, or by the one at its home.
fn alone_ms(placed: &Placed, desk: &Desk) -> f64 {
    let there = placed.session.home_at(desk.lane.opening()).and_then(|home| home.ready_for(&placed.form));
    desk.forecast_ms(&there.as_ref().unwrap_or(&placed.ready).compiled.cost)
}

/// Shares `set` out over `desks`, each with its name: the longest request first, each where it is done soonest; nothing where a
/// request `may` go nowhere.
pub(super) fn spread(
    set: &[Placed],
    desks: &[(Rc<Desk>, String)],
    may: &dyn Fn(&Placed, &Rc<Desk>) -> bool,
) -> Option<Spread> {
    let times: Vec<Vec<Option<f64>>> = set
        .iter()
        .map(|placed| desks.iter().map(|(desk, _)| may(placed, desk).then(|| alone_ms(placed, desk))).collect())
        .collect();
    let least: Vec<f64> = times.iter().map(|own| own.iter().flatten().copied().fold(f64::INFINITY, f64::min)).collect();
    let mut ends = vec![0.0f64; desks.len()];
    let mut requests: Vec<Vec<usize>> = vec![vec![]; desks.len()];
    for i in longest_first(&least) {
        let end = |d: &usize| ends[*d] + times[i][*d].unwrap_or(f64::INFINITY);
        // Of equal ones its home: nothing is to be brought there.
        let away = |d: &usize| !Rc::ptr_eq(&desks[*d].0, &set[i].desk);
        let best = (0..desks.len())
            .filter(|&d| times[i][d].is_some())
            .min_by(|a, b| end(a).total_cmp(&end(b)).then(away(a).cmp(&away(b))))?;
        ends[best] = end(&best);
        requests[best].push(i);
    }
    let parts = desks.iter().zip(requests).zip(ends).filter(|((_, requests), _)| !requests.is_empty());
    let parts = parts.map(|(((desk, place), mut requests), ms)| {
        requests.sort_unstable();
        Part { desk: Rc::clone(desk), place: place.clone(), requests, ms }
    });
    Some(Spread { parts: parts.collect() })
}

impl Spread {
    /// Milliseconds until all is done.
    pub(super) fn total_ms(&self, sharing: &Sharing) -> f64 {
        let parts: Vec<(Rc<Desk>, f64)> = self.parts.iter().map(|part| (Rc::clone(&part.desk), part.ms)).collect();
        let factor = if parts.len() < 2 { 1.0 } else { sharing.factor() };
        ends(&parts).into_iter().fold(0.0, f64::max) * factor
    }

    /// What it is expected to take, hold and look like.
    pub(super) fn prediction(&self, set: &[Placed], sharing: &Sharing) -> StrategyPrediction {
        let plans: Vec<(&Part, Plan)> = self
            .parts
            .iter()
            .map(|part| {
                let there = |i: &usize| {
                    let home = set[*i].session.home_at(part.desk.lane.opening());
                    home.and_then(|home| home.ready_for(&set[*i].form)).unwrap_or_else(|| Rc::clone(&set[*i].ready))
                };
                let ready: Vec<_> = part.requests.iter().map(there).collect();
                (part, part.desk.plan(&ready.iter().map(|ready| &**ready).collect::<Vec<_>>(), Strategy::Sequential))
            })
            .collect();
        let alone: Vec<(Rc<Desk>, f64)> =
            plans.iter().map(|(part, plan)| (Rc::clone(&part.desk), plan.forecast.total_ms)).collect();
        let factor = if alone.len() < 2 { 1.0 } else { sharing.factor() };
        let ends: Vec<f64> = ends(&alone).into_iter().map(|end| end * factor).collect();
        let last = plans.iter().zip(&ends).max_by(|a, b| a.1.total_cmp(b.1));
        let (predicted_ms, own) = last.map_or((0.0, 0.0), |((_, plan), end)| {
            (*end, (plan.forecast.interval_ms[1] / plan.forecast.total_ms).ln())
        });
        let width = own.hypot(WIDTH * sharing.doubt).exp();
        let spans = plans.iter().zip(&ends).flat_map(|((part, plan), end)| {
            let longer = end / plan.forecast.total_ms;
            plan.forecast.timeline.iter().map(move |span| Span {
                place: part.place.clone(),
                start_ms: span.start_ms * longer,
                end_ms: span.end_ms * longer,
                ..span.clone()
            })
        });
        StrategyPrediction {
            strategy: Strategy::Split,
            predicted_ms,
            interval_ms: [predicted_ms / width, predicted_ms * width],
            predicted_throughput: set.len() as f64 / predicted_ms * 1e3,
            predicted_bytes: plans.iter().map(|(_, plan)| plan.bytes).sum(),
            timeline: spans.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_DOUBT, Sharing, end_of};

    #[test]
    fn what_a_short_part_leaves_the_long_one_has() {
        let ends = |parts: &[(f64, usize)], threads: usize| -> Vec<f64> {
            let alike: Vec<(f64, usize)> = parts.iter().map(|(ms, by)| (ms / *by as f64, *by)).collect();
            alike.iter().map(|(own, _)| end_of(*own, &alike, threads)).collect()
        };
        // Each by one of two threads takes twice as long, and the other's thread is not had later.
        assert_eq!(ends(&[(10.0, 1), (10.0, 1)], 2), [20.0, 20.0]);
        assert_eq!(ends(&[(10.0, 1), (6.0, 1)], 2), [20.0, 12.0]);
        // A long one keeps both beside a short one that has one: nothing idles.
        assert_eq!(ends(&[(20.0, 2), (2.0, 1)], 2), [22.0, 6.0]);
        assert_eq!(ends(&[(10.0, 4)], 4), [10.0]);
        assert_eq!(ends(&[(4.0, 2), (4.0, 2), (0.0, 4)], 4), [8.0, 8.0, 0.0]);
        assert_eq!(ends(&[(3.0, 1), (3.0, 1), (3.0, 1)], 2), [9.0, 9.0, 9.0]);
        assert_eq!(ends(&[(3.0, 1), (2.0, 1)], 1), [3.0, 2.0], "those of one thread have each its own");
    }

    #[test]
    fn what_lanes_take_from_each_other_is_learned_and_an_outlier_is_not_followed() {
        let mut sharing = Sharing::default();
        (0..20).for_each(|_| sharing.took(12.0, 10.0));
        assert!((sharing.factor() - 1.2).abs() < 0.01, "{}", sharing.factor());
        assert!(sharing.doubt < 0.02, "{}", sharing.doubt);
        assert_eq!(Sharing::default().doubt(), FIRST_DOUBT, "nothing is known of it");
        sharing.took(1e6, 10.0);
        assert!(sharing.factor() < 1.5, "{}", sharing.factor());
        sharing.took(f64::NAN, 10.0);
        assert!(sharing.factor().is_finite());
    }
}
