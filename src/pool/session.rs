//! One loaded model: its graph, the programs it was compiled to for each set of shapes, and the check of its feeds.
//! Knows graphs; must never know a lane, strategies or predictions.

use super::options::{Feeds, Shapes, Source};
use super::report::MemoryMap;
use super::tensors::{Feed, Keep};
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Dim, FOLDED_ELEMENTS, Graph, ValueId};
use crate::kernels::{Registry, Tuning};
use crate::lane::Compiled;
use crate::lane::host::LocalFuture;
use crate::onnx::read;
use crate::program::{Residency, halved};
use futures_util::future::Shared;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a program is compiled for: the shapes of all inputs, and which inputs and outputs stay on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub(super) shapes: Vec<Vec<usize>>,
    pub(super) residency: Residency,
}

impl Form {
    /// Inputs of these shapes from the host, outputs back to it.
    pub(super) fn of(shapes: Vec<Vec<usize>>) -> Form {
        Form { shapes, residency: Residency::default() }
    }
}

/// Forms for which a session keeps its programs.
pub(super) const KEPT: usize = 16;

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

/// A program on the lane with what the predictor sees of it.
#[derive(Debug)]
pub struct Ready {
    pub(super) compiled: Rc<Compiled>,
    /// Whether it has run before: a first run still pays the driver's own warm-up.
    pub(super) warm: Cell<bool>,
}

/// A program on its way.
pub(super) type Preparation = Shared<LocalFuture<Result<Rc<Ready>>>>;

/// One loaded model.
#[derive(Debug)]
pub struct Session {
    /// Number in its pool.
    pub id: u64,
    /// Name in messages and reports.
    pub name: String,
    /// Name of the lane that it runs on.
    pub lane: &'static str,
    pub(super) graph: RefCell<Graph>,
    /// Every program of a session has the same variants, so that equal inputs give equal results.
    pub(super) tuning: Tuning,
    /// Whether large weights lie on the device as f16.
    pub(super) halves: bool,
    /// Programs by form, used last at the end.
    pub(super) programs: RefCell<Vec<(Form, Preparation)>>,
}

impl Session {
    /// The graph of `source`, from its file.
    pub(super) fn graph_of(source: &mut Source) -> Result<Graph> {
        read(&source.name, std::mem::take(&mut source.bytes), &source.external, &Registry)
    }

    /// A session of `graph` on `lane`, whose programs are of the variants `tuning`.
    pub(super) fn new(id: u64, graph: Graph, source: &Source, lane: &'static str, tuning: Tuning) -> Session {
        let tuning = if source.half_products { tuning } else { tuning.whole() };
        let (name, halves) = (source.name.clone(), source.halves);
        Session { id, name, lane, graph: RefCell::new(graph), tuning, halves, programs: RefCell::default() }
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

    pub(super) fn inputs(&self, feeds: &Feeds) -> Result<Vec<Feed>> {
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
    pub(super) fn form(&self, inputs: &[Feed], keep: &Keep) -> Result<Form> {
        let graph = self.graph.borrow();
        let names: Vec<&str> = graph.outputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
        if let Keep::Only(kept) = keep
            && let Some(unknown) = kept.iter().find(|name| !names.contains(&name.as_str()))
        {
            return Err(self.refuse(format!("there is no output '{unknown}': the outputs are {}", names.join(", "))));
        }
        let mut seen = BTreeSet::new();
        let own = |feed: &Feed| match feed {
            Feed::Resident(tensor) => !tensor.ty.is_empty() && seen.insert(Rc::as_ptr(tensor)),
            Feed::Host(_) => false,
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
        Ok(Form { shapes: inputs.iter().map(|f| f.shape().to_vec()).collect(), residency })
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

    /// The programs that are ready, used last at the end.
    pub(super) fn ready(&self) -> Vec<Rc<Ready>> {
        let programs = self.programs.borrow();
        programs.iter().filter_map(|(_, p)| p.peek().and_then(|r| r.as_ref().ok()).map(Rc::clone)).collect()
    }

    /// Where the tensors of the program used last lie; nothing before the first is ready.
    pub(super) fn memory_map(&self) -> Option<MemoryMap> {
        let ready = self.ready().pop()?;
        let footprint = &ready.compiled.footprint;
        Some(MemoryMap {
            lane: self.lane,
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
