//! The pool: its lanes, sessions and tensors, and the calls that reach them. Knows which lane a session is on; must never
//! know what a lane is.

use super::activity::Activity;
use super::calls::{ATTEMPTS, Calls, Checked};
use super::compare;
use super::desk::Desk;
use super::homes::{Form, Home};
use super::importing;
use super::known::{Known, Shelf};
use super::lanes::{Lanes, Opener, Precisions, desk};
use super::options::{LoadProgress, Outputs, Phase, PoolOptions, Request, RunOptions, Shapes, Source};
use super::report::{
    Answered, Capabilities, Comparison, Device, LaneRecords, MemoryMap, MemoryReport, Prediction, Profile, QueueReport,
    SessionMemory,
};
use super::session::Session;
use super::tensors::Tensors;
use crate::error::{Error, Kind, Result};
use crate::graph::{HostTensor, TensorType};
use crate::lane::{self, Lane, Resident, TrafficCounts};
use crate::predict::{Goal, Machine};
use crate::refine::{Accuracy, Imported};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Lanes with the sessions that live on them.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lanes: Rc<Lanes>,
    calls: Rc<Calls>,
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
        let activity = Rc::default();
        let mut desks = Pool::desks(lanes, &options, &shelf, &activity).await?;
        if let (None, Some(workers), Some(first)) = (&options.lanes, &workers, desks.first()) {
            let rivals = lane::rivals(&*first.lane, workers.threads(), budget, Some(workers)).await;
            desks.extend(Pool::desks(rivals, &options, &shelf, &activity).await?);
            desks.sort_by(|a, b| b.lane.measured().flops_per_s.total_cmp(&a.lane.measured().flops_per_s));
        }
        let unasked = || lane::unasked(workers.as_ref()).into_iter().map(str::to_owned).collect();
        let names = options.lanes.clone().unwrap_or_else(unasked);
        let opener: Opener = Rc::new(move |name| {
            let (name, workers) = (name.to_owned(), workers.clone());
            Box::pin(async move { lane::one(&name, budget, workers.as_ref()).await })
        });
        Pool::of(desks, names, Some(opener), &options, shelf)
    }

    /// A pool on lanes that are open, the preferred first; `opener` opens those again that are lost.
    pub async fn on(
        lanes: Vec<Rc<dyn Lane>>,
        opener: Option<Opener>,
        options: PoolOptions,
        shelf: Option<Rc<dyn Shelf>>,
    ) -> Result<Pool> {
        let desks = Pool::desks(lanes, &options, &shelf, &Rc::default()).await?;
        Pool::of(desks, options.lanes.clone().unwrap_or_default(), opener, &options, shelf)
    }

    /// A desk for each of `lanes`, whose ceilings are measured.
    async fn desks(
        lanes: Vec<Rc<dyn Lane>>,
        options: &PoolOptions,
        shelf: &Option<Rc<dyn Shelf>>,
        activity: &Rc<Activity>,
    ) -> Result<Vec<Rc<Desk>>> {
        let mut desks = vec![];
        // One after another: a lane is measured while nothing else runs.
        for lane in lanes {
            desks.push(desk(lane, options, shelf, None, activity).await?);
        }
        Ok(desks)
    }

    fn of(
        desks: Vec<Rc<Desk>>,
        names: Vec<String>,
        opener: Option<Opener>,
        options: &PoolOptions,
        shelf: Option<Rc<dyn Shelf>>,
    ) -> Result<Pool> {
        let lanes = Lanes::new(desks, names, opener, options, shelf)?;
        let inner = Inner {
            calls: Rc::new(Calls::new(&lanes, options)),
            lanes,
            sessions: RefCell::default(),
            tensors: Tensors::default(),
            next_session: Cell::new(1),
            goal: options.goal,
            closed: Cell::new(false),
        };
        Ok(Pool { inner: Rc::new(inner) })
    }

    /// Loads a model onto the first lane that takes it: reads it, brings its weights and compiles its kernels. Where that lane is lost
    /// meanwhile it goes on on another, or on the same opened again. Nothing is kept of one that fails.
    pub async fn load(&self, mut source: Source, progress: &LoadProgress<'_>) -> Result<Rc<Session>> {
        self.inner.open()?;
        let id = self.inner.next_session.replace(self.inner.next_session.get() + 1);
        progress(Phase::Decode, 0, 1);
        let graph = Session::graph_of(&mut source)?;
        let session = Rc::new(Session::new(id, graph, &source));
        progress(Phase::Decode, 1, 1);
        let home = self.inner.prepared(&session, &source.free_dimensions, progress).await?;
        session.moves_to(&home);
        self.inner.sessions.borrow_mut().insert(id, Rc::clone(&session));
        progress(Phase::Ready, 1, 1);
        Ok(session)
    }

    /// Runs all requests: those of one lane in one execution, lanes side by side. The outputs come in their order. What a lane
    /// cannot answer because it was lost is answered by another, or by the same opened again.
    pub async fn run(&self, requests: Vec<Request>, options: RunOptions) -> Result<Vec<Outputs>> {
        self.inner.open()?;
        let calls = self.checked(requests)?;
        let outputs = self.inner.calls.run(&calls, options).await;
        self.inner.open()?;
        outputs
    }

    /// Requests that were checked: all are before any is made ready.
    fn checked(&self, requests: Vec<Request>) -> Result<Vec<Checked>> {
        let check = |request: Request| {
            let session = self.inner.session(request.session)?;
            self.inner.calls.checked(session, request)
        };
        requests.into_iter().map(check).collect()
    }

    /// Predicts every strategy for requests of these shapes. Shapes that were never met are compiled first, and what
    /// kernels reach here is measured where it was not yet.
    pub async fn predict(&self, requests: Vec<(u64, Shapes)>, goal: Option<Goal>) -> Result<Prediction> {
        self.inner.open()?;
        if requests.is_empty() {
            return Err(Error::new(Kind::InvalidInput, "there are no requests to predict"));
        }
        let mut set = vec![];
        for (id, shapes) in requests {
            let session = self.inner.session(id)?;
            let form = Form::of(session.shapes(&shapes)?);
            set.push(self.inner.calls.at_home(&session, form).await?);
        }
        Ok(self.inner.calls.foresee(&set, goal.unwrap_or(self.inner.goal), None).await?.prediction())
    }

    /// Runs every strategy in turn, `repeats` times after one warm-up, and compares with the predictions; `told` hears after
    /// each round what the rounds so far say.
    pub async fn compare(
        &self,
        requests: Vec<Request>,
        repeats: usize,
        goal: Option<Goal>,
        told: &dyn Fn(&Comparison),
    ) -> Result<Comparison> {
        self.inner.open()?;
        compare::check(requests.len(), repeats)?;
        let calls = self.checked(requests)?;
        compare::compare(&self.inner.calls, &calls, repeats, goal.unwrap_or(self.inner.goal), told).await
    }

    /// Bytes by purpose, lane and session.
    pub fn memory(&self) -> MemoryReport {
        let sessions = self.inner.sessions.borrow().values().map(|s| self.inner.memory_of(s)).collect();
        let desks = self.inner.lanes.all();
        MemoryReport::of(desks.iter().map(|desk| &*desk.lane), sessions)
    }

    /// Where the tensors of a session's last program lie; nothing before one is ready.
    pub fn memory_map(&self, session: u64) -> Result<Option<MemoryMap>> {
        Ok(self.inner.session(session)?.memory_map())
    }

    /// Name of the lane on which a session's next call runs.
    pub fn lane(&self, session: u64) -> Result<&'static str> {
        Ok(self.inner.session(session)?.lane())
    }

    /// Who answered a session's last call; nothing before the first.
    pub fn answered(&self, session: u64) -> Result<Option<Answered>> {
        Ok(self.inner.session(session)?.answered())
    }

    /// Names of the lanes that a session may run on, the preferred first, of those that are open with in what it is computed there, and of
    /// the pool's others with why it may not.
    pub fn lanes(&self, session: &Session) -> (Vec<String>, Precisions, BTreeMap<String, String>) {
        self.inner.lanes.of(session)
    }

    /// What crossed between host and lanes so far.
    pub fn traffic(&self) -> TrafficCounts {
        self.inner.lanes.all().iter().map(|desk| desk.lane.traffic()).sum()
    }

    /// The calls that have no answer yet.
    pub fn queue(&self) -> QueueReport {
        let calls = self.inner.lanes.all().iter().flat_map(|desk| desk.queue.report(desk.lane.name())).collect();
        QueueReport { pending: self.inner.calls.pending.get(), calls }
    }

    /// How well the predictor has done, by lane.
    pub fn accuracy(&self) -> Vec<(&'static str, Accuracy)> {
        let of = |desk: &Rc<Desk>| (desk.lane.name(), desk.predictor.borrow().accuracy());
        self.inner.lanes.kinds().iter().map(of).collect()
    }

    /// What each lane was measured by and learned from.
    pub fn records(&self) -> Vec<LaneRecords> {
        self.inner.lanes.kinds().iter().map(|desk| desk.records()).collect()
    }

    /// Goes on from what was recorded of lanes that are like this pool's, by their fingerprints: what became of each; nothing where this
    /// pool has none, or one that is not as fast. Takes all or, where one holds what cannot be, nothing.
    pub fn import(&self, lanes: &[(String, Known)]) -> Result<Vec<Option<Imported>>> {
        self.inner.open()?;
        lanes.iter().try_for_each(importing::check)?;
        let kinds = self.inner.lanes.kinds();
        let import = |(fingerprint, known): &(String, Known)| {
            kinds.iter().find(|desk| desk.lane.facts().fingerprint() == *fingerprint)?.import(known)
        };
        Ok(lanes.iter().map(import).collect())
    }

    /// Takes in how the machine is: what runs from now on is forecast and observed so. `yields`: whether a hidden page leaves
    /// the machine to others.
    pub fn told(&self, machine: Machine, yields: bool) {
        let activity = self.inner.lanes.activity();
        activity.told(machine);
        activity.yields.set(yields);
    }

    /// What the lanes run on.
    pub fn capabilities(&self) -> Capabilities {
        let device = |desk: &Rc<Desk>| {
            let facts = desk.lane.facts().clone();
            Device { lane: desk.lane.name(), fingerprint: facts.fingerprint(), facts }
        };
        let devices: Vec<Device> = self.inner.lanes.kinds().iter().map(device).collect();
        Capabilities { lanes: devices.iter().map(|d| d.lane).collect(), devices }
    }

    /// What the probes measured, by lane, the preferred first.
    pub fn profiles(&self) -> Vec<Profile> {
        self.inner.lanes.kinds().iter().map(|desk| Profile::of(&*desk.lane)).collect()
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
        let desk = self.inner.first(&|_| true, &|_| None)?;
        match desk.lane.upload(tensor).await {
            Ok(tensor) => Ok(Rc::new(tensor)),
            Err(error) => Err(desk.lane.cause(error).await),
        }
    }

    /// A tensor of that type on the first lane that is there, whose elements code of its platform is to write, and what that knows it by;
    /// nothing where no such code reaches that lane's tensors.
    pub async fn blank(&self, ty: TensorType) -> Result<Option<(Rc<Resident>, Box<dyn Any>)>> {
        self.inner.open()?;
        let desk = self.inner.first(&|_| true, &|_| None)?;
        match desk.lane.blank(ty).await {
            Ok(blank) => Ok(blank.map(|(tensor, by)| (Rc::new(tensor), by))),
            Err(error) => Err(desk.lane.cause(error).await),
        }
    }

    /// Reads a tensor back.
    pub async fn read(&self, tensor: &Resident) -> Result<HostTensor> {
        self.inner.open()?;
        self.inner.calls.read(tensor).await
    }

    /// Frees what only this session holds; calls in flight still finish.
    pub fn release(&self, id: u64) {
        let Some(session) = self.inner.sessions.borrow_mut().remove(&id) else { return };
        let homes = session.homes();
        session.leaves(|_| true);
        // Arenas may be larger than the others need; what is in flight keeps its own.
        homes.iter().for_each(|home| home.lane.trim());
    }

    /// Releases every session and the lanes; calls in flight fail with `Closed`.
    pub fn close(&self) {
        if self.inner.closed.replace(true) {
            return;
        }
        self.inner.lanes.all().iter().for_each(|desk| desk.stop());
        let ids: Vec<u64> = self.inner.sessions.borrow().keys().copied().collect();
        ids.into_iter().for_each(|id| self.release(id));
        self.inner.tensors.clear();
        self.inner.lanes.close();
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

    /// The first of the `wanted` lanes that is there and does not refuse, or why the first of them is not it.
    fn first(&self, wanted: &dyn Fn(&str) -> bool, refuses: &dyn Fn(&Desk) -> Option<Error>) -> Result<Rc<Desk>> {
        let (mut why, desks) = (None, self.lanes.all());
        for desk in desks.iter().filter(|desk| wanted(desk.lane.name())) {
            match desk.lane.check().err().or_else(|| refuses(desk)) {
                None => return Ok(Rc::clone(desk)),
                Some(error) => why = why.or(Some(error)),
            }
        }
        let names = desks.iter().map(|desk| desk.lane.name()).collect::<Vec<_>>().join("', '");
        let none = || format!("none of the lanes asked for is of this pool; it has '{names}'");
        Err(why.unwrap_or_else(|| Error::new(Kind::Unsupported, none())))
    }

    /// A home for `session` on a lane that is open, else on one that can be opened, made ready; on the next where one refuses its shapes,
    /// or is lost meanwhile.
    async fn prepared(
        &self,
        session: &Rc<Session>,
        free: &BTreeMap<String, usize>,
        progress: &LoadProgress<'_>,
    ) -> Result<Rc<Home>> {
        let (mut refused, mut losses) = (vec![], 0);
        // Where it was to be, and why it is not.
        let mut before: Option<(&'static str, Error)> = None;
        loop {
            let wanted = |name: &str| session.allows(name) && !refused.contains(&name);
            let refuses = |desk: &Desk| session.refusal(&*desk.lane);
            let desk = match self.first(&wanted, &refuses) {
                Ok(desk) => desk,
                Err(why) => {
                    let first = self.lanes.all().first().map_or("", |first| first.lane.name());
                    let (_, why) = before.get_or_insert((first, why));
                    let takes = |desk: &Rc<Desk>| wanted(desk.lane.name()) && refuses(desk).is_none();
                    let spare = self.calls.spare(session, &takes).await;
                    spare.ok_or_else(|| why.clone().in_model(&session.name))?
                }
            };
            if let Some((from, why)) = before.take().filter(|(from, _)| *from != desk.lane.name()) {
                self.calls.tell(session, from, desk.lane.name(), &why);
            }
            let desk = self.calls.roomiest(session, desk).await;
            // What a load brought that fails, or is aborted at any wait, goes with its home.
            let home = self.calls.settled(session, &desk);
            let made = desk.prepare_at_load(session, &home, free, progress).await;
            self.open()?;
            let why = match made.and_then(|()| desk.lane.check()) {
                Ok(()) => return Ok(home),
                Err(why) => why,
            };
            match why.kind() {
                Kind::Unsupported => refused.push(desk.lane.name()),
                Kind::DeviceLost if losses + 1 < ATTEMPTS && session.portable() => losses += 1,
                _ => return Err(why.in_model(&session.name)),
            }
            before = Some((desk.lane.name(), why));
        }
    }

    fn memory_of(&self, session: &Session) -> SessionMemory {
        let homes = session.homes();
        let held = homes.iter().map(|home| home.lane.weights_of(home.holder));
        let (weights, shared_weights) = held.fold((0, 0), |all, own| (all.0 + own.0, all.1 + own.1));
        let programs: Vec<_> = homes.iter().flat_map(|home| home.ready()).collect();
        let footprints = || programs.iter().map(|ready| &ready.compiled.footprint);
        let largest = footprints().max_by_key(|f| f.arena);
        SessionMemory {
            name: session.name.clone(),
            lane: session.lane(),
            weights,
            shared_weights,
            parameters: footprints().map(|f| f.parameters).sum(),
            arena: largest.map_or(0, |f| f.arena),
            live_bytes: largest.map_or(0, |f| f.live),
        }
    }
}
