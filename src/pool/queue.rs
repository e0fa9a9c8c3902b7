//! A lane's calls that wait, in order, and which of them may share an execution. Knows jobs; must never know how one is
//! executed.

use super::homes::Ready;
use super::options::{Outputs, RunOptions};
use super::session::Session;
use crate::error::{Error, Result};
use crate::lane::{Input, Outcome, Work};
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
    pub(super) working: Cell<bool>,
}

impl Queue {
    pub(super) fn fail_all(&self, error: &Error) {
        for job in self.jobs.take() {
            // A caller that has gone does not care.
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    pub(super) fn push(&self, job: Job) {
        self.jobs.borrow_mut().push_back(job);
    }

    /// Whether no call waits or runs.
    pub(super) fn idle(&self) -> bool {
        !self.working.get()
    }

    /// The next call, with those behind it that may run along.
    pub(super) fn next(&self) -> Vec<Job> {
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
    /// Whether its requests ran before, and nothing else was under way on its lane.
    pub(super) warm: bool,
    /// Whether it had one request only, too.
    pub(super) clean: bool,
    /// When it began.
    pub(super) began_ms: f64,
    /// What it was forecast to take.
    pub(super) forecast_ms: f64,
}
