//! One loaded model: its graph, its homes on lanes, and the check of its feeds.
//! Knows graphs; must never know a lane, strategies or predictions.

use super::builds::Builds;
use super::homes::{Form, Home};
use super::options::{Origin, Shapes, Source};
use super::report::{Answered, MemoryMap};
use super::routes::Routes;
use super::tensors::Keep;
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Dim, FOLDED_ELEMENTS, Graph, ValueId};
use crate::kernels::Registry;
use crate::lane::{Compiled, Input, Lane, Precision};
use crate::onnx::read;
use crate::program::{Residency, halved};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Type and shape of an input or output.
#[derive(Clone, Debug, Serialize)]
pub struct ValueInfo {
    /// Name in the model.
    pub name: String,
    /// Element type.
    #[serde(rename = "type")]
    pub dtype: DType,
    /// Dimensions; `Err` holds the name of a free one.
    pub shape: Vec<DimInfo>,
}

/// One dimension: a size, or the name of a free one.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum DimInfo {
    /// Known.
    Fixed(usize),
    /// Bound by each call.
    Free(String),
}

/// One loaded model.
#[derive(Debug)]
pub struct Session {
    /// Number in its pool.
    pub id: u64,
    /// Name in messages and reports.
    pub name: String,
    /// Names of the lanes that it may run on; all of the pool's where absent.
    pub(super) allowed: Option<Vec<String>>,
    /// Whether it keeps away from lanes that compute in less than float32.
    exact: bool,
    pub(super) graph: RefCell<Graph>,
    /// Whether large weights lie on the device as f16, and whether products may multiply such.
    pub(super) halves: bool,
    pub(super) half_products: bool,
    /// From where its file can be had again.
    origin: Option<Origin>,
    /// Where it lives, the home of the next call first.
    homes: RefCell<Vec<Rc<Home>>>,
    /// What its calls took.
    pub(super) routes: Routes,
    /// Openings of lanes for which it is made ready beside its calls, or was in vain.
    pub(super) visited: RefCell<BTreeSet<u64>>,
    /// Shapes that a lane refused when a call of them was to be made ready, by the number of its opening.
    pub(super) refused: RefCell<BTreeSet<(u64, Vec<Vec<usize>>)>>,
    /// Calls since the last that found its lane busy.
    pub(super) calm: Cell<u32>,
    /// Calls since the last of shapes that were not ready.
    pub(super) steady: Cell<u32>,
    /// The lane that answered its last call.
    pub(super) answered: Cell<Option<Answered>>,
    /// What it took to make it ready.
    pub(super) builds: Builds,
}

impl Session {
    /// The graph of `source`, from its file.
    pub(super) fn graph_of(source: &mut Source) -> Result<Graph> {
        read(&source.name, std::mem::take(&mut source.bytes), &source.external, &Registry)
    }

    /// A session of `graph` that lives nowhere yet.
    pub(super) fn new(id: u64, graph: Graph, source: &Source) -> Session {
        Session {
            id,
            name: source.name.clone(),
            allowed: source.lanes.clone(),
            exact: source.exact,
            graph: RefCell::new(graph),
            halves: source.halves,
            half_products: source.half_products,
            origin: source.origin.clone(),
            homes: RefCell::default(),
            routes: Routes::default(),
            visited: RefCell::default(),
            refused: RefCell::default(),
            calm: Cell::default(),
            steady: Cell::default(),
            answered: Cell::default(),
            builds: Builds::default(),
        }
    }

    /// Name of the lane of its next call; nothing once it was released.
    pub fn lane(&self) -> &'static str {
        self.home().map_or("", |home| home.lane.name())
    }

    /// Who answered its last call; nothing before the first.
    pub fn answered(&self) -> Option<Answered> {
        self.answered.get()
    }

    /// Where its next call runs.
    pub(super) fn home(&self) -> Option<Rc<Home>> {
        self.homes.borrow().first().cloned()
    }

    /// Its homes, that of the next call first.
    pub(super) fn homes(&self) -> Vec<Rc<Home>> {
        self.homes.borrow().clone()
    }

    /// Its home on the lane of that opening.
    pub(super) fn home_at(&self, opening: u64) -> Option<Rc<Home>> {
        self.homes.borrow().iter().find(|home| home.lane.opening() == opening).cloned()
    }

    /// Takes in a further home, or has the next call run at it.
    pub(super) fn moves_to(&self, home: &Rc<Home>) {
        let mut homes = self.homes.borrow_mut();
        homes.retain(|other| !Rc::ptr_eq(other, home));
        homes.insert(0, Rc::clone(home));
    }

    /// Takes in a further home, where the next call need not run.
    pub(super) fn visits(&self, home: &Rc<Home>) {
        self.homes.borrow_mut().push(Rc::clone(home));
    }

    /// Leaves the homes of which `gone` says so.
    pub(super) fn leaves(&self, gone: impl Fn(&Home) -> bool) {
        self.homes.borrow_mut().retain(|home| {
            let goes = gone(home);
            if goes {
                home.leave();
            }
            !goes
        });
    }

    /// Whether it may run on the lane of that name.
    pub(super) fn allows(&self, lane: &str) -> bool {
        self.allowed.as_ref().is_none_or(|lanes| lanes.iter().any(|name| name == lane))
    }

    /// Why it may not run on any lane of that name; nothing where it may.
    pub(super) fn refuses(&self, lane: &str) -> Option<Error> {
        (!self.allows(lane)).then(|| Error::new(Kind::Unsupported, "its load names other lanes"))
    }

    /// Why it may not run on `lane`; nothing where it may.
    pub(super) fn refusal(&self, lane: &dyn Lane) -> Option<Error> {
        if let Some(why) = self.refuses(lane.name()) {
            return Some(why);
        }
        let bits = lane.bits().filter(|&bits| self.exact && bits < Precision::FLOAT32);
        let fewer = |bits| {
            Error::new(Kind::Unsupported, format!("it computes in {bits} bits, which are fewer than float32 has"))
        };
        bits.map(fewer).or_else(|| lane.refuses(&self.graph.borrow()))
    }

    /// In what its products are computed on `lane`; nothing where that is not known.
    pub(super) fn precision(&self, lane: &dyn Lane) -> Option<Precision> {
        let bits = lane.bits()?;
        let halved = self.half_products && lane.tuning().halved;
        Some(Precision::of(if halved { bits.min(Precision::FLOAT16) } else { bits }))
    }

    /// Bytes of weights that are to be brought to `lane`.
    pub(super) fn weight_bytes(&self, lane: &dyn Lane) -> f64 {
        let graph = self.graph.borrow();
        if lane.holds(&graph) {
            return 0.0;
        }
        let constants = graph.values.iter().filter_map(|value| value.constant.as_ref());
        constants.map(|c| c.shape.iter().product::<usize>() as f64 * c.dtype.host_bytes() as f64).sum()
    }

    /// Whether its weights are here, or can be had again.
    pub(super) fn portable(&self) -> bool {
        self.origin.is_some() || whole(&self.graph.borrow())
    }

    /// Reads its file again where weights were forgotten: whether they were.
    pub(super) async fn refill(&self) -> Result<bool> {
        if whole(&self.graph.borrow()) {
            return Ok(false);
        }
        let gone =
            || Error::new(Kind::MissingData, "its weights are on another lane, and its file cannot be had again");
        let (bytes, external) = self.origin.as_ref().ok_or_else(gone)?.fetch().await?;
        let mut again = read(&self.name, bytes, &external, &Registry)?;
        let mut graph = self.graph.borrow_mut();
        for (value, again) in graph.values.iter_mut().zip(&mut again.values) {
            if let (Some(constant), Some(again)) = (&mut value.constant, &mut again.constant)
                && constant.tensor.is_none()
            {
                // A file that changed since is another model.
                constant.tensor = again.tensor.take().filter(|_| again.hash == constant.hash);
            }
        }
        if whole(&graph) { Ok(true) } else { Err(Error::new(Kind::MissingData, "its file is not what it was")) }
    }

    /// The model's inputs.
    pub fn input_info(&self) -> Vec<ValueInfo> {
        let graph = self.graph.borrow();
        graph.inputs.iter().map(|&id| info(&graph, id)).collect()
    }

    /// The model's outputs, as far as the file states them.
    pub fn output_info(&self) -> Vec<ValueInfo> {
        let graph = self.graph.borrow();
        graph.outputs.iter().map(|&id| info(&graph, id)).collect()
    }

    fn refuse(&self, message: String) -> Error {
        Error::new(Kind::InvalidInput, message).in_model(&self.name)
    }

    /// One value for each input, in the model's order; refuses names that are missing or unknown.
    fn in_order<T: Clone>(&self, given: &BTreeMap<String, T>) -> Result<Vec<T>> {
        let graph = self.graph.borrow();
        let names: Vec<&str> = graph.inputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
        if let Some(unknown) = given.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(self.refuse(format!("there is no input '{unknown}': the inputs are {}", names.join(", "))));
        }
        names
            .iter()
            .map(|&name| given.get(name).cloned().ok_or_else(|| self.refuse(format!("input '{name}' is missing"))))
            .collect()
    }

    pub(super) fn shapes(&self, shapes: &Shapes) -> Result<Vec<Vec<usize>>> {
        self.in_order(shapes)
    }

    pub(super) fn inputs(&self, feeds: &BTreeMap<String, Input>) -> Result<Vec<Input>> {
        let tensors = self.in_order(feeds)?;
        let graph = self.graph.borrow();
        for (&id, tensor) in graph.inputs.iter().zip(&tensors) {
            let value = graph.value(id);
            if let Some(expected) = value.dtype.filter(|&d| d != tensor.dtype()) {
                return Err(self.refuse(format!(
                    "input '{}' takes {}, not {}",
                    value.name,
                    expected.name(),
                    tensor.dtype().name()
                )));
            }
        }
        Ok(tensors)
    }

    /// What `inputs` and `keep` need compiled. A tensor that is fed twice is bound once and copied for the rest: one
    /// buffer cannot be two writable bindings of a dispatch.
    pub(super) fn form(&self, inputs: &[Input], keep: &Keep) -> Result<Form> {
        let graph = self.graph.borrow();
        let names: Vec<&str> = graph.outputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
        if let Keep::Only(kept) = keep
            && let Some(unknown) = kept.iter().find(|name| !names.contains(&name.as_str()))
        {
            return Err(self.refuse(format!("there is no output '{unknown}': the outputs are {}", names.join(", "))));
        }
        let mut seen = BTreeSet::new();
        let own = |input: &Input| match input {
            Input::Resident(tensor) => !tensor.ty.is_empty() && seen.insert(Rc::as_ptr(tensor)),
            Input::Host(_) => false,
        };
        let kept = |name: &&str| match keep {
            Keep::Nothing => false,
            Keep::All => true,
            Keep::Only(kept) => kept.contains(*name),
        };
        let (inside, outside) = (inputs.iter().map(own).collect(), names.iter().map(kept).collect());
        let mut residency = Residency { inputs: inside, outputs: outside, ..Residency::default() };
        if !residency.inputs.contains(&true) && !residency.outputs.contains(&true) {
            residency = Residency::default();
        }
        let mut values = vec![];
        if !graph.deciding.is_empty() {
            let value = |(i, input): (usize, &Input)| match input {
                _ if !graph.deciding.contains(&i) => Ok(None),
                Input::Host(tensor) if tensor.len() > MOST_DECIDING => Ok(None),
                Input::Host(tensor) => Ok(Some(Arc::new((**tensor).clone()))),
                Input::Resident(_) => {
                    let name = &graph.value(graph.inputs[i]).name;
                    Err(self.refuse(format!("input '{name}' decides what is computed: it must come from the host")))
                }
            };
            values = inputs.iter().enumerate().map(value).collect::<Result<_>>()?;
        }
        Ok(Form { shapes: inputs.iter().map(|input| input.shape().to_vec()).collect(), residency, values })
    }

    /// Shapes with every free dimension as `free` says, 1 where it does not; and whether it said all.
    pub(super) fn shapes_for(&self, free: &BTreeMap<String, usize>) -> (Vec<Vec<usize>>, bool) {
        let graph = self.graph.borrow();
        let mut all = true;
        let shapes = graph
            .inputs
            .iter()
            .map(|&id| {
                let dims = graph.value(id).dims.iter().flatten();
                dims.map(|d| match d {
                    Dim::Fixed(n) => *n,
                    Dim::Free(name) => free.get(name).copied().unwrap_or_else(|| {
                        all = false;
                        1
                    }),
                })
                .collect()
            })
            .collect();
        (shapes, all)
    }

    /// Where the tensors of the program used last lie; nothing before the first is ready.
    pub(super) fn memory_map(&self) -> Option<MemoryMap> {
        let home = self.home()?;
        let ready = home.ready().pop()?;
        let footprint = &ready.compiled.footprint;
        Some(MemoryMap {
            lane: home.lane.name(),
            arena: footprint.arena,
            live_bytes: footprint.live,
            steps: footprint.steps,
            tensors: footprint.layout.clone(),
        })
    }

    /// Forgets the host's copy of large weights that the lane holds now, or has made others of: other shapes may need these
    /// as they are, if there are any.
    pub(super) fn forget(&self, compiled: &Compiled) {
        let mut graph = self.graph.borrow_mut();
        let dims = graph.inputs.iter().flat_map(|&id| graph.value(id).dims.iter().flatten());
        let fixed = dims.into_iter().all(|d| matches!(d, Dim::Fixed(_)));
        for constant in graph.values.iter_mut().filter_map(|v| v.constant.as_mut()) {
            let large = constant.shape.iter().product::<usize>() > FOLDED_ELEMENTS;
            let held = |hash| compiled.weights.contains(&hash);
            if large && (fixed || held(constant.hash) || held(halved(constant.hash))) {
                constant.tensor = None;
            }
        }
    }
}

/// Whether the host has all weights of `graph`.
fn whole(graph: &Graph) -> bool {
    graph.values.iter().all(|v| v.constant.as_ref().is_none_or(|c| c.tensor.is_some()))
}

/// Elements of an input that programs are told apart by, at most.
const MOST_DECIDING: usize = 64;

fn info(graph: &Graph, id: ValueId) -> ValueInfo {
    let value = graph.value(id);
    let dim = |d: &Dim| match d {
        Dim::Fixed(n) => DimInfo::Fixed(*n),
        Dim::Free(name) => DimInfo::Free(name.clone()),
    };
    ValueInfo {
        name: value.name.clone(),
        dtype: value.dtype.unwrap_or(DType::Float32),
        shape: value.dims.iter().flatten().map(dim).collect(),
    }
}
