//! A lane for tests: the CPU references, slow and the same every time, with faults that a test switches on. Its clock is
//! computed: a dispatch takes what its cost says. Knows the interface of lanes; must never know a device.

// Each test file takes what it needs.
#![allow(dead_code)]

use consort::graph::{ContentHash, Graph, HostTensor, Source, SpecialNode, Specialised, TensorType, reference};
use consort::kernels::{Class, Registry, Tuning};
use consort::lane::host::{Task, next_turn};
use consort::lane::{
    Compiled, Counts, Facts, Footprint, Input, Lane, Measured, Order, Outcome, Output, Precision, Progress, Resident,
    SubmitSpan, Traffic, TrafficCounts, Turn, Work, opening,
};
use consort::memory::{SlotPlan, WeightBook, weight_bytes};
use consort::program::{Command, DispatchCost, Extent, Placed, ProgramCost, Schedule};
use consort::{Error, Kind, Result};
use futures_util::lock::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// What a test may have go wrong.
#[derive(Debug, Default)]
pub struct Faults {
    /// Why the lane is lost, from now on.
    pub lost: RefCell<Option<String>>,
    /// How many of the next executions fail.
    pub executions: Cell<usize>,
    /// How many of the next preparations fail, after the weights were brought.
    pub preparations: Cell<usize>,
    /// An operator that the lane does not take.
    pub refused: RefCell<Option<String>>,
    /// A size of the first axis that the lane does not take, which it sees when a call of it is made ready.
    pub batch: Cell<Option<usize>>,
    /// A class whose probe fails.
    pub unmeasured: Cell<Option<Class>>,
    /// How many times as long executions take as is forecast, where it is not 0.
    pub slower: Cell<f64>,
    /// How many significant bits its products have; all where it is not said.
    pub bits: Cell<Option<u32>>,
    /// What preparations take by its clock, in milliseconds, and so many turns of the event loop.
    pub builds_ms: Cell<usize>,
    /// Turns of the event loop that an execution takes.
    pub turns: Cell<usize>,
    /// Most bytes at one time.
    pub budget: Cell<Option<u64>>,
}

/// The lane.
#[derive(Debug)]
pub struct Reference {
    name: &'static str,
    opening: u64,
    /// What goes wrong.
    pub faults: Rc<Faults>,
    facts: Facts,
    turn: Mutex<()>,
    traffic: Traffic,
    book: RefCell<WeightBook>,
    weights: RefCell<BTreeMap<ContentHash, Arc<HostTensor>>>,
    /// Bytes of each arena.
    arenas: RefCell<Vec<u64>>,
    tensors: Rc<Cell<u64>>,
    most: Cell<u64>,
    /// Preparations so far.
    pub prepared: Cell<usize>,
    /// Executions so far, by the number of requests in each.
    pub executed: RefCell<Vec<usize>>,
    /// Whether the execution under way is to stop, and how many did.
    stopping: Cell<bool>,
    pub stopped: Cell<usize>,
}

/// What the lane made of an order.
struct Made {
    graph: Graph,
    special: Specialised,
    kept: Vec<bool>,
}

/// A tensor that stays, counted while it is held.
struct Held(HostTensor, u64, Rc<Cell<u64>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.2.set(self.2.get() - self.1);
    }
}

/// Its rates: a test lane may state them.
const RATES: Measured = Measured {
    flops_per_s: 1e9,
    threads: 1,
    bytes_per_s: 1e9,
    dispatch_s: 1e-5,
    submit_s: 1e-4,
    readback_s: 1e-3,
    upload_bytes_per_s: 1e9,
    readback_bytes_per_s: 1e9,
    nudge: false,
    probe_ms: 0.0,
};

fn bytes(ty: &TensorType) -> u64 {
    ty.len() as u64 * 4
}

/// The lane of a pool for tests.
pub async fn opened(budget: Option<u64>) -> Vec<Rc<dyn Lane>> {
    let lane = Reference::new("reference");
    lane.faults.budget.set(budget);
    vec![lane]
}

impl Reference {
    pub fn new(name: &'static str) -> Rc<Reference> {
        Rc::new(Reference {
            name,
            opening: opening(),
            faults: Rc::default(),
            facts: Facts { description: format!("CPU references as '{name}'"), ..Facts::default() },
            turn: Mutex::default(),
            traffic: Traffic::default(),
            book: RefCell::default(),
            weights: RefCell::default(),
            arenas: RefCell::default(),
            tensors: Rc::default(),
            most: Cell::default(),
            prepared: Cell::default(),
            executed: RefCell::default(),
            stopping: Cell::default(),
            stopped: Cell::default(),
        })
    }

    fn lost(&self) -> Result<()> {
        match &*self.faults.lost.borrow() {
            Some(why) => Err(Error::new(Kind::DeviceLost, format!("the lane '{}' was lost: {why}", self.name))),
            None => Ok(()),
        }
    }

    fn fails(&self, left: &Cell<usize>, what: &str) -> Result<()> {
        if left.get() == 0 {
            return Ok(());
        }
        left.set(left.get() - 1);
        Err(Error::new(Kind::Internal, format!("{what} failed, as the test asked")))
    }

    /// Room for `more` bytes, by the budget; the most so far grows with it.
    fn room(&self, more: u64) -> Result<()> {
        let held = self.counts().total();
        if let Some(budget) = self.faults.budget.get().filter(|&budget| held + more > budget) {
            let text = format!("{more} bytes more would pass the memory budget of {budget} ({held} are held)");
            return Err(Error::new(Kind::OutOfMemory, text));
        }
        self.most.set(self.most.get().max(held + more));
        Ok(())
    }

    fn held(&self, tensor: HostTensor) -> Result<Resident> {
        let ty = TensorType::new(tensor.dtype(), tensor.shape());
        let bytes = bytes(&ty);
        self.room(bytes)?;
        self.tensors.set(self.tensors.get() + bytes);
        let own = Box::new(Held(tensor, bytes, Rc::clone(&self.tensors)));
        Ok(Resident { ty, lane: self.name, opening: self.opening, bytes, own })
    }

    fn of<'a>(&self, tensor: &'a Resident) -> Result<&'a HostTensor> {
        let held = tensor.own.downcast_ref::<Held>();
        Ok(&held.ok_or_else(|| Error::new(Kind::Internal, "a tensor of another lane"))?.0)
    }

    /// Takes the constants of `special` for `holder`; what is there already is not brought again.
    fn bring(&self, holder: u64, special: &mut Specialised, progress: &Progress<'_>) -> Result<BTreeSet<ContentHash>> {
        let mut hashes = BTreeSet::new();
        for tensor in &mut special.tensors {
            let Source::Constant(hash, value) = &mut tensor.source else { continue };
            let (hash, size) = (*hash, bytes(&tensor.ty));
            let nobody = || Error::new(Kind::Internal, format!("the weight '{}' is held by nobody", tensor.name));
            let elements = value.take().or_else(|| self.weights.borrow().get(&hash).cloned()).ok_or_else(nobody)?;
            if !self.book.borrow().contains(&hash) {
                self.room(weight_bytes(size))?;
            }
            self.book.borrow_mut().hold(holder, hash, size);
            self.weights.borrow_mut().insert(hash, Arc::clone(&elements));
            *value = Some(elements);
            hashes.insert(hash);
            (progress.upload)(size, size);
        }
        Ok(hashes)
    }

    /// Whether `schedule` brings each request in, runs its dispatches in order and takes it out.
    fn sound(works: &[Work], schedule: &Schedule) -> Result<()> {
        let mut at: Vec<Option<usize>> = vec![None; works.len()];
        let mut out = vec![false; works.len()];
        let mut fine = schedule.commands.last() == Some(&Command::Submit);
        for command in &schedule.commands {
            match *command {
                Command::Upload { program } => fine &= at[program].replace(0).is_none(),
                Command::Dispatches { program, from, to } => fine &= at[program].replace(to) == Some(from) && from < to,
                Command::Download { program } => {
                    fine &= at[program] == Some(works[program].compiled.extent.dispatches);
                    fine &= !std::mem::replace(&mut out[program], true);
                }
                Command::Submit => {}
            }
        }
        let whole = fine && out.iter().all(|&out| out);
        if whole { Ok(()) } else { Err(Error::new(Kind::Internal, format!("an unsound schedule: {schedule:?}"))) }
    }

    fn evaluated(&self, work: &Work) -> Result<Vec<Output>> {
        let own = work.compiled.own.downcast_ref::<Made>();
        let made = own.ok_or_else(|| Error::new(Kind::Internal, "a program of another lane"))?;
        let mut inputs = vec![];
        for input in &work.inputs {
            inputs.push(match input {
                Input::Host(tensor) => {
                    self.traffic.uploaded(tensor.shape().iter().product::<usize>() as u64 * 4);
                    (**tensor).clone()
                }
                Input::Resident(tensor) => self.of(tensor)?.clone(),
            });
        }
        let outputs = reference::evaluate(&made.graph, &Registry, &made.special, &inputs)?;
        let kept = outputs.into_iter().zip(&made.kept);
        kept.map(|(t, &kept)| Ok(if kept { Output::Resident(Rc::new(self.held(t)?)) } else { Output::Host(t) }))
            .collect()
    }
}

/// What a node costs, by the sizes of what it reads and writes.
fn cost(special: &Specialised, node: &SpecialNode) -> DispatchCost {
    let size = |id: &Option<_>| id.map_or(0, |id: consort::graph::TensorId| special.tensors[id.0].ty.len());
    let (read, written) = (node.inputs.iter().map(size).sum::<usize>(), node.outputs.iter().map(size).sum::<usize>());
    let flops = (read + written) as f64;
    DispatchCost { class: Class::Elementwise, flops, bytes: flops * 4.0 }
}

/// The time of `costs` in milliseconds, by [`RATES`].
fn computed_ms(costs: &[DispatchCost]) -> f64 {
    let one = |d: &DispatchCost| (d.flops / RATES.flops_per_s).max(d.bytes / RATES.bytes_per_s) + RATES.dispatch_s;
    costs.iter().map(one).sum::<f64>() * 1e3
}

fn compiled(made: Made, weights: BTreeSet<ContentHash>, names: Vec<String>) -> Compiled {
    let special = &made.special;
    let steps = special.nodes.len() + 2;
    let mut layout = vec![];
    let mut arena = 0;
    for tensor in special.tensors.iter().filter(|t| !matches!(t.source, Source::Constant(..)) && !t.ty.is_empty()) {
        let (name, bytes) = (tensor.name.clone(), bytes(&tensor.ty));
        layout.push(Placed { name, offset: arena, bytes, first_step: 0, last_step: steps - 1 });
        arena += bytes;
    }
    let size =
        |ids: &[consort::graph::TensorId]| ids.iter().map(|id| bytes(&special.tensors[id.0].ty)).sum::<u64>() as f64;
    Compiled {
        cost: ProgramCost {
            model: String::new(),
            dispatches: special.nodes.iter().map(|node| cost(special, node)).collect(),
            upload_bytes: size(&special.inputs),
            readback_bytes: size(&special.outputs),
            ..ProgramCost::default()
        },
        extent: Extent { dispatches: special.nodes.len(), arena_bytes: arena },
        outputs: names,
        footprint: Footprint { parameters: 0, arena, live: arena, steps, layout },
        weights,
        brought_ms: 0.0,
        built_ms: 0.0,
        own: Rc::new(made),
    }
}

impl Lane for Reference {
    fn name(&self) -> &'static str {
        self.name
    }

    fn opening(&self) -> u64 {
        self.opening
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn bits(&self) -> Option<u32> {
        Some(self.faults.bits.get().unwrap_or(Precision::FLOAT32))
    }

    fn refuses(&self, graph: &Graph) -> Option<Error> {
        let refused = self.faults.refused.borrow();
        let node = graph.nodes.iter().find(|node| Some(&node.op_type) == refused.as_ref())?;
        let text = format!("the lane '{}' does not take {}", self.name, node.op_type);
        Some(Error::new(Kind::Unsupported, text).in_node(&node.name))
    }

    fn adds_up(&self) -> bool {
        true
    }

    fn holds(&self, graph: &Graph) -> bool {
        let mut constants = graph.values.iter().filter_map(|value| value.constant.as_ref());
        constants.any(|constant| self.book.borrow().contains(&constant.hash))
    }

    fn check(&self) -> Result<()> {
        self.lost()
    }

    fn cause(&self, error: Error) -> Task<'_, Error> {
        Box::pin(async move { self.lost().err().unwrap_or(error) })
    }

    fn prepare<'a>(&'a self, holder: u64, order: Order<'_>, progress: &'a Progress<'a>) -> Task<'a, Result<Compiled>> {
        let graph = order.graph;
        let names = graph.outputs.iter().map(|&id| graph.value(id).name.clone()).collect();
        let kept = (0..graph.outputs.len()).map(|i| order.residency.output(i)).collect();
        let mut made = Made { graph: graph.clone(), special: order.special.clone(), kept };
        // The lane's own store has what it needs.
        made.graph.values.iter_mut().for_each(|value| value.constant = None);
        let first = made.special.inputs.first().and_then(|id| made.special.tensors[id.0].ty.shape.first().copied());
        Box::pin(async move {
            self.lost()?;
            self.prepared.set(self.prepared.get() + 1);
            for _ in 0..self.faults.builds_ms.get() {
                next_turn().await;
            }
            if first.is_some() && first == self.faults.batch.get() {
                return Err(Error::new(Kind::Unsupported, format!("the lane '{}' takes no such batch", self.name)));
            }
            let weights = self.bring(holder, &mut made.special, progress)?;
            next_turn().await;
            self.fails(&self.faults.preparations, "a preparation")?;
            (progress.compile)(made.special.nodes.len(), made.special.nodes.len());
            Ok(Compiled { built_ms: self.faults.builds_ms.get() as f64, ..compiled(made, weights, names) })
        })
    }

    fn turn(&self) -> Task<'_, Turn<'_>> {
        Box::pin(self.turn.lock())
    }

    fn execute<'a>(&'a self, works: &'a [Work], schedule: &'a Schedule, _share: usize) -> Task<'a, Result<Outcome>> {
        Box::pin(async move {
            self.lost()?;
            self.executed.borrow_mut().push(works.len());
            Reference::sound(works, schedule)?;
            self.stopping.set(false);
            for _ in 0..self.faults.turns.get() {
                next_turn().await;
                if self.stopping.take() {
                    self.stopped.set(self.stopped.get() + 1);
                    return Err(Error::new(Kind::Aborted, "as it was told"));
                }
            }
            self.lost()?;
            self.fails(&self.faults.executions, "an execution")?;
            let slots = &schedule.slots.bytes;
            let grown = slots
                .iter()
                .enumerate()
                .map(|(i, &b)| b.saturating_sub(self.arenas.borrow().get(i).copied().unwrap_or(0)));
            self.room(grown.sum())?;
            {
                let mut arenas = self.arenas.borrow_mut();
                let all = arenas.len().max(slots.len());
                arenas.resize(all, 0);
                arenas.iter_mut().zip(slots).for_each(|(have, &want)| *have = want.max(*have));
            }
            let outputs: Vec<Vec<Output>> = works.iter().map(|work| self.evaluated(work)).collect::<Result<_>>()?;
            self.traffic.executed();
            let read: u64 = outputs
                .iter()
                .flatten()
                .filter_map(Output::host)
                .map(|t| t.shape().iter().product::<usize>() as u64 * 4)
                .sum();
            if read > 0 {
                self.traffic.read_back(read);
            }
            let costs: Vec<DispatchCost> = works.iter().flat_map(|w| w.compiled.cost.dispatches.clone()).collect();
            let slower = if self.faults.slower.get() == 0.0 { 1.0 } else { self.faults.slower.get() };
            let (record_ms, total_ms) = (0.01, slower * (computed_ms(&costs) + RATES.readback_s * 1e3));
            let all = (0..works.len()).collect();
            let submits = vec![SubmitSpan { programs: all, submitted_ms: record_ms, done_ms: total_ms }];
            let programs: Vec<_> = works.iter().map(|work| Rc::clone(&work.compiled)).collect();
            let bytes = self.predict_bytes(&programs, &schedule.slots);
            Ok(Outcome { outputs, total_ms, record_ms, submits, bytes, awaited: read > 0 })
        })
    }

    fn stop(&self) {
        self.stopping.set(true);
    }

    fn upload<'a>(&'a self, tensor: &'a HostTensor) -> Task<'a, Result<Resident>> {
        Box::pin(async move { self.lost().and_then(|()| self.held(tensor.clone())) })
    }

    fn read<'a>(&'a self, tensor: &'a Resident) -> Task<'a, Result<HostTensor>> {
        Box::pin(async move {
            self.lost()?;
            self.traffic.read_back(tensor.bytes);
            self.of(tensor).cloned()
        })
    }

    fn counts(&self) -> Counts {
        Counts {
            weights: self.book.borrow().bytes(),
            arenas: self.arenas.borrow().iter().sum(),
            tensors: self.tensors.get(),
            ..Counts::default()
        }
    }

    fn most_bytes(&self) -> u64 {
        self.most.get()
    }

    fn weights_of(&self, holder: u64) -> (u64, u64) {
        self.book.borrow().bytes_of(holder)
    }

    fn predict_bytes(&self, programs: &[Rc<Compiled>], slots: &SlotPlan) -> u64 {
        let mut weights = BTreeMap::new();
        for made in programs.iter().filter_map(|program| program.own.downcast_ref::<Made>()) {
            weights.extend(made.special.tensors.iter().filter_map(|tensor| match tensor.source {
                Source::Constant(hash, _) => Some((hash, weight_bytes(bytes(&tensor.ty)))),
                _ => None,
            }));
        }
        weights.values().sum::<u64>() + slots.bytes.iter().sum::<u64>()
    }

    fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    fn release(&self, holder: u64) {
        let freed = self.book.borrow_mut().release(holder);
        freed.iter().for_each(|hash| drop(self.weights.borrow_mut().remove(hash)));
    }

    fn trim(&self) {
        self.arenas.borrow_mut().clear();
    }

    fn close(&self) {
        self.trim();
        *self.faults.lost.borrow_mut() = Some("it was closed".to_owned());
    }

    fn kernels(&self) -> Result<String> {
        Ok("references".to_owned())
    }

    fn measure(&self, _known: Option<Tuning>) -> Task<'_, Result<Measured>> {
        Box::pin(async { Ok(RATES) })
    }

    fn measured(&self) -> Measured {
        RATES
    }

    fn tuning(&self) -> Tuning {
        Tuning::default()
    }

    fn tune(&self) -> Task<'_, Result<()>> {
        Box::pin(async { self.lost() })
    }

    fn prepare_classes(&self) -> Task<'_, Result<()>> {
        Box::pin(async { self.lost() })
    }

    fn utilisation(&self, class: Class) -> Task<'_, Result<Option<f64>>> {
        Box::pin(async move {
            self.lost()?;
            if self.faults.unmeasured.get() == Some(class) {
                return Err(Error::new(Kind::Internal, "no such probe"));
            }
            Ok(Some(1.0))
        })
    }
}
