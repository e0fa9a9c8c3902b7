//! Sessions, the request queue, plans and their comparison with what happened: where prediction and lanes meet.
//! Knows lanes, programs and the predictor; must never know JS values or how a file is fetched.

mod compare;
mod known;
mod plan;
mod probing;
mod queue;
mod report;
mod session;
mod tensors;

pub use crate::lane::gpu::{Output, Resident, TrafficCounts};
pub use known::{Known, Recalled, Shelf};
pub use report::{Capabilities, Comparison, MemoryMap, MemoryReport, Prediction, Profile, WebGpuFacts};
pub use session::{Feeds, LoadProgress, Phase, Session, Shapes, ValueInfo};
pub use tensors::{Feed, Keep};

use crate::error::{Error, Kind, Result};
use crate::lane::gpu::{Gpu, GpuLane, probe};
use crate::onnx::ExternalData;
use crate::predict::{Goal, Rates, Strategy};
use crate::refine::{Accuracy, Predictor};
use prost::bytes::Bytes;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Outputs of one request by name, in the model's order.
pub type Outputs = Vec<(String, Output)>;

/// Options of [`Pool::create`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolOptions {
    /// Most bytes that the pool may hold on the GPU.
    pub memory_budget: Option<u64>,
    /// Goal of calls that name none.
    pub goal: Goal,
    /// When the pool measures what the predictor needs beyond the ceilings.
    pub measure: Measure,
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

/// How a set of requests is to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// The strategy; chosen by prediction where absent.
    pub strategy: Option<Strategy>,
    /// The goal of that choice; the pool's where absent.
    pub goal: Option<Goal>,
}

/// One call of a session.
#[derive(Clone, Debug)]
pub struct Request {
    /// Id of the session.
    pub session: u64,
    /// Its inputs.
    pub feeds: Feeds,
    /// Outputs that stay on the device.
    pub keep: Keep,
}

impl Request {
    /// A request whose outputs are all read back.
    pub fn new(session: u64, feeds: Feeds) -> Request {
        Request { session, feeds, keep: Keep::Nothing }
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
    /// Whether large weights lie on the device as f16: half their bytes, rounded to 11 bits.
    pub halves: bool,
    /// Whether products may multiply f16, where the device does and was found to be faster so.
    pub half_products: bool,
}

/// A shared pool of GPU memory with the sessions that live on it.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lane: GpuLane,
    ceilings: probe::Measured,
    probing: probing::Probing,
    predictor: RefCell<Predictor>,
    sessions: RefCell<BTreeMap<u64, Rc<Session>>>,
    tensors: tensors::Tensors,
    next_session: Cell<u64>,
    queue: queue::Queue,
    /// Counts preparations begun and ended: an execution beside one is no clean observation.
    preparations: Cell<u64>,
    preparing: Cell<u64>,
    goal: Goal,
    measure: Measure,
    budget: Option<u64>,
    closed: Cell<bool>,
}

impl Pool {
    /// Opens the lanes of this machine and measures their ceilings. `NoWebGpu` where there is no adapter. What else was
    /// measured of the adapter is taken from `shelf` where it is there, and kept there where it is not.
    pub async fn create(options: PoolOptions, shelf: Option<Rc<dyn Shelf>>) -> Result<Pool> {
        let lane = GpuLane::new(Gpu::open().await?, options.memory_budget);
        let recalled = match &shelf {
            Some(shelf) => shelf.recall(&known::fingerprint(lane.facts())).await,
            None => None,
        };
        let kernels = known::kernels()?;
        let recalled = recalled.filter(|known| known.holds(&kernels));
        let ceilings = probe::measure(&lane, recalled.as_ref().map(|known| known.tuning)).await?;
        let rates = Rates {
            flops_per_s: ceilings.flops_per_s,
            bytes_per_s: ceilings.bytes_per_s,
            dispatch_s: ceilings.dispatch_s,
            submit_s: ceilings.submit_s,
            readback_s: ceilings.readback_s,
            upload_bytes_per_s: ceilings.upload_bytes_per_s,
            readback_bytes_per_s: ceilings.readback_bytes_per_s,
            utilisation: BTreeMap::new(),
        };
        let inner = Inner {
            lane,
            ceilings,
            probing: probing::Probing::new(shelf, kernels),
            predictor: RefCell::new(Predictor::new(rates)),
            sessions: RefCell::default(),
            tensors: tensors::Tensors::default(),
            next_session: Cell::new(1),
            queue: queue::Queue::default(),
            preparations: Cell::new(0),
            preparing: Cell::new(0),
            goal: options.goal,
            measure: options.measure,
            budget: options.memory_budget,
            closed: Cell::new(false),
        };
        let inner = Rc::new(inner);
        if let Some(known) = recalled {
            inner.take_in(&known);
        }
        if options.measure == Measure::Now {
            inner.measured().await?;
        }
        Ok(Pool { inner })
    }

    /// Loads a model: reads it, uploads its weights and compiles its kernels. Nothing is kept of one that fails.
    pub async fn load(&self, source: Source, progress: &LoadProgress<'_>) -> Result<Rc<Session>> {
        self.inner.check()?;
        let id = self.inner.next_session.replace(self.inner.next_session.get() + 1);
        let free = source.free_dimensions.clone();
        progress(Phase::Decode, 0, 1);
        let session = Rc::new(Session::read(id, source, self.inner.lane.tuning())?);
        progress(Phase::Decode, 1, 1);
        let loading = Loading { lane: &self.inner.lane, id: Some(id) };
        self.inner.prepare_at_load(&session, &free, progress).await?;
        self.inner.check()?;
        self.inner.sessions.borrow_mut().insert(id, Rc::clone(&session));
        loading.done();
        progress(Phase::Ready, 1, 1);
        Ok(session)
    }

    /// Runs all requests in one execution; the outputs come in their order.
    pub async fn run(&self, requests: Vec<Request>, options: RunOptions) -> Result<Vec<Outputs>> {
        self.inner.check()?;
        if requests.is_empty() {
            return Ok(vec![]);
        }
        let works = self.items(&requests).await?;
        self.inner.check()?;
        Ok(queue::run(&self.inner, works, options).await?.outputs)
    }

    /// Requests checked and made ready: all are checked before any is compiled.
    async fn items(&self, requests: &[Request]) -> Result<Vec<queue::Item>> {
        let mut jobs = vec![];
        for request in requests {
            let session = self.inner.session(request.session)?;
            let inputs = session.inputs(&request.feeds)?;
            let form = session.form(&inputs, &request.keep)?;
            jobs.push((session, inputs, form));
        }
        let mut items = vec![];
        for (session, inputs, form) in jobs {
            let ready = self.inner.prepare(&session, form, None).await?;
            items.push(queue::Item::new(session, ready, &inputs)?);
        }
        Ok(items)
    }

    /// Predicts every strategy for requests of these shapes. Shapes that were never met are compiled first, and what
    /// kernels reach here is measured where it was not yet.
    pub async fn predict(&self, requests: Vec<(u64, Shapes)>, goal: Option<Goal>) -> Result<Prediction> {
        self.inner.check()?;
        let mut items = vec![];
        for (id, shapes) in requests {
            let session = self.inner.session(id)?;
            let form = session::Form::of(session.shapes(&shapes)?);
            let prepared = self.inner.prepare(&session, form, None).await?;
            items.push((session, prepared));
        }
        self.inner.measured().await?;
        self.inner.prediction(&items, goal.unwrap_or(self.inner.goal))
    }

    /// Runs every strategy in turn, `repeats` times after one warm-up, and compares with the predictions.
    pub async fn compare(&self, requests: Vec<Request>, repeats: usize, goal: Option<Goal>) -> Result<Comparison> {
        compare::compare(self, requests, repeats, goal.unwrap_or(self.inner.goal)).await
    }

    /// Bytes on the GPU, by purpose and session.
    pub fn memory(&self) -> MemoryReport {
        self.inner.memory()
    }

    /// Where the tensors of a session's last program lie; nothing before one is ready.
    pub fn memory_map(&self, session: u64) -> Result<Option<MemoryMap>> {
        Ok(self.inner.session(session)?.memory_map())
    }

    /// What crossed between host and GPU so far.
    pub fn traffic(&self) -> TrafficCounts {
        self.inner.lane.traffic()
    }

    /// How well the predictor has done.
    pub fn accuracy(&self) -> Accuracy {
        self.inner.predictor.borrow().accuracy()
    }

    /// What this machine can do.
    pub fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// What the probes measured.
    pub fn profile(&self) -> Profile {
        self.inner.profile()
    }

    /// Frees what only this session holds; calls in flight still finish.
    pub fn release(&self, id: u64) {
        if self.inner.sessions.borrow_mut().remove(&id).is_some() {
            self.inner.lane.release(id);
            // Arenas may be larger than the others need; what is in flight keeps its own.
            self.inner.lane.trim();
        }
    }

    /// Releases every session and the device; calls in flight fail with `Closed`.
    pub fn close(&self) {
        if self.inner.closed.replace(true) {
            return;
        }
        self.inner.queue.fail_all(&Error::new(Kind::Closed, "the pool was closed"));
        let ids: Vec<u64> = self.inner.sessions.borrow().keys().copied().collect();
        ids.into_iter().for_each(|id| self.release(id));
        self.inner.tensors.clear();
        self.inner.lane.close();
    }
}

/// Lets go of what a load brought to the lane unless it comes to its end: it may fail, or be aborted at any wait.
struct Loading<'a> {
    lane: &'a GpuLane,
    id: Option<u64>,
}

impl Loading<'_> {
    fn done(mut self) {
        self.id = None;
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.lane.release(id);
        }
    }
}

impl Inner {
    fn check(&self) -> Result<()> {
        if self.closed.get() {
            return Err(Error::new(Kind::Closed, "the pool is closed"));
        }
        self.lane.check()
    }

    fn session(&self, id: u64) -> Result<Rc<Session>> {
        self.sessions
            .borrow()
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::new(Kind::Closed, "the session was released, or is of another pool"))
    }
}
