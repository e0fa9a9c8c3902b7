//! What the predictor needs beyond a lane's ceilings: the share of them that each kernel class reaches there. Measured
//! once, while the lane idles or when a prediction asks. Knows when to measure; must never know how.

use super::desk::Desk;
use super::known::Known;
use super::options::Measure;
use crate::error::{Error, Kind, Result};
use crate::kernels::Class;
use crate::lane::host::{LocalFuture, now_ms, spawn, time_origin};
use crate::lane::{Moment, Pace};
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
use std::rc::Rc;

/// After so many observations they are kept for the first time, and after so many more again at the latest.
const KEPT_FIRST: usize = 8;
const KEPT_EVERY: usize = 256;
/// A class is measured again while one was so much faster than before.
const BETTER: f64 = 1.05;

/// Whether `error` may be that of one class's probe alone: the lane itself is there, and nobody wants to stop.
fn of_a_class(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unsupported | Kind::OutOfMemory | Kind::Internal)
}

/// The share of the ceilings that classes reach, as far as they were measured: their geometric mean.
fn usual(shares: &BTreeMap<Class, f64>) -> Option<f64> {
    let sum: f64 = shares.values().map(|share| share.ln()).sum();
    (!shares.is_empty()).then(|| (sum / shares.len() as f64).exp())
}

impl Desk {
    /// Goes by what was measured before.
    pub(super) fn take_in(&self, known: &Known) {
        let mut predictor = self.predictor.borrow_mut();
        known.shares.iter().for_each(|(&class, &share)| predictor.reaches(class, share));
        if let Some(usual) = usual(&known.shares) {
            let unmeasured = Class::ALL.iter().filter(|class| !known.shares.contains_key(class));
            unmeasured.for_each(|&class| predictor.reaches(class, usual));
        }
        predictor.recall(&known.learned, now_ms(), time_origin());
        self.activity.recalls(predictor.earlier().last().and_then(|last| last.terms.conditions.machine.pressure));
        self.probing.known.replace(Some(known.clone()));
        self.probing.done.set(true);
    }

    /// Measures what is not measured yet, now.
    pub(super) async fn measure_now(self: &Rc<Self>) -> Result<()> {
        self.probing.wanted.set(true);
        self.measure().await
    }

    /// Measures between calls, after the first has its result.
    pub(super) fn measure_when_idle(self: &Rc<Self>) {
        if self.measure == Measure::Idle && !self.probing.done() && !self.probing.begun.replace(true) {
            let desk = Rc::clone(self);
            // Who wants to know asks, and then meets the error.
            spawn(Box::pin(async move { desk.measure().map(drop).await }));
        }
    }

    async fn measure(self: &Rc<Self>) -> Result<()> {
        if self.probing.done() {
            return Ok(());
        }
        let shared = {
            let mut under_way = self.probing.under_way.borrow_mut();
            let desk = Rc::clone(self);
            let begin = || {
                let steps: LocalFuture<_> = Box::pin(async move { desk.steps().await });
                steps.shared()
            };
            under_way.get_or_insert_with(begin).clone()
        };
        let result = shared.await;
        // It holds the lane, and one that failed may succeed later.
        self.probing.under_way.take();
        result
    }

    async fn steps(&self) -> Result<()> {
        // The guess that it began with may be wrong.
        self.step(async || self.lane.tune().await).await?;
        self.step(async || self.lane.prepare_classes().await).await?;
        let mut shares: BTreeMap<Class, f64> = BTreeMap::new();
        for pass in 0..self.lane.passes() {
            let mut better = pass == 0;
            for class in Class::ALL {
                let share = match self.step(async || self.lane.utilisation(class).await).await {
                    Ok(Some(share)) => share,
                    Ok(None) => continue,
                    // The other classes are measured all the same; the next pool tries this one again.
                    Err(error) if of_a_class(&error) => continue,
                    Err(error) => return Err(error),
                };
                // What else the machine did meanwhile made it slower, never faster.
                let best = shares.entry(class).or_insert(share);
                better |= share > BETTER * *best;
                *best = best.max(share);
            }
            if !better {
                break;
            }
        }
        self.lane.trim();
        let (kernels, tuning) = (self.probing.kernels.clone(), self.lane.tuning());
        self.take_in(&Known::of(kernels, tuning, shares));
        self.keep();
        Ok(())
    }

    /// Keeps what is known of the lane, and what was learned there, for the next pool on it.
    pub(super) fn keep(&self) {
        if let (Some(shelf), Some(known)) = (&self.probing.shelf, &mut *self.probing.known.borrow_mut()) {
            let predictor = self.predictor.borrow();
            known.learned = predictor.learned(time_origin());
            known.refits = predictor.records().refits.as_slice().to_vec();
            shelf.keep(&self.lane.facts().fingerprint(), known);
        }
    }

    /// Keeps what was learned, the less often the more it is: nobody tells when a page ends.
    pub(super) fn keep_sometimes(&self) {
        let added = self.predictor.borrow().records().added();
        if (added.is_power_of_two() && added >= KEPT_FIRST) || added.is_multiple_of(KEPT_EVERY) {
            self.keep();
        }
    }

    /// Has the lane measure in moments in which nobody is in the way, or at once while somebody waits.
    pub(super) fn pace(&self) {
        let (activity, hurried, hurries) =
            (Rc::clone(&self.activity), Rc::clone(&self.probing), Rc::clone(&self.probing));
        let wait = move || -> LocalFuture<Moment> {
            let hurried = Rc::clone(&hurried);
            Box::pin(Rc::clone(&activity).moment(move || hurried.wanted.get()))
        };
        let pace = Pace::new(wait, move || hurries.wanted.get());
        // Where the lane takes no moments itself each step is one.
        let steps = if self.lane.paced(pace.clone()) { None } else { Some(pace) };
        self.probing.steps.replace(steps);
    }

    /// One step. A call that comes meanwhile waits for one run of what is measured, not for the step: see
    /// [`crate::lane::Lane::turn`].
    async fn step<T>(&self, what: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let pace = self.probing.steps.borrow().clone();
        let _moment = match pace {
            Some(pace) => Some(pace.moment().await),
            None => None,
        };
        self.open()?;
        what().await
    }
}
