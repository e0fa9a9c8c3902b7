//! The pool: its lanes, sessions and tensors, and the calls that reach them. Knows which lane a session is on; must never
//! know what a lane is.

use super::compare;
use super::desk::Desk;
use super::executing;
use super::known::Shelf;
use super::options::{Feeds, LoadProgress, Measure, Outputs, Phase, PoolOptions, Request, RunOptions, Shapes, Source};
use super::queue::Item;
use super::report::{Capabilities, Comparison, Device, MemoryMap, MemoryReport, Prediction, Profile, SessionMemory};
use super::session::{Form, Ready, Session};
use super::tensors::{Feed, Tensors};
use crate::error::{Error, Kind, Result};
use crate::graph::{Graph, HostTensor};
use crate::lane::{self, Lane, Resident, TrafficCounts};
use crate::predict::Goal;
use crate::refine::Accuracy;
use futures_util::future::try_join_all;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Requests that are ready, with their places among all, by lane.
type Sets = Vec<(Rc<Desk>, Vec<(usize, Item)>)>;

/// Lanes with the sessions that live on them.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The preferred lane first; never empty.
    desks: Vec<Rc<Desk>>,
    sessions: RefCell<BTreeMap<u64, Rc<Session>>>,
    tensors: Tensors,
    next_session: Cell<u64>,
    goal: Goal,
    closed: Cell<bool>,
}

impl Pool {
    /// Opens the lanes of this machine and measures their ceilings. `NoWebGpu` where there is no adapter. What else was
    /// measured of a lane is taken from `shelf` where it is there, and kept there where it is not.
    pub async fn create(options: PoolOptions, shelf: Option<Rc<dyn Shelf>>) -> Result<Pool> {
        let (budget, workers) = (options.memory_budget, options.workers.clone());
        let lanes = lane::open(options.lanes.as_deref(), budget, workers.as_ref()).await?;
        let mut desks = Pool::desks(lanes, &options, &shelf).await?;
        if let (None, Some(workers), Some(first)) = (&options.lanes, &workers, desks.first())
            && let Some(rival) = lane::rival(&*first.lane, workers.threads(), budget, Some(workers)).await
        {
            desks.extend(Pool::desks(vec![rival], &options, &shelf).await?);
            desks.sort_by(|a, b| b.lane.measured().flops_per_s.total_cmp(&a.lane.measured().flops_per_s));
        }
        Pool::of(desks, &options)
    }

    /// A pool on lanes that are open, the preferred first.
    pub async fn on(lanes: Vec<Rc<dyn Lane>>, options: PoolOptions, shelf: Option<Rc<dyn Shelf>>) -> Result<Pool> {
        Pool::of(Pool::desks(lanes, &options, &shelf).await?, &options)
    }

    /// A desk for each of `lanes`, whose ceilings are measured.
    async fn desks(
        lanes: Vec<Rc<dyn Lane>>,
        options: &PoolOptions,
        shelf: &Option<Rc<dyn Shelf>>,
    ) -> Result<Vec<Rc<Desk>>> {
        let mut desks = vec![];
        // One after another: a lane is measured while nothing else runs.
        for lane in lanes {
            let (desk, known) = Desk::open_lane(lane, options, shelf.clone()).await?;
            let desk = Rc::new(desk);
            if let Some(known) = known {
                desk.take_in(&known);
            }
            if options.measure == Measure::Now {
                desk.measure_now().await?;
            }
            desks.push(desk);
        }
        Ok(desks)
    }

    fn of(desks: Vec<Rc<Desk>>, options: &PoolOptions) -> Result<Pool> {
        if desks.is_empty() {
            return Err(Error::new(Kind::Unsupported, "a pool of no lanes"));
        }
        let inner = Inner {
            desks,
            sessions: RefCell::default(),
            tensors: Tensors::default(),
            next_session: Cell::new(1),
            goal: options.goal,
            closed: Cell::new(false),
        };
        Ok(Pool { inner: Rc::new(inner) })
    }

    /// Loads a model onto the first lane that takes it: reads it, brings its weights and compiles its kernels. Nothing is
    /// kept of one that fails.
    pub async fn load(&self, mut source: Source, progress: &LoadProgress<'_>) -> Result<Rc<Session>> {
        self.inner.open()?;
        let id = self.inner.next_session.replace(self.inner.next_session.get() + 1);
        progress(Phase::Decode, 0, 1);
        let graph = Session::graph_of(&mut source)?;
        let desk = self.inner.desk_for(&graph, &source).map_err(|e| e.in_model(&source.name))?;
        let session = Rc::new(Session::new(id, graph, &source, desk.lane.name(), desk.lane.tuning()));
        progress(Phase::Decode, 1, 1);
        let loading = Loading { lane: &*desk.lane, id: Some(id) };
        desk.prepare_at_load(&session, &source.free_dimensions, progress).await?;
        self.inner.open()?;
        desk.lane.check()?;
        self.inner.sessions.borrow_mut().insert(id, Rc::clone(&session));
        loading.done();
        progress(Phase::Ready, 1, 1);
        Ok(session)
    }

    /// Runs all requests: those of one lane in one execution, lanes side by side. The outputs come in their order.
    pub async fn run(&self, requests: Vec<Request>, options: RunOptions) -> Result<Vec<Outputs>> {
        self.inner.open()?;
        let works = self.items(requests).await?;
        self.inner.open()?;
        let lanes = works.iter().map(|(desk, items)| {
            let (places, items): (Vec<usize>, Vec<Item>) = items.iter().cloned().unzip();
            async move {
                let outputs = executing::run(desk, items, options).await?.outputs;
                Ok::<_, Error>(places.into_iter().zip(outputs).collect::<Vec<_>>())
            }
        });
        let mut outputs: Vec<(usize, Outputs)> = try_join_all(lanes).await?.into_iter().flatten().collect();
        outputs.sort_by_key(|(place, _)| *place);
        Ok(outputs.into_iter().map(|(_, outputs)| outputs).collect())
    }

    /// Requests checked and made ready, with their places, by lane: all are checked before any is compiled.
    async fn items(&self, requests: Vec<Request>) -> Result<Sets> {
        let mut jobs = vec![];
        for request in requests {
            let session = self.inner.session(request.session)?;
            let desk = self.inner.desk(session.lane)?;
            desk.lane.check()?;
            let feeds = self.brought(request.feeds, session.lane).await?;
            let inputs = session.inputs(&feeds)?;
            let form = session.form(&inputs, &request.keep)?;
            jobs.push((desk, session, inputs, form));
        }
        let mut lanes: Sets = vec![];
        for (place, (desk, session, inputs, form)) in jobs.into_iter().enumerate() {
            let ready = desk.prepare(&session, form, None).await?;
            let item = (place, Item::new(session, ready, inputs));
            match lanes.iter_mut().find(|(of, _)| Rc::ptr_eq(of, &desk)) {
                Some((_, items)) => items.push(item),
                None => lanes.push((desk, vec![item])),
            }
        }
        Ok(lanes)
    }

    /// `feeds` with what lies on another lane than `lane` read from there.
    async fn brought(&self, mut feeds: Feeds, lane: &str) -> Result<Feeds> {
        for feed in feeds.values_mut() {
            if let Feed::Resident(tensor) = feed
                && tensor.lane != lane
            {
                *feed = Feed::Host(self.read(tensor).await?);
            }
        }
        Ok(feeds)
    }

    /// Predicts every strategy for requests of these shapes. Shapes that were never met are compiled first, and what
    /// kernels reach here is measured where it was not yet.
    pub async fn predict(&self, requests: Vec<(u64, Shapes)>, goal: Option<Goal>) -> Result<Prediction> {
        self.inner.open()?;
        let mut ready: Vec<Rc<Ready>> = vec![];
        let mut lane = None;
        for (id, shapes) in requests {
            let session = self.inner.session(id)?;
            let desk = self.inner.desk(session.lane)?;
            desk.lane.check()?;
            one_lane(&mut lane, &desk)?;
            let form = Form::of(session.shapes(&shapes)?);
            ready.push(desk.prepare(&session, form, None).await?);
        }
        let desk = lane.ok_or_else(|| Error::new(Kind::InvalidInput, "there are no requests to predict"))?;
        desk.measure_now().await?;
        let set: Vec<&Ready> = ready.iter().map(|ready| &**ready).collect();
        desk.prediction(&set, goal.unwrap_or(self.inner.goal))
    }

    /// Runs every strategy in turn, `repeats` times after one warm-up, and compares with the predictions.
    pub async fn compare(&self, requests: Vec<Request>, repeats: usize, goal: Option<Goal>) -> Result<Comparison> {
        self.inner.open()?;
        compare::check(requests.len(), repeats)?;
        let mut lane = None;
        let mut all = vec![];
        for (desk, items) in self.items(requests).await? {
            one_lane(&mut lane, &desk)?;
            all.extend(items.into_iter().map(|(_, item)| item));
        }
        let desk = lane.ok_or_else(|| Error::new(Kind::Internal, "requests of no lane"))?;
        compare::compare(&desk, all, repeats, goal.unwrap_or(self.inner.goal)).await
    }

    /// Bytes by purpose, lane and session.
    pub fn memory(&self) -> MemoryReport {
        let sessions = self.inner.sessions.borrow().values().map(|s| self.inner.memory_of(s)).collect();
        MemoryReport::of(self.inner.desks.iter().map(|desk| &*desk.lane), sessions)
    }

    /// Where the tensors of a session's last program lie; nothing before one is ready.
    pub fn memory_map(&self, session: u64) -> Result<Option<MemoryMap>> {
        Ok(self.inner.session(session)?.memory_map())
    }

    /// What crossed between host and lanes so far.
    pub fn traffic(&self) -> TrafficCounts {
        self.inner.desks.iter().map(|desk| desk.lane.traffic()).sum()
    }

    /// How well the predictor has done, by lane.
    pub fn accuracy(&self) -> Vec<(&'static str, Accuracy)> {
        let of = |desk: &Rc<Desk>| (desk.lane.name(), desk.predictor.borrow().accuracy());
        self.inner.desks.iter().map(of).collect()
    }

    /// What the lanes run on.
    pub fn capabilities(&self) -> Capabilities {
        let device = |desk: &Rc<Desk>| {
            let facts = desk.lane.facts().clone();
            Device { lane: desk.lane.name(), fingerprint: facts.fingerprint(), facts }
        };
        let devices: Vec<Device> = self.inner.desks.iter().map(device).collect();
        Capabilities { lanes: devices.iter().map(|d| d.lane).collect(), devices }
    }

    /// What the probes measured, by lane, the preferred first.
    pub fn profiles(&self) -> Vec<Profile> {
        self.inner.desks.iter().map(|desk| Profile::of(&*desk.lane)).collect()
    }

    /// Takes a tensor into the pool's keeping: the number by which it is known.
    pub fn hold(&self, tensor: Rc<Resident>) -> u64 {
        self.inner.tensors.hold(tensor)
    }

    /// The tensor of a number. `Closed` where it was disposed of.
    pub fn tensor(&self, id: u64) -> Result<Rc<Resident>> {
        self.inner.tensors.get(id)
    }

    /// Lets go of a tensor; calls in flight that use it still finish.
    pub fn dispose(&self, id: u64) {
        self.inner.tensors.dispose(id);
    }

    /// Brings a tensor to the first lane that is there; sessions of others read it from there.
    pub async fn upload(&self, tensor: &HostTensor) -> Result<Rc<Resident>> {
        self.inner.open()?;
        let desk = self.inner.first(|_| true, |_| None)?;
        match desk.lane.upload(tensor).await {
            Ok(tensor) => Ok(Rc::new(tensor)),
            Err(error) => Err(desk.lane.cause(error).await),
        }
    }

    /// Reads a tensor back.
    pub async fn read(&self, tensor: &Resident) -> Result<HostTensor> {
        self.inner.open()?;
        let lane = &self.inner.desk(tensor.lane)?.lane;
        lane.check()?;
        match lane.read(tensor).await {
            Ok(tensor) => Ok(tensor),
            Err(error) => Err(lane.cause(error).await),
        }
    }

    /// Frees what only this session holds; calls in flight still finish.
    pub fn release(&self, id: u64) {
        let Some(session) = self.inner.sessions.borrow_mut().remove(&id) else { return };
        if let Ok(desk) = self.inner.desk(session.lane) {
            desk.lane.release(id);
            // Arenas may be larger than the others need; what is in flight keeps its own.
            desk.lane.trim();
        }
    }

    /// Releases every session and the lanes; calls in flight fail with `Closed`.
    pub fn close(&self) {
        if self.inner.closed.replace(true) {
            return;
        }
        self.inner.desks.iter().for_each(|desk| desk.stop());
        let ids: Vec<u64> = self.inner.sessions.borrow().keys().copied().collect();
        ids.into_iter().for_each(|id| self.release(id));
        self.inner.tensors.clear();
        self.inner.desks.iter().for_each(|desk| desk.lane.close());
    }
}

/// Notes the lane of a request; a prediction or comparison is of one lane.
fn one_lane(lane: &mut Option<Rc<Desk>>, desk: &Rc<Desk>) -> Result<()> {
    match lane.replace(Rc::clone(desk)) {
        Some(other) if !Rc::ptr_eq(&other, desk) => {
            let text = format!(
                "requests on '{}' and on '{}' cannot be predicted together",
                other.lane.name(),
                desk.lane.name()
            );
            Err(Error::new(Kind::Unsupported, text))
        }
        _ => Ok(()),
    }
}

/// Lets go of what a load brought to the lane unless it comes to its end: it may fail, or be aborted at any wait.
struct Loading<'a> {
    lane: &'a dyn Lane,
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
    fn open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(Kind::Closed, "the pool is closed")) } else { Ok(()) }
    }

    fn session(&self, id: u64) -> Result<Rc<Session>> {
        self.sessions
            .borrow()
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::new(Kind::Closed, "the session was released, or is of another pool"))
    }

    fn desk(&self, lane: &str) -> Result<Rc<Desk>> {
        let desk = self.desks.iter().find(|desk| desk.lane.name() == lane).cloned();
        desk.ok_or_else(|| Error::new(Kind::InvalidInput, format!("this pool has no lane '{lane}'")))
    }

    /// The first of the `wanted` lanes that is there and does not refuse, or why the first of them is not it.
    fn first(&self, wanted: impl Fn(&str) -> bool, refuses: impl Fn(&Desk) -> Option<Error>) -> Result<Rc<Desk>> {
        let mut why = None;
        for desk in self.desks.iter().filter(|desk| wanted(desk.lane.name())) {
            match desk.lane.check().err().or_else(|| refuses(desk)) {
                None => return Ok(Rc::clone(desk)),
                Some(error) => why = why.or(Some(error)),
            }
        }
        let names = self.desks.iter().map(|desk| desk.lane.name()).collect::<Vec<_>>().join("', '");
        let none = || format!("none of the lanes asked for is of this pool; it has '{names}'");
        Err(why.unwrap_or_else(|| Error::new(Kind::Unsupported, none())))
    }

    /// The lane for a model.
    fn desk_for(&self, graph: &Graph, source: &Source) -> Result<Rc<Desk>> {
        let wanted = |name: &str| source.lanes.as_ref().is_none_or(|lanes| lanes.iter().any(|lane| lane == name));
        self.first(wanted, |desk| desk.lane.refuses(graph))
    }

    fn memory_of(&self, session: &Session) -> SessionMemory {
        let (weights, shared_weights) = self.desk(session.lane).map_or((0, 0), |desk| desk.lane.weights_of(session.id));
        let programs = session.ready();
        let footprints = || programs.iter().map(|ready| &ready.compiled.footprint);
        let largest = footprints().max_by_key(|f| f.arena);
        SessionMemory {
            name: session.name.clone(),
            lane: session.lane,
            weights,
            shared_weights,
            parameters: footprints().map(|f| f.parameters).sum(),
            arena: largest.map_or(0, |f| f.arena),
            live_bytes: largest.map_or(0, |f| f.live),
        }
    }
}
