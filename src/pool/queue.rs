//! The request queue: one execution at a time; calls that wait together run together, and fail apart.
//! Knows jobs and their outcomes; must never know why a strategy is good.

use super::plan::Plan;
use super::session::{Ready, Session};
use super::tensors::Feed;
use super::{Inner, Outputs, RunOptions};
use crate::error::{Error, Kind, Result};
use crate::lane::gpu::{Input, Outcome, Work};
use crate::lane::host::{next_turn, spawn};
use crate::predict::Strategy;
use crate::program::ProgramCost;
use futures_channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Requests that one execution takes at most when calls are merged.
const MERGED: usize = 16;

/// One request, ready to run.
#[derive(Clone, Debug)]
pub struct Item {
    pub(super) session: Rc<Session>,
    pub(super) ready: Rc<Ready>,
    work: Work,
}

impl Item {
    pub(super) fn new(session: Rc<Session>, ready: Rc<Ready>, inputs: &[Feed]) -> Result<Item> {
        let input = |feed: &Feed| match feed {
            Feed::Host(tensor) => Ok(Input::Words(Rc::from(tensor.to_device_words()?))),
            Feed::Resident(tensor) => Ok(Input::Resident(Rc::clone(tensor))),
        };
        let inputs = inputs.iter().map(input).collect::<Result<_>>().map_err(|e| e.in_model(&session.name))?;
        let work = Work { prepared: Rc::clone(&ready.prepared), inputs };
        Ok(Item { session, ready, work })
    }
}

/// One call that waits.
#[derive(Debug)]
struct Job {
    items: Vec<Item>,
    options: RunOptions,
    reply: oneshot::Sender<Result<Execution>>,
}

impl Job {
    /// Whether it may share an execution with others: a call that asks for a strategy gets exactly that.
    fn merges(&self) -> bool {
        self.options.strategy.is_none()
    }
}

/// Calls that wait, and whether someone is working on them.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: RefCell<VecDeque<Job>>,
    working: Cell<bool>,
}

impl Queue {
    pub(super) fn fail_all(&self, error: &Error) {
        for job in self.jobs.take() {
            // A caller that has gone does not care.
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    /// Whether no call waits or runs.
    pub(super) fn idle(&self) -> bool {
        !self.working.get()
    }

    /// The next call, with those behind it that may run along.
    fn next(&self) -> Vec<Job> {
        let mut jobs = self.jobs.borrow_mut();
        // An aborted call has dropped its end.
        jobs.retain(|job| !job.reply.is_canceled());
        let mut batch: Vec<Job> = vec![];
        let mut requests = 0;
        while let Some(job) = jobs.pop_front() {
            let fits = batch.is_empty()
                || (batch[0].merges()
                    && job.merges()
                    && batch[0].options.goal == job.options.goal
                    && requests + job.items.len() <= MERGED);
            if !fits {
                jobs.push_front(job);
                break;
            }
            requests += job.items.len();
            batch.push(job);
        }
        batch
    }
}

/// What one execution did for one call.
#[derive(Debug)]
pub struct Execution {
    /// Outputs of the call's requests.
    pub(super) outputs: Vec<Outputs>,
    /// What the whole execution took, its outputs taken out.
    pub(super) outcome: Rc<Outcome>,
}

/// Queues a call and waits for it. A caller that stops waiting takes its call back.
pub async fn run(inner: &Rc<Inner>, items: Vec<Item>, options: RunOptions) -> Result<Execution> {
    let (reply, answer) = oneshot::channel();
    inner.queue.jobs.borrow_mut().push_back(Job { items, options, reply });
    if !inner.queue.working.replace(true) {
        spawn(Box::pin(work(Rc::clone(inner))));
    }
    answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Closed, "the pool was closed")))
}

async fn work(inner: Rc<Inner>) {
    loop {
        // Calls made in the same turn of the page are all here by then.
        next_turn().await;
        let batch = inner.queue.next();
        if batch.is_empty() {
            inner.queue.working.set(false);
            inner.measure_when_idle();
            return;
        }
        execute_batch(&inner, batch).await;
    }
}

async fn execute_batch(inner: &Inner, batch: Vec<Job>) {
    let options = batch[0].options;
    let items: Vec<Item> = batch.iter().flat_map(|job| job.items.iter().cloned()).collect();
    let result = inner.execute(&items, options).await;
    match result {
        Ok(execution) => {
            let mut outputs = execution.outputs.into_iter();
            for job in batch {
                let outputs = outputs.by_ref().take(job.items.len()).collect();
                let own = Execution { outputs, outcome: Rc::clone(&execution.outcome) };
                let _ = job.reply.send(inner.open().map(|()| own));
            }
        }
        Err(error) if batch.len() == 1 || matches!(error.kind(), Kind::DeviceLost | Kind::Closed) => {
            for job in batch {
                let _ = job.reply.send(Err(error.clone()));
            }
        }
        // One of them may be at fault: alone, each meets only its own error.
        Err(_) => {
            for job in batch {
                let result = inner.execute(&job.items, job.options).await;
                let _ = job.reply.send(result);
            }
        }
    }
}

impl Inner {
    fn open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(Kind::Closed, "the pool was closed")) } else { Ok(()) }
    }

    /// Executes `items` at once by the best plan, or by the strategy asked for. Must not run beside another.
    pub(super) async fn execute(&self, items: &[Item], options: RunOptions) -> Result<Execution> {
        self.open()?;
        let set: Vec<&Ready> = items.iter().map(|item| &*item.ready).collect();
        let plan = match options.strategy {
            Some(strategy) => self.plan(&set, strategy),
            None if items.len() == 1 => self.plan(&set, Strategy::Sequential),
            None => {
                let (mut plans, choice) = self.plans(&set, options.goal.unwrap_or(self.goal))?;
                let at = plans.iter().position(|p| p.schedule.strategy == choice.strategy).unwrap_or(0);
                plans.swap_remove(at)
            }
        };
        let mut outcome = match self.execute_plan(items, &plan).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let error = self.lane.cause(error).await;
                return Err(if let [only] = items { error.in_model(&only.session.name) } else { error });
            }
        };
        let outputs = std::mem::take(&mut outcome.outputs)
            .into_iter()
            .zip(items)
            .map(|(tensors, item)| item.ready.output_names.iter().cloned().zip(tensors).collect())
            .collect();
        Ok(Execution { outputs, outcome: Rc::new(outcome) })
    }

    /// Runs `plan` and lets the predictor see what it took, where nothing else was under way.
    async fn execute_plan(&self, items: &[Item], plan: &Plan) -> Result<Outcome> {
        let works: Vec<Work> = items.iter().map(|item| item.work.clone()).collect();
        let _turn = self.lane.turn().await;
        let (before, quiet) = (self.preparations.get(), self.preparing.get() == 0);
        let pending = self.lane.submit(&works, &plan.schedule).await?;
        let outcome = self.lane.finish(pending).await?;
        let exclusive = quiet && self.preparations.get() == before;
        // Every program is warm from now on, also those behind one that was not.
        let cold = items.iter().filter(|item| !item.ready.prepared.warm.replace(true)).count();
        if cold == 0 && exclusive && outcome.awaited && self.probing.done() {
            let costs: Vec<&ProgramCost> = items.iter().map(|item| &*item.ready.cost).collect();
            let (submits, strategy) = (plan.schedule.submits(), plan.schedule.strategy);
            // What the predictor refuses as absurd is no fault of the call.
            let _ = self.predictor.borrow_mut().observe(&costs, strategy, submits, &plan.forecast, outcome.total_ms);
        }
        Ok(outcome)
    }
}
