//! What callers say: options of a pool, a load and a run. Plain values; must never know how they are met.

use super::tensors::{Feed, Keep};
use crate::error::Result;
use crate::lane::host::{LocalFuture, now_ms};
use crate::lane::{Output, Workers};
use crate::onnx::ExternalData;
use crate::predict::{Goal, Strategy};
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// Inputs of one call by name.
pub type Feeds = BTreeMap<String, Feed>;
/// Shapes of the inputs of one call by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;
/// Outputs of one request by name, in the model's order.
pub type Outputs = Vec<(String, Output)>;

/// Options of [`super::Pool::create`].
#[derive(Clone, Debug, Default)]
pub struct PoolOptions {
    /// Names of the lanes to open; all that this machine has where absent.
    pub lanes: Option<Vec<String>>,
    /// Most bytes that each lane may hold.
    pub memory_budget: Option<u64>,
    /// Goal of calls that name none.
    pub goal: Goal,
    /// When the pool measures what the predictor needs beyond the ceilings.
    pub measure: Measure,
    /// Where processors come from.
    pub workers: Option<Workers>,
    /// How many lanes of a name are opened at most, where there may be several; at least one.
    pub several: usize,
    /// How many calls may be unanswered at a time; one more fails with `Busy`. As many as there are where absent.
    pub max_pending: Option<usize>,
    /// Whether calls run only by what is forecast to be the best: nothing is tried that was not asked for.
    pub settled: bool,
    /// Who is told where a session runs on another lane.
    pub on_fallback: Option<Listener>,
}

/// When a pool measures what share of its ceilings each kernel class reaches; a prediction never waits for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Between calls, after the first has its result.
    #[default]
    Idle,
    /// Before the pool is there.
    Now,
    /// When a prediction asks.
    Asked,
}

/// How urgent a call is, in the words of the Prioritized Task Scheduling API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Nobody waits for it.
    Background,
    /// Somebody will see it.
    #[default]
    UserVisible,
    /// Somebody can do nothing before it.
    UserBlocking,
}

/// How a set of requests is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// The strategy; chosen by prediction where absent.
    pub strategy: Option<Strategy>,
    /// The goal of that choice; the pool's where absent.
    pub goal: Option<Goal>,
    /// Before whom it runs.
    pub priority: Priority,
    /// When its answer is to be there, by the host's clock; one that cannot be in time fails with `Deadline` at once.
    pub deadline_ms: Option<f64>,
}

impl RunOptions {
    /// By this strategy.
    pub fn by(strategy: Strategy) -> RunOptions {
        RunOptions { strategy: Some(strategy), ..RunOptions::default() }
    }

    /// With an answer in so many milliseconds, or none.
    #[must_use]
    pub fn within(self, ms: f64) -> RunOptions {
        RunOptions { deadline_ms: Some(now_ms() + ms), ..self }
    }
}

/// One call of a session.
#[derive(Clone, Debug)]
pub struct Request {
    /// Id of the session.
    pub session: u64,
    /// Its inputs.
    pub feeds: Feeds,
    /// Outputs that stay on the lane.
    pub keep: Keep,
}

impl Request {
    /// A request whose outputs are all read back.
    pub fn new(session: u64, feeds: Feeds) -> Request {
        Request { session, feeds, keep: Keep::Nothing }
    }
}

/// The bytes of a model's file, and the files that it refers to.
pub type Files = (Bytes, ExternalData);

/// From where a model's files can be had again: what a lane has lost is brought from there.
#[derive(Clone)]
pub struct Origin(Rc<dyn Fn() -> LocalFuture<Result<Files>>>);

impl Origin {
    /// What `fetch` gives each time.
    pub fn new(fetch: impl Fn() -> LocalFuture<Result<Files>> + 'static) -> Origin {
        Origin(Rc::new(fetch))
    }

    /// The files.
    pub fn fetch(&self) -> LocalFuture<Result<Files>> {
        (self.0)()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

/// A call that runs on another lane than the last of its session, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Fallback {
    /// Name of the session.
    pub session: String,
    /// The lane that it leaves.
    pub from: &'static str,
    /// The lane that it runs on.
    pub to: &'static str,
    /// What the other lane said.
    pub reason: String,
}

/// Whom a pool tells of fallbacks.
#[derive(Clone)]
pub struct Listener(Rc<dyn Fn(&Fallback)>);

impl Listener {
    /// By `tell`.
    pub fn new(tell: impl Fn(&Fallback) + 'static) -> Listener {
        Listener(Rc::new(tell))
    }

    /// Tells.
    pub fn tell(&self, fallback: &Fallback) {
        (self.0)(fallback);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// A model to load.
#[derive(Debug, Default)]
pub struct Source {
    /// Name in messages and reports.
    pub name: String,
    /// The ONNX file.
    pub bytes: Bytes,
    /// The files that it refers to.
    pub external: ExternalData,
    /// Values of free dimensions to compile for at once.
    pub free_dimensions: BTreeMap<String, usize>,
    /// Whether large weights lie on the lane as f16: half their bytes, rounded to 11 bits.
    pub halves: bool,
    /// Whether products may multiply f16, where the lane does and was found to be faster so.
    pub half_products: bool,
    /// Whether it keeps away from lanes that were measured to compute in less than float32.
    pub exact: bool,
    /// Names of the lanes that it may run on; all of the pool's where absent.
    pub lanes: Option<Vec<String>>,
    /// From where its files can be had again; without it a session stays where it was loaded.
    pub origin: Option<Origin>,
}

/// What a load is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The file read to a graph.
    Decode,
    /// Bytes of weights to the lane.
    Upload,
    /// Kernels.
    Compile,
    /// The first call may come.
    Ready,
}

/// Where a load reports how far it is: phase, done, total.
pub type LoadProgress<'a> = dyn Fn(Phase, u64, u64) + 'a;
