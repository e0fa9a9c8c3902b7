//! Programs of a processor: routines over one arena. Knows graph, routines and memory plans; must never know threads.

mod build;
mod groups;
mod places;
mod rewrite;

pub use build::build;
pub use places::named;

use super::{DispatchCost, Placed, Port};
use crate::graph::{ContentHash, HostTensor};
use crate::kernels::base::cpu::Routine;
use crate::kernels::base::cpu::lowering::Pack;
use crate::program::Place;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where an operand lies, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its place; nothing where it has no elements.
    pub place: Option<Place>,
    /// Its bytes.
    pub bytes: u64,
}

/// A routine with its operands.
#[derive(Debug)]
pub struct Step {
    /// The routine.
    pub routine: Box<dyn Routine>,
    /// What it reads, then what it writes.
    pub operands: Vec<Operand>,
    /// How many of them it reads.
    pub reads: usize,
    /// Where in the arena lies what its threads share.
    pub shared: Operand,
    /// The node in the graph.
    pub node: usize,
    /// What it should cost.
    pub cost: DispatchCost,
}

/// A weight as the file has it.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Its bytes.
    pub bytes: u64,
    /// Its elements while the host holds them.
    pub tensor: Option<Arc<HostTensor>>,
    /// Whether steps read it; otherwise it is there for what is made of it.
    pub used: bool,
}

/// A weight in another form.
pub struct Made {
    /// The weight.
    pub of: ContentHash,
    /// Bytes of the form.
    pub bytes: u64,
    /// Makes it.
    pub pack: Pack,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("of", &self.of).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What a processor executes.
#[derive(Debug, Default)]
pub struct Program {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// Weights of the file.
    pub weights: BTreeMap<ContentHash, Weight>,
    /// Weights in other forms.
    pub made: BTreeMap<ContentHash, Made>,
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Size of the arena in bytes.
    pub arena_bytes: u64,
    /// Most bytes of it alive at one time.
    pub live_bytes: u64,
    /// What lies where in it, when.
    pub layout: Vec<Placed>,
    /// Floats that each thread needs beside it.
    pub scratch: usize,
}
