//! What a lane is asked to make ready and to execute, and what it says of that. Knows programs' sizes and costs; must
//! never know what a lane makes of them.

use super::tensor::{Input, Output};
use crate::graph::{ContentHash, Graph, Specialised};
use crate::kernels::Tuning;
use crate::program::{Extent, Placed, ProgramCost, Residency};
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

/// A graph with the shapes for which it is to be made ready.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// It, for one set of input shapes.
    pub special: &'a Specialised,
    /// What stays on the lane between calls, and how weights lie there.
    pub residency: &'a Residency,
    /// The kernel variants; those of [`super::Lane::tuning`] when the session was loaded.
    pub tuning: Tuning,
}

/// Where to report how far a preparation is.
pub struct Progress<'a> {
    /// Bytes of weights on the lane, and all of them.
    pub upload: &'a dyn Fn(u64, u64),
    /// Kernels compiled, and all of them.
    pub compile: &'a dyn Fn(usize, usize),
}

impl Progress<'_> {
    /// Reports nothing.
    pub const SILENT: Progress<'static> = Progress { upload: &|_, _| {}, compile: &|_, _| {} };
}

/// What a program takes of memory, in bytes, beside its weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Kernel parameters.
    pub parameters: u64,
    /// Arena.
    pub arena: u64,
    /// Most bytes of the arena alive at one time: what no plan can go below.
    pub live: u64,
    /// Steps: the upload, each dispatch, the download.
    pub steps: usize,
    /// What lies where in the arena, when.
    pub layout: Vec<Placed>,
}

/// A program that is ready on a lane.
pub struct Compiled {
    /// What the predictor sees of it; the lane leaves the model's name empty.
    pub cost: ProgramCost,
    /// What a schedule sees of it.
    pub extent: Extent,
    /// Names of its outputs, in the model's order.
    pub outputs: Vec<String>,
    /// What it takes of memory.
    pub footprint: Footprint,
    /// Weights that the lane holds for it: the host need not.
    pub weights: BTreeSet<ContentHash>,
    /// What it took to bring its weights, in milliseconds; nothing where that is part of what follows.
    pub brought_ms: f64,
    /// What it took to make it ready then.
    pub built_ms: f64,
    /// What the lane made; nobody else looks into it.
    pub own: Rc<dyn Any>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("extent", &self.extent).finish_non_exhaustive()
    }
}

/// One request: a program and its inputs, in the model's order.
#[derive(Clone, Debug)]
pub struct Work {
    /// The program.
    pub compiled: Rc<Compiled>,
    /// Each input.
    pub inputs: Vec<Input>,
}

/// When one submit was made and finished, in milliseconds from the start of the execution.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmitSpan {
    /// Requests with dispatches in it.
    pub programs: Vec<usize>,
    /// When it was handed to the queue.
    pub submitted_ms: f64,
    /// When the queue was seen to have finished it.
    pub done_ms: f64,
}

/// What an execution gave, and what it took.
#[derive(Debug)]
pub struct Outcome {
    /// Outputs of each request, in the model's order.
    pub outputs: Vec<Vec<Output>>,
    /// From the start of recording until the outputs were read, in milliseconds.
    pub total_ms: f64,
    /// Of that, until the last submit.
    pub record_ms: f64,
    /// Each submit.
    pub submits: Vec<SubmitSpan>,
    /// Bytes that it held, by the allocator.
    pub bytes: u64,
    /// Whether its end was waited for; where every output stays on the lane, nobody needs to.
    pub awaited: bool,
}
