//! Plans: for a set of ready programs, what each strategy would do, take and hold, and which is best.

use super::desk::Desk;
use super::ready::Ready;
use super::report::StrategyPrediction;
use crate::error::{Error, Kind, Result};
use crate::lane::Compiled;
use crate::lane::host::now_ms;
use crate::predict::{Candidate, Choice, Conditions, Forecast, Goal, Strategy, choose};
use crate::program::{Extent, ProgramCost, Schedule, schedule};
use std::rc::Rc;

/// A submit is kept below this, so that the page keeps its turns on the device.
const SUBMIT_MS: f64 = 8.0;

/// One strategy for one set of requests.
#[derive(Debug)]
pub struct Plan {
    pub(super) schedule: Schedule,
    pub(super) forecast: Forecast,
    /// Bytes that the lane will hold.
    pub(super) bytes: u64,
}

impl Plan {
    pub(super) fn prediction(&self) -> StrategyPrediction {
        StrategyPrediction {
            strategy: self.schedule.strategy,
            predicted_ms: self.forecast.total_ms,
            interval_ms: self.forecast.interval_ms,
            predicted_throughput: self.forecast.throughput,
            predicted_bytes: self.bytes,
            timeline: self.forecast.timeline.clone(),
        }
    }
}

impl Desk {
    /// The plan of `strategy` for `set`, were nothing else at work.
    pub(super) fn plan(&self, set: &[&Ready], strategy: Strategy) -> Plan {
        self.plan_under(set, strategy, |_| self.activity.alone(now_ms()))
    }

    /// The plan of `strategy` for `set`, beside what is at work.
    pub(super) fn plan_now(&self, set: &[&Ready], strategy: Strategy) -> Plan {
        self.plan_under(set, strategy, |ms| self.activity.conditions(now_ms(), ms))
    }

    /// `conditions`: those of what takes so many milliseconds alone.
    fn plan_under(&self, set: &[&Ready], strategy: Strategy, conditions: impl Fn(f64) -> Conditions) -> Plan {
        let predictor = self.predictor.borrow();
        let programs: Vec<Rc<Compiled>> = set.iter().map(|r| Rc::clone(&r.compiled)).collect();
        let costs: Vec<&ProgramCost> = set.iter().map(|r| &r.compiled.cost).collect();
        let dispatch_ms: Vec<Vec<f64>> =
            costs.iter().map(|c| c.dispatches.iter().map(|d| predictor.dispatch_ms(d)).collect()).collect();
        let extents: Vec<Extent> = programs.iter().map(|p| p.extent).collect();
        let schedule = schedule(&extents, strategy, &dispatch_ms, SUBMIT_MS);
        let of = |conditions| predictor.forecast(&costs, strategy, schedule.submits(), conditions);
        let alone = of(self.activity.alone(now_ms()));
        let conditions = conditions(alone.total_ms);
        let forecast = if conditions.busy > 0.0 { of(conditions) } else { alone };
        let bytes = self.lane.predict_bytes(&programs, &schedule.slots);
        Plan { schedule, forecast, bytes }
    }

    /// The bytes that the lane will hold for `plan` of `set`, as it is now.
    pub(super) fn bytes(&self, set: &[&Ready], plan: &Plan) -> u64 {
        let programs: Vec<Rc<Compiled>> = set.iter().map(|r| Rc::clone(&r.compiled)).collect();
        self.lane.predict_bytes(&programs, &plan.schedule.slots)
    }

    /// The plan of every strategy of a lane.
    pub(super) fn plans(&self, set: &[&Ready]) -> Vec<Plan> {
        Strategy::OF_LANE.into_iter().map(|s| self.plan(set, s)).collect()
    }

    /// The choice among `plans` of `set`.
    pub(super) fn choice(&self, set: &[&Ready], plans: &[Plan], goal: Goal) -> Result<Choice> {
        let candidates: Vec<Candidate> = plans.iter().map(|plan| plan.prediction().candidate()).collect();
        let costs: Vec<&ProgramCost> = set.iter().map(|r| &r.compiled.cost).collect();
        let how = |p: &Plan| (p.schedule.strategy, p.schedule.submits());
        let unsure = match plans {
            [first, rest @ ..] => {
                let predictor = self.predictor.borrow();
                let doubts = rest.iter().map(|p| predictor.ratio_doubt(&costs, how(first), how(p)));
                doubts.fold(0.0, f64::max)
            }
            [] => 0.0,
        };
        // Where none fits the budget the smallest is tried: the allocator has the last word.
        choose(goal, &candidates, self.budget, unsure)
            .or_else(|| choose(Goal::Memory, &candidates, None, unsure))
            .ok_or_else(|| Error::new(Kind::Internal, "there is no strategy to choose from"))
    }
}
