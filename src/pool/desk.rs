//! What the pool keeps for one lane: its queue, its predictor, its measurement. Knows the lane by its interface; must
//! never know another lane.

use super::activity::Activity;
use super::builds::Pace;
use super::joints::Joints;
use super::known::{Known, Shelf};
use super::options::{Measure, PoolOptions};
use super::probing::Probing;
use super::queue::{Item, Queue};
use super::trials::Trials;
use crate::error::{Error, Kind, Result};
use crate::lane::host::now_ms;
use crate::lane::{Lane, Measured};
use crate::predict::{Forecast, Goal, Rates, Strategy};
use crate::program::ProgramCost;
use crate::refine::Predictor;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One more of what is counted, until it is dropped.
pub struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    /// One more.
    pub(super) fn new(count: &'a Cell<usize>) -> Counted<'a> {
        count.set(count.get() + 1);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Executions of lanes of one name, which share out threads: when each is expected to end.
#[derive(Debug, Default)]
pub struct AtWork {
    ends: RefCell<Vec<(u64, f64)>>,
    next: Cell<u64>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Working<'a> {
    of: &'a AtWork,
    number: u64,
    /// By how many threads are divided for it: those that will be at work for half its time at least count.
    pub(super) share: usize,
}

impl AtWork {
    /// One more, at `now`, that is expected to take `ms`.
    pub(super) fn begin(&self, now: f64, ms: f64) -> Working<'_> {
        let mut ends = self.ends.borrow_mut();
        let share = 1 + ends.iter().filter(|(_, end)| end - now >= ms / 2.0).count();
        let number = self.next.replace(self.next.get() + 1);
        ends.push((number, now + ms));
        Working { of: self, number, share }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.of.ends.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

/// One lane and all that is kept for it.
#[derive(Debug)]
pub struct Desk {
    pub(super) lane: Rc<dyn Lane>,
    pub(super) queue: Queue,
    /// How many sessions live here.
    pub(super) tenants: Rc<Cell<usize>>,
    /// Calls here of several sessions.
    pub(super) joints: Rc<Joints>,
    /// What making programs ready takes here.
    pub(super) builds: Pace,
    /// What sets of programs took here.
    pub(super) trials: Trials,
    /// Lanes of one name run on like machines: what is learned of one is known of all.
    pub(super) predictor: Rc<RefCell<Predictor>>,
    pub(super) probing: Rc<Probing>,
    /// What lanes of its name are at work on.
    pub(super) at_work: Rc<AtWork>,
    /// What is under way on all lanes of the pool.
    pub(super) activity: Rc<Activity>,
    /// Counts preparations begun and ended: an execution beside one is no clean observation.
    pub(super) preparations: Cell<u64>,
    pub(super) goal: Goal,
    pub(super) measure: Measure,
    pub(super) budget: Option<u64>,
    pub(super) settled: bool,
    pub(super) closed: Cell<bool>,
    /// How often in a row its lane was lost before it answered a call.
    pub(super) losses: Cell<u32>,
}

fn rates(measured: &Measured, threads: usize) -> Rates {
    Rates {
        flops_per_s: measured.flops_per_s,
        bytes_per_s: measured.bytes_per_s,
        dispatch_s: measured.dispatch_s,
        submit_s: measured.submit_s,
        readback_s: measured.readback_s,
        upload_bytes_per_s: measured.upload_bytes_per_s,
        readback_bytes_per_s: measured.readback_bytes_per_s,
        threads,
        utilisation: BTreeMap::new(),
    }
}

impl Desk {
    /// Measures the ceilings of `lane`, and takes what was measured of it before where that is known or `shelf` has it.
    pub(super) async fn open_lane(
        lane: Rc<dyn Lane>,
        options: &PoolOptions,
        shelf: Option<Rc<dyn Shelf>>,
        known: Option<Known>,
        activity: &Rc<Activity>,
    ) -> Result<(Desk, Option<Known>)> {
        let recalled = match (known, &shelf) {
            (Some(known), _) => Some(known),
            (None, Some(shelf)) => shelf.recall(&lane.facts().fingerprint()).await,
            (None, None) => None,
        };
        let kernels = lane.kernels()?;
        let recalled = recalled.filter(|known| known.holds(&kernels));
        let measured = lane.measure(recalled.as_ref().map(|known| known.tuning)).await?;
        let (predictor, probing) = (Predictor::new(rates(&measured, lane.threads())), Probing::new(shelf, kernels));
        let (predictor, probing) = (Rc::new(RefCell::new(predictor)), Rc::new(probing));
        Ok((Desk::new(lane, options, (predictor, probing, Rc::default()), activity), recalled))
    }

    fn new(
        lane: Rc<dyn Lane>,
        options: &PoolOptions,
        (predictor, probing, at_work): (Rc<RefCell<Predictor>>, Rc<Probing>, Rc<AtWork>),
        activity: &Rc<Activity>,
    ) -> Desk {
        Desk {
            lane,
            queue: Queue::default(),
            tenants: Rc::default(),
            joints: Rc::default(),
            builds: Pace::default(),
            trials: Trials::default(),
            predictor,
            probing,
            at_work,
            activity: Rc::clone(activity),
            preparations: Cell::new(0),
            goal: options.goal,
            measure: options.measure,
            budget: options.memory_budget,
            settled: options.settled,
            closed: Cell::new(false),
            losses: Cell::new(0),
        }
    }

    /// A desk for `lane`, which is like this one's: it is not measured again.
    pub(super) fn beside(&self, lane: Rc<dyn Lane>, options: &PoolOptions) -> Desk {
        let known = (Rc::clone(&self.predictor), Rc::clone(&self.probing), Rc::clone(&self.at_work));
        Desk::new(lane, options, known, &self.activity)
    }

    /// Takes the place of a desk whose lane was lost.
    pub(super) fn follows(&self, lost: &Desk) {
        self.losses.set(lost.losses.get() + 1);
        // It is the same machine.
        self.predictor.replace(lost.predictor.borrow().clone());
    }

    /// Whether calls of the one may be made by the other, and take as long.
    pub(super) fn like(&self, other: &Desk) -> bool {
        self.lane.name() == other.lane.name()
    }

    /// What a call of `cost` is forecast to take here, with nothing else at work.
    pub(super) fn forecast_ms(&self, cost: &ProgramCost) -> f64 {
        self.forecast(cost).total_ms
    }

    /// The same, behind what is under way.
    pub(super) fn answers_in_ms(&self, cost: &ProgramCost) -> f64 {
        self.queue.least_left(now_ms()) + self.forecast_ms(cost)
    }

    fn forecast(&self, cost: &ProgramCost) -> Forecast {
        let conditions = self.activity.alone(now_ms());
        self.predictor.borrow().forecast(&[cost], Strategy::Sequential, 1, conditions)
    }

    /// What `items` are forecast to take one after another, and what they take at least.
    pub(super) fn forecasts(&self, items: &[Item]) -> (f64, f64) {
        let each = items.iter().map(|item| self.forecast(&item.ready.compiled.cost));
        each.fold((0.0, 0.0), |(all, least), own| (all + own.total_ms, least + own.interval_ms[0]))
    }

    /// `Closed` where the pool was closed.
    pub(super) fn open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(Kind::Closed, "the pool was closed")) } else { Ok(()) }
    }

    /// Fails what waits; nothing is begun any more, and what was learned is kept.
    pub(super) fn stop(&self) {
        if self.predictor.borrow().records().added() > 0 {
            self.keep();
        }
        self.closed.set(true);
        // What is measured is not to wait for a moment any more.
        self.probing.wanted.set(true);
        self.queue.fail_all(&Error::new(Kind::Closed, "the pool was closed"));
    }
}

#[cfg(test)]
mod tests {
    use super::AtWork;

    #[test]
    fn threads_are_shared_with_what_will_be_at_work_for_half_of_the_time() {
        let all = AtWork::default();
        let short = all.begin(0.0, 1.0);
        let long = all.begin(0.5, 20.0);
        assert_eq!((short.share, long.share), (1, 1), "the short one is soon over");
        let other = all.begin(5.0, 30.0);
        assert_eq!(other.share, 2, "the long one will be there for 15.5 ms of 30");
        drop((short, long));
        assert_eq!(all.begin(6.0, 10.0).share, 2);
        drop(other);
        assert_eq!(all.begin(7.0, 10.0).share, 1);
    }
}
