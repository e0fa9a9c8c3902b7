//! Requests shared out over lanes that run at once. Knows what each request is forecast to take where; must never know what a lane
//! is.

use super::desk::Desk;
use super::homes::Form;
use super::plan::Plan;
use super::ready::Ready;
use super::report::StrategyPrediction;
use super::session::Session;
use crate::predict::{Span, Strategy};
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
        let gain = GAIN.max(1.0 / f64::from(self.seen + 1));
        // An outlier is not followed.
        let apart = (seen - self.log).clamp(-1.0, 1.0);
        self.log += gain * apart;
        self.doubt += gain * (apart.abs() - self.doubt);
    }

    /// The doubt of it, as the standard deviation of a logarithm.
    pub(super) fn doubt(&self) -> f64 {
        self.doubt
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

/// How many times as long as alone lanes would take that are all computing at once, since they share out threads.
pub(super) fn divided(desks: &[Rc<Desk>]) -> f64 {
    let of = |desk: &Rc<Desk>| {
        let (threads, alike) = (desk.lane.threads(), desks.iter().filter(|other| other.like(desk)).count());
        threads as f64 / (threads / alike).max(1) as f64
    };
    desks.iter().map(of).fold(1.0, f64::max)
}

/// The requests of one lane.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) desk: Rc<Desk>,
    /// What the lane is called beside others of its name.
    pub(super) place: String,
    /// The requests' places in their set.
    pub(super) requests: Vec<usize>,
}

/// A set of requests, shared out.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub(super) parts: Vec<Part>,
    /// Milliseconds until all is done, were nothing slowed by the rest.
    pub(super) ms: f64,
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
    let least = |i: usize| times[i].iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by(|&a, &b| least(b).total_cmp(&least(a)));
    let mut ends = vec![0.0f64; desks.len()];
    let mut requests: Vec<Vec<usize>> = vec![vec![]; desks.len()];
    for i in order {
        let end = |d: &usize| ends[*d] + times[i][*d].unwrap_or(f64::INFINITY);
        // Of equal ones its home: nothing is to be brought there.
        let away = |d: &usize| !Rc::ptr_eq(&desks[*d].0, &set[i].desk);
        let best = (0..desks.len())
            .filter(|&d| times[i][d].is_some())
            .min_by(|a, b| end(a).total_cmp(&end(b)).then(away(a).cmp(&away(b))))?;
        ends[best] = end(&best);
        requests[best].push(i);
    }
    let parts = desks.iter().zip(requests).filter(|(_, requests)| !requests.is_empty());
    let parts = parts.map(|((desk, place), mut requests)| {
        requests.sort_unstable();
        Part { desk: Rc::clone(desk), place: place.clone(), requests }
    });
    Some(Spread { parts: parts.collect(), ms: ends.into_iter().fold(0.0, f64::max) })
}

impl Spread {
    /// Milliseconds until all is done.
    pub(super) fn total_ms(&self, sharing: &Sharing) -> f64 {
        self.ms * self.slowed(sharing)
    }

    /// How many times as long as alone its parts take.
    fn slowed(&self, sharing: &Sharing) -> f64 {
        let desks: Vec<Rc<Desk>> = self.parts.iter().map(|part| Rc::clone(&part.desk)).collect();
        if desks.len() < 2 { 1.0 } else { divided(&desks) * sharing.factor() }
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
        let factor = self.slowed(sharing);
        let longest = plans.iter().map(|(_, plan)| &plan.forecast).max_by(|a, b| a.total_ms.total_cmp(&b.total_ms));
        let (total, own) = longest.map_or((0.0, 0.0), |f| (f.total_ms, (f.interval_ms[1] / f.total_ms).ln()));
        let predicted_ms = total * factor;
        let width = own.hypot(WIDTH * sharing.doubt).exp();
        let spans = plans.iter().flat_map(|(part, plan)| {
            plan.forecast.timeline.iter().map(|span| Span {
                place: part.place.clone(),
                start_ms: span.start_ms * factor,
                end_ms: span.end_ms * factor,
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
    use super::Sharing;

    #[test]
    fn what_lanes_take_from_each_other_is_learned_and_an_outlier_is_not_followed() {
        let mut sharing = Sharing::default();
        (0..20).for_each(|_| sharing.took(12.0, 10.0));
        assert!((sharing.factor() - 1.2).abs() < 0.01, "{}", sharing.factor());
        assert!(sharing.doubt < 0.02, "{}", sharing.doubt);
        sharing.took(1e6, 10.0);
        assert!(sharing.factor() < 1.5, "{}", sharing.factor());
        sharing.took(f64::NAN, 10.0);
        assert!(sharing.factor().is_finite());
    }
}
