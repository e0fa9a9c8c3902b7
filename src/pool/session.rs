//! One loaded model: its graph, the programs it was compiled to for each set of shapes, and the check of its feeds.
//! Knows graphs and preparation; must never know strategies or predictions.

use super::report::MemoryMap;
use super::tensors::{Feed, Keep};
use super::{Inner, Source};
use crate::error::{Error, Kind, Result};
use crate::graph::{DType, Dim, FOLDED_ELEMENTS, Graph, ValueId, specialise};
use crate::kernels::{Registry, Tuning};
use crate::lane::gpu::{Prepared, Progress};
use crate::lane::host::LocalFuture;
use crate::onnx::{content_hash, read};
use crate::program::{ProgramCost, Residency, build, halved};
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Inputs of one call by name.
pub type Feeds = BTreeMap<String, Feed>;
/// Shapes of the inputs of one call by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// What a program is compiled for: the shapes of all inputs, and which inputs and outputs stay on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    shapes: Vec<Vec<usize>>,
    residency: Residency,
}

impl Form {
    /// Inputs of these shapes from the host, outputs back to it.
    pub(super) fn of(shapes: Vec<Vec<usize>>) -> Form {
        Form { shapes, residency: Residency::default() }
    }
}

/// Forms for which a session keeps its programs.
const KEPT: usize = 16;

/// What a load is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Bytes of files.
    Download,
    /// The file read to a graph.
    Decode,
    /// Bytes of weights to the GPU.
    Upload,
    /// Pipelines.
    Compile,
    /// The first call may come.
    Ready,
}

/// Where a load reports how far it is: phase, done, total.
pub type LoadProgress<'a> = dyn Fn(Phase, u64, u64) + 'a;

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
    pub(super) prepared: Rc<Prepared>,
    pub(super) cost: Rc<ProgramCost>,
    pub(super) output_names: Vec<String>,
}

type Preparation = Shared<LocalFuture<Result<Rc<Ready>>>>;

/// One loaded model.
#[derive(Debug)]
pub struct Session {
    /// Number in its pool.
    pub id: u64,
    /// Name in messages and reports.
    pub name: String,
    graph: RefCell<Graph>,
    /// Every program of a session has the same variants, so that equal inputs give equal results.
    tuning: Tuning,
    /// Whether large weights lie on the device as f16.
    halves: bool,
    /// Programs by form, used last at the end.
    programs: RefCell<Vec<(Form, Preparation)>>,
}

impl Session {
    pub(super) fn read(id: u64, source: Source, tuning: Tuning) -> Result<Session> {
        let graph = read(&source.name, source.bytes, &source.external, &Registry)?;
        let (name, halves) = (source.name, source.halves);
        let tuning = if source.half_products { tuning } else { tuning.whole() };
        Ok(Session { id, name, graph: RefCell::new(graph), tuning, halves, programs: RefCell::default() })
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
    fn shapes_for(&self, free: &BTreeMap<String, usize>) -> (Vec<Vec<usize>>, bool) {
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
        let program = Rc::clone(&self.ready().pop()?.prepared.program);
        Some(MemoryMap {
            arena: program.arena_bytes,
            live_bytes: program.live_bytes,
            steps: program.dispatches.len() + 2,
            tensors: program.layout.clone(),
        })
    }

    /// Forgets the host's copy of large weights that the lane holds now, or has made others of: other shapes may need these
    /// as they are, if there are any.
    fn forget(&self, prepared: &Prepared) {
        let mut graph = self.graph.borrow_mut();
        let dims = graph.inputs.iter().flat_map(|&id| graph.value(id).dims.iter().flatten());
        let fixed = dims.into_iter().all(|d| matches!(d, Dim::Fixed(_)));
        for constant in graph.values.iter_mut().filter_map(|v| v.constant.as_mut()) {
            let large = constant.shape.iter().product::<usize>() > FOLDED_ELEMENTS;
            let held = |hash| prepared.program.weights.contains_key(&hash);
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

impl Inner {
    /// Makes a session ready for the shapes that its caller expects, or for the smallest where none are said.
    pub(super) async fn prepare_at_load(
        self: &Rc<Self>,
        session: &Rc<Session>,
        free: &BTreeMap<String, usize>,
        progress: &LoadProgress<'_>,
    ) -> Result<()> {
        let (shapes, all_said) = session.shapes_for(free);
        match self.prepare(session, Form::of(shapes), Some(progress)).await {
            // A size of 1 was a guess: what it cannot do, a call with real shapes may.
            Err(e) if !all_said && e.kind() == Kind::InvalidInput => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The session's program for `form`: at once where it was met before, else compiled now.
    pub(super) async fn prepare(
        self: &Rc<Self>,
        session: &Rc<Session>,
        form: Form,
        progress: Option<&LoadProgress<'_>>,
    ) -> Result<Rc<Ready>> {
        if let Some(progress) = progress {
            return self.compile(session, &form, Some(progress)).await.inspect(|ready| {
                let done: LocalFuture<_> = Box::pin(std::future::ready(Ok(Rc::clone(ready))));
                session.programs.borrow_mut().push((form, done.shared()));
            });
        }
        let known = {
            let mut programs = session.programs.borrow_mut();
            let at = programs.iter().position(|(key, _)| *key == form);
            at.map(|at| {
                let entry = programs.remove(at);
                programs.push(entry.clone());
                entry.1
            })
        };
        if let Some(known) = known {
            return known.await;
        }
        let (inner, of, key) = (Rc::clone(self), Rc::clone(session), form.clone());
        let compile: LocalFuture<_> = Box::pin(async move { inner.compile(&of, &key, None).await });
        let compile = compile.shared();
        {
            let mut programs = session.programs.borrow_mut();
            if programs.len() >= KEPT {
                drop(programs.remove(0));
            }
            programs.push((form.clone(), compile.clone()));
        }
        let result = compile.await;
        if result.is_err() {
            session.programs.borrow_mut().retain(|(key, _)| *key != form);
        }
        result
    }

    async fn compile(&self, session: &Session, form: &Form, progress: Option<&LoadProgress<'_>>) -> Result<Rc<Ready>> {
        self.preparations.set(self.preparations.get() + 1);
        self.preparing.set(self.preparing.get() + 1);
        let result = self.compile_now(session, form, progress).await.map_err(|e| e.in_model(&session.name));
        self.preparing.set(self.preparing.get() - 1);
        result
    }

    async fn compile_now(
        &self,
        session: &Session,
        form: &Form,
        progress: Option<&LoadProgress<'_>>,
    ) -> Result<Rc<Ready>> {
        let program = {
            let graph = session.graph.borrow();
            let special = specialise(&graph, &Registry, content_hash, &form.shapes)?;
            let residency =
                Residency { halves: session.halves, short: self.budget.is_some(), ..form.residency.clone() };
            build(&graph, &special, &residency, session.tuning)?
        };
        let cost = Rc::new(program.cost(&session.name));
        let output_names = program.outputs.iter().map(|p| p.name.clone()).collect();
        let report = |phase, done, total| {
            if let Some(progress) = progress {
                progress(phase, done, total);
            }
        };
        let progress = Progress {
            upload: &|done, total| report(Phase::Upload, done, total),
            compile: &|done, total| report(Phase::Compile, done as u64, total as u64),
        };
        let prepared = Rc::new(self.lane.prepare(session.id, program, &progress).await?);
        session.forget(&prepared);
        Ok(Rc::new(Ready { prepared, cost, output_names }))
    }
}
