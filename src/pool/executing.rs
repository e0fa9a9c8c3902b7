//! Calls executed on their lane: one execution at a time; calls that wait together run together, and fail apart. Knows
//! plans and outcomes; must never know why a strategy is good.

use super::batching::{Company, Member};
use super::desk::Desk;
use super::options::{Outputs, RunOptions};
use super::plan::Plan;
use super::queue::{Execution, Item, Job, Part, all_gone};
use super::ready::Ready;
use super::trials::BOUND;
use crate::error::{Error, Kind, Result};
use crate::lane::host::{next_turn, now_ms, spawn};
use crate::lane::{Outcome, Work};
use crate::predict::{Goal, Strategy};
use crate::program::ProgramCost;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::rc::Rc;

/// Queues a call and waits for it. A caller that stops waiting takes its call back.
pub(super) async fn run(desk: &Rc<Desk>, items: Vec<Item>, options: RunOptions, part: Part) -> Result<Execution> {
    let costs = desk.forecasts(&items);
    let answer = desk.queue.enter(items, options, part, costs)?;
    if !desk.queue.working.replace(true) {
        spawn(Box::pin(work(Rc::clone(desk))));
    }
    answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the pool was closed")))
}

async fn work(desk: Rc<Desk>) {
    loop {
        // Calls made in the same turn of the page are all here by then.
        next_turn().await;
        let batch = desk.queue.next();
        if batch.is_empty() {
            desk.queue.working.set(false);
            desk.measure_when_idle();
            return;
        }
        execute_batch(&desk, batch).await;
        desk.queue.ended();
    }
}

/// Whether an error is of more than one request: none of them would do better alone.
fn ends_all(error: &Error) -> bool {
    matches!(error.kind(), Kind::DeviceLost | Kind::Closed | Kind::Aborted)
}

/// Executes `jobs` at once; where all who wait for them go meanwhile, the lane is told that it may stop.
async fn execute_wanted(desk: &Rc<Desk>, jobs: &mut [Job]) -> Result<Execution> {
    let options = jobs[0].options;
    let items: Vec<Item> = jobs.iter().flat_map(|job| job.items.iter().cloned()).collect();
    let part = jobs.iter().fold(Part::default(), |all, job| all.and(job.part));
    desk.queue.unwanted.set(false);
    // In its order: what is done already is not stopped.
    let result = match select(pin!(desk.execute(&items, options, part)), pin!(all_gone(jobs))).await {
        Either::Left((result, _)) => result,
        Either::Right(((), execution)) => {
            desk.queue.unwanted.set(true);
            desk.lane.stop();
            // Until its end nothing else may run there.
            execution.await
        }
    };
    desk.queue.unwanted.set(false);
    result
}

async fn execute_batch(desk: &Rc<Desk>, mut batch: Vec<Job>) {
    match execute_wanted(desk, &mut batch).await {
        Ok(execution) => {
            let mut outputs = execution.outputs.into_iter();
            let all_ms: f64 = batch.iter().map(Job::cost_ms).sum();
            for job in batch {
                let outputs = outputs.by_ref().take(job.items.len()).collect();
                let outcome = Rc::clone(&execution.outcome);
                let share = (job.cost_ms() / all_ms).min(1.0);
                let took_ms = (execution.warm && job.items.len() == 1).then_some(outcome.total_ms * share);
                let own = Execution { outputs, outcome, took_ms, ..execution };
                let _ = job.reply.send(desk.open().map(|()| own));
            }
        }
        Err(error) if batch.len() == 1 || ends_all(&error) => {
            for job in batch {
                let _ = job.reply.send(Err(error.clone()));
            }
        }
        // One of them may be at fault: alone, each meets only its own error.
        Err(_) => {
            for mut job in batch {
                let result = execute_wanted(desk, std::slice::from_mut(&mut job)).await;
                let _ = job.reply.send(result);
            }
        }
    }
}

impl Desk {
    /// Executes `items` at once by the best plan, those of one session as one call where that is worth it, or by the strategy asked
    /// for. Must not run beside another.
    async fn execute(self: &Rc<Self>, items: &[Item], options: RunOptions, part: Part) -> Result<Execution> {
        self.open()?;
        let (mut members, company): (Vec<Member>, Option<Company>) = match options.strategy {
            None => self.batched(items),
            Some(Strategy::Batched) => (self.few(items).await, None),
            Some(_) => (Member::each(items), None),
        };
        let execution = loop {
            let together: Vec<Item> = members.iter().map(|member| member.item.clone()).collect();
            match self.execute_all(&together, options, part).await {
                Ok(execution) => break execution,
                Err(error) if together.len() == items.len() || ends_all(&error) => return Err(error),
                // Each by itself may do.
                Err(_) => members = Member::each(items),
            }
        };
        if items.len() == 1 {
            return Ok(execution);
        }
        if execution.warm && options.strategy.is_none() {
            Desk::batch_took(&members, company.as_ref(), execution.outcome.total_ms);
        }
        let mut outputs: Vec<Outputs> = vec![vec![]; items.len()];
        for (member, own) in members.iter().zip(execution.outputs) {
            if !member.apart(own, &mut outputs) {
                return Err(Error::new(Kind::Internal, "outputs of several requests could not be taken apart"));
            }
        }
        Ok(Execution { outputs, ..execution })
    }

    /// Executes `items` as they are.
    async fn execute_all(&self, items: &[Item], options: RunOptions, part: Part) -> Result<Execution> {
        let set: Vec<&Ready> = items.iter().map(|item| &*item.ready).collect();
        // What lanes take from each other that share out a set is learned of the whole.
        let plan = |strategy| if part.beside { self.plan(&set, strategy) } else { self.plan_now(&set, strategy) };
        let plan = match options.strategy {
            Some(strategy) => plan(strategy),
            None if items.len() == 1 => plan(Strategy::Sequential),
            None => {
                let mut plans: Vec<Plan> = Strategy::OF_LANE.into_iter().map(plan).collect();
                let goal = options.goal.unwrap_or(self.goal);
                let choice = self.choice(&set, &plans, goal)?;
                let strategy = self.tried(items, &plans, choice.strategy, goal);
                let at = plans.iter().position(|p| p.schedule.strategy == strategy).unwrap_or(0);
                plans.swap_remove(at)
            }
        };
        let (mut outcome, clean, began_ms) = match self.execute_plan(items, &plan, part).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let error = self.lane.cause(error).await;
                return Err(if let [only] = items { error.in_model(&only.session.name) } else { error });
            }
        };
        if clean && items.len() > 1 && !part.beside {
            let programs: Vec<&Rc<Ready>> = items.iter().map(|item| &item.ready).collect();
            self.trials.took(&programs, plan.schedule.strategy, outcome.total_ms);
        }
        let outputs = std::mem::take(&mut outcome.outputs)
            .into_iter()
            .zip(items)
            .map(|(tensors, item)| item.ready.compiled.outputs.iter().cloned().zip(tensors).collect())
            .collect();
        let (warm, forecast_ms) = (clean, plan.forecast.total_ms);
        Ok(Execution { outputs, outcome: Rc::new(outcome), warm, took_ms: None, began_ms, forecast_ms })
    }

    /// The strategy by which `items` run, `forecast` being the best of `plans`: what they took counts more, and where threads may make a
    /// difference that no forecast knows, the other is tried.
    fn tried(&self, items: &[Item], plans: &[Plan], forecast: Strategy, goal: Goal) -> Strategy {
        if self.settled || goal == Goal::Memory || self.lane.threads() < 2 {
            return forecast;
        }
        let ms = |of: &Plan| of.forecast.total_ms;
        let best = plans.iter().find(|plan| plan.schedule.strategy == forecast).map_or(0.0, ms);
        let fits = |plan: &&Plan| self.budget.is_none_or(|most| plan.bytes <= most);
        let mut rivals = plans.iter().filter(|plan| plan.schedule.strategy != forecast).filter(fits);
        let rival = rivals.find(|plan| ms(plan) <= BOUND * best).map(|plan| plan.schedule.strategy);
        let programs: Vec<&Rc<Ready>> = items.iter().map(|item| &item.ready).collect();
        self.trials.next(&programs, forecast, rival)
    }

    /// Runs `plan` and lets the predictor see what it took, where nothing was made ready meanwhile: whether that was so, and when it
    /// began.
    async fn execute_plan(&self, items: &[Item], plan: &Plan, part: Part) -> Result<(Outcome, bool, f64)> {
        let works: Vec<Work> = items.iter().map(|item| item.work.clone()).collect();
        let _turn = self.lane.turn().await;
        // Whoever waited may have gone while the lane was taken.
        if self.queue.unwanted.get() {
            return Err(Error::new(Kind::Aborted, "nobody waits for the call any more"));
        }
        // What is made ready on any lane takes from what all share.
        let quiet = || self.activity.preparing.get() == 0;
        let (before, quiet_before) = (self.preparations.get(), quiet());
        let began_ms = now_ms();
        let active = self.activity.begin(began_ms, plan.forecast.total_ms);
        let working = self.at_work.begin(began_ms, plan.forecast.total_ms);
        // Nobody sees what a hidden page does sooner.
        let share = if self.activity.yielding() { usize::MAX } else { part.share.max(working.share) };
        let outcome = self.lane.execute(&works, &plan.schedule, share).await?;
        drop(working);
        let conditions = active.conditions(now_ms());
        let exclusive = quiet_before && quiet() && self.preparations.get() == before;
        // Every program is warm from now on, also those behind one that was not.
        let cold = items.iter().filter(|item| !item.ready.warm.replace(true)).count();
        let clean = cold == 0 && exclusive && outcome.awaited;
        let clean = clean && conditions.is_some();
        let learned = conditions.filter(|conditions| clean && !(part.beside && conditions.busy > 0.0));
        if let Some(conditions) = learned {
            let costs: Vec<&ProgramCost> = items.iter().map(|item| &item.ready.compiled.cost).collect();
            let (submits, strategy) = (plan.schedule.submits(), plan.schedule.strategy);
            // What the predictor refuses as absurd is no fault of the call.
            let (forecast, took) = (&plan.forecast, outcome.total_ms);
            let seen = self.predictor.borrow_mut().observe(&costs, strategy, submits, forecast, took, conditions);
            if seen.is_ok() {
                if outcome.bytes > 0 {
                    let bytes = [plan.bytes as f64, outcome.bytes as f64];
                    self.predictor.borrow_mut().records_mut().counted(bytes);
                }
                self.keep_sometimes();
            }
        }
        Ok((outcome, clean, began_ms))
    }
}
