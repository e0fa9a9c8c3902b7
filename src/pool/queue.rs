//! A lane's calls that wait, in order, and which of them may share an execution. Knows jobs; must never know how one is
//! executed.

use super::options::{Outputs, RunOptions};
use super::order::{Account, Claim, order};
use super::ready::Ready;
use super::report::{CallState, QueuedCall};
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::lane::host::now_ms;
use crate::lane::{Input, Outcome, Work};
use futures_channel::oneshot;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Requests that one execution takes at most when calls are merged.
const MERGED: usize = 16;

/// One request, ready to run.
#[derive(Clone, Debug)]
pub struct Item {
    pub(super) session: Rc<Session>,
    pub(super) ready: Rc<Ready>,
    pub(super) work: Work,
}

impl Item {
    pub(super) fn new(session: Rc<Session>, ready: Rc<Ready>, inputs: Vec<Input>) -> Item {
        let work = Work { compiled: Rc::clone(&ready.compiled), inputs };
        Item { session, ready, work }
    }
}

/// Whether it is a part of a set that several lanes share out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Of how many parts it is one, on lanes of its name.
    pub(super) share: usize,
    /// Whether other lanes have parts, too.
    pub(super) beside: bool,
}

impl Default for Part {
    fn default() -> Part {
        Part { share: 1, beside: false }
    }
}

impl Part {
    /// Both at once.
    pub(super) fn and(self, other: Part) -> Part {
        Part { share: self.share.max(other.share), beside: self.beside || other.beside }
    }
}

/// One call that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) items: Vec<Item>,
    pub(super) options: RunOptions,
    pub(super) part: Part,
    pub(super) reply: oneshot::Sender<Result<Execution>>,
    since_ms: f64,
    claim: Claim,
}

impl Job {
    /// Whether it may share an execution with others: a call that asks for a strategy gets exactly that.
    fn merges(&self) -> bool {
        self.options.strategy.is_none()
    }

    /// What it was forecast to take when it came.
    pub(super) fn cost_ms(&self) -> f64 {
        self.claim.cost_ms
    }

    fn sessions(&self) -> impl Iterator<Item = u64> + Clone {
        self.items.iter().map(|item| item.session.id)
    }

    /// It as it is told, wherever it is.
    fn report(&self, state: CallState) -> QueuedCall {
        QueuedCall {
            sessions: self.items.iter().map(|item| item.session.name.clone()).collect(),
            lane: "",
            state,
            priority: self.claim.priority,
            waited_ms: 0.0,
            predicted_ms: self.claim.cost_ms,
            predicted_start_ms: 0.0,
            deadline_ms: None,
        }
    }

    /// The error of one that cannot be in time, which may begin at `from` at the soonest.
    fn too_late(&self, now: f64, from: f64) -> Error {
        let (before, own) = (from - now, self.claim.least_ms);
        let left = self.claim.deadline_ms.unwrap_or(now) - now;
        let text =
            format!("{left:.1} ms are left, its run takes {own:.1} ms at least, what is under way {before:.1} ms");
        let error = Error::new(Kind::Deadline, format!("the call cannot be in time: {text}"));
        if let [only] = &self.items[..] { error.in_model(&only.session.name) } else { error }
    }
}

/// Resolves once nobody waits for the answer to any of `jobs`.
pub(super) async fn all_gone(jobs: &mut [Job]) {
    poll_fn(|cx| {
        // Each is asked, so that each wakes this.
        let waits = jobs.iter_mut().fold(false, |waits, job| job.reply.poll_canceled(cx).is_pending() | waits);
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// A call with where and when it is.
fn at(
    call: QueuedCall,
    lane: &'static str,
    waited_ms: f64,
    deadline_ms: Option<f64>,
    predicted_start_ms: f64,
) -> QueuedCall {
    QueuedCall { lane, waited_ms, deadline_ms, predicted_start_ms, ..call }
}

/// A call that a lane is at work on.
#[derive(Debug)]
struct Running {
    report: QueuedCall,
    since_ms: f64,
    deadline_ms: Option<f64>,
    least_ms: f64,
}

/// Calls that wait, and whether someone is working on them.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: RefCell<Vec<Job>>,
    account: Account,
    /// The calls of the execution under way, and when it began.
    running: RefCell<(f64, Vec<Running>)>,
    pub(super) working: Cell<bool>,
    /// Whether nobody waits any more for the answer to what is under way.
    pub(super) unwanted: Cell<bool>,
}

impl Queue {
    pub(super) fn fail_all(&self, error: &Error) {
        for job in self.jobs.take() {
            // A caller that has gone does not care.
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    /// Takes in a call that is forecast to take `cost_ms`, and `least_ms` at least; its answer comes through what is returned. `Deadline`
    /// where that cannot be in time.
    pub(super) fn enter(
        &self,
        items: Vec<Item>,
        options: RunOptions,
        part: Part,
        (cost_ms, least_ms): (f64, f64),
    ) -> Result<oneshot::Receiver<Result<Execution>>> {
        let ((reply, answer), now) = (oneshot::channel(), now_ms());
        let (priority, deadline_ms) = (options.priority, options.deadline_ms);
        let claim = Claim { priority, cost_ms, least_ms, deadline_ms, start: 0.0 };
        let mut job = Job { items, options, part, reply, since_ms: now, claim };
        let from = now + self.least_left(now);
        if job.claim.hopeless(from) {
            return Err(job.too_late(now, from));
        }
        job.claim.start = self.account.enter(job.sessions(), cost_ms);
        self.jobs.borrow_mut().push(job);
        Ok(answer)
    }

    /// How long what is under way takes still, at least.
    pub(super) fn least_left(&self, now: f64) -> f64 {
        let (began, running) = &*self.running.borrow();
        let least = running.iter().map(|running| running.least_ms).fold(0.0, f64::max);
        (began + least - now).max(0.0)
    }

    /// Whether no call waits or runs.
    pub(super) fn idle(&self) -> bool {
        !self.working.get()
    }

    /// Whether calls come together that nobody is at work on yet.
    pub(super) fn gathers(&self) -> bool {
        self.running.borrow().1.is_empty()
    }

    /// The next call, with those behind it that may run along. Those that cannot be in time any more are told so.
    pub(super) fn next(&self) -> Vec<Job> {
        let (mut jobs, now) = (self.jobs.borrow_mut(), now_ms());
        // An aborted call has dropped its end.
        jobs.retain(|job| !job.reply.is_canceled());
        let all = std::mem::take(&mut *jobs).into_iter();
        let (late, left): (Vec<Job>, Vec<Job>) = all.partition(|job| job.claim.hopeless(now));
        *jobs = left;
        for job in late {
            let error = job.too_late(now, now);
            let _ = job.reply.send(Err(error));
        }
        let claims: Vec<Claim> = jobs.iter().map(|job| job.claim.clone()).collect();
        let mut chosen: Vec<usize> = vec![];
        let (mut requests, mut ends, mut deadline) = (0, now, f64::INFINITY);
        for i in order(&claims, now) {
            let job = &jobs[i];
            let (with, own) = (ends + job.claim.cost_ms, job.claim.deadline_ms.unwrap_or(f64::INFINITY));
            let fits = chosen.first().is_none_or(|&first| {
                let first = &jobs[first];
                first.merges()
                    && job.merges()
                    && first.options.goal == job.options.goal
                    && first.options.priority == job.options.priority
                    && requests + job.items.len() <= MERGED
                    // One that is in time alone need not be late for company.
                    && (with <= deadline || ends > deadline)
            });
            if !fits {
                break;
            }
            requests += job.items.len();
            (ends, deadline) = (with, deadline.min(own));
            chosen.push(i);
        }
        let mut all: Vec<Option<Job>> = std::mem::take(&mut *jobs).into_iter().map(Some).collect();
        let batch: Vec<Job> = chosen.into_iter().filter_map(|i| all[i].take()).collect();
        *jobs = all.into_iter().flatten().collect();
        batch.iter().for_each(|job| self.account.reached(job.claim.start));
        let running = batch.iter().map(|job| Running {
            report: job.report(CallState::Running),
            since_ms: job.since_ms,
            deadline_ms: job.claim.deadline_ms,
            least_ms: job.claim.least_ms,
        });
        self.running.replace((now, running.collect()));
        batch
    }

    /// What was under way has its answers.
    pub(super) fn ended(&self) {
        self.running.borrow_mut().1.clear();
    }

    /// The calls under way and those that wait, in the order in which they are to run.
    pub(super) fn report(&self, lane: &'static str) -> Vec<QueuedCall> {
        let now = now_ms();
        let (began, running) = &*self.running.borrow();
        let done = |running: &Running| {
            let call = &running.report;
            at(call.clone(), lane, now - running.since_ms, running.deadline_ms.map(|at| at - now), began - now)
        };
        let mut calls: Vec<QueuedCall> = running.iter().map(done).collect();
        let left = running.iter().map(|running| running.report.predicted_ms).sum::<f64>() + began - now;
        let jobs = self.jobs.borrow();
        let claims: Vec<Claim> = jobs.iter().map(|job| job.claim.clone()).collect();
        let mut begins = left.max(0.0);
        for job in order(&claims, now).into_iter().map(|i| &jobs[i]).filter(|job| !job.reply.is_canceled()) {
            let call = job.report(CallState::Waiting);
            let deadline = job.claim.deadline_ms.map(|at| at - now);
            calls.push(at(call, lane, now - job.since_ms, deadline, begins));
            begins += job.claim.cost_ms;
        }
        calls
    }
}

/// What one execution did for one call.
#[derive(Debug)]
pub struct Execution {
    /// Outputs of the call's requests.
    pub(super) outputs: Vec<Outputs>,
    /// What the whole execution took, its outputs taken out.
    pub(super) outcome: Rc<Outcome>,
    /// Whether its requests ran before, and nothing else was under way on its lane.
    pub(super) warm: bool,
    /// What the call's one request took of that, where it was so: of several by what each was forecast to take.
    pub(super) took_ms: Option<f64>,
    /// When it began.
    pub(super) began_ms: f64,
    /// What it was forecast to take.
    pub(super) forecast_ms: f64,
}
