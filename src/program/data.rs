//! A program as plain data: what a lane executes and the predictor prices. Knows places and shaders; must never know how
//! it is made.

use super::schedule::Extent;
use super::{DispatchCost, ProgramCost};
use crate::graph::{ContentHash, HostTensor, TensorType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where bytes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A read-only buffer by content.
    Weight(ContentHash),
    /// The program's arena, at this offset in bytes.
    Arena(u64),
    /// A buffer of its own that the call brings or takes away: an input's index, or the number of inputs plus an
    /// output's index.
    Own(usize),
}

/// Which inputs and outputs lie in buffers of their own, so that they stay on the device between calls, and how weights lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Residency {
    /// By input, in the model's order; absent is `false`.
    pub inputs: Vec<bool>,
    /// By output, in the model's order; absent is `false`.
    pub outputs: Vec<bool>,
    /// Whether large weights lie there as f16.
    pub halves: bool,
    /// Whether memory is short: then no weight is repacked.
    pub short: bool,
}

impl Residency {
    /// Whether input `i` comes in a buffer of its own.
    pub fn input(&self, i: usize) -> bool {
        self.inputs.get(i).copied().unwrap_or(false)
    }

    /// Whether output `i` goes to a buffer of its own.
    pub fn output(&self, i: usize) -> bool {
        self.outputs.get(i).copied().unwrap_or(false)
    }
}

/// A weight that a program reads.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Size on the device.
    pub bytes: u64,
    /// Whether it lies there as f16.
    pub halves: bool,
    /// Whether it is made of others, by a dispatch of [`Making`].
    pub made: bool,
    /// Its elements, while the host holds them.
    pub tensor: Option<Arc<HostTensor>>,
}

/// What makes weights of others, once: before the first run.
#[derive(Clone, Debug, Default)]
pub struct Making {
    /// Dispatches in order; each writes one weight of the program.
    pub dispatches: Vec<Dispatch>,
    /// The weights that only these read.
    pub weights: BTreeMap<ContentHash, Weight>,
}

/// The content of a weight as f16.
pub fn halved(ContentHash(mut hash): ContentHash) -> ContentHash {
    // Equal contents stay equal, and no two others become so.
    hash.iter_mut().for_each(|byte| *byte ^= 0xf1);
    ContentHash(hash)
}

/// A range that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BoundRange {
    /// Where.
    pub place: Place,
    /// Bytes after the beginning of that place.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// A shader ready to compile; equal sources are one pipeline for all models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KernelSource {
    /// Name for labels.
    pub name: &'static str,
    /// Complete WGSL.
    pub wgsl: String,
    /// Values of `override` constants, as bits of f64 so that sources can be compared.
    pub constants: Vec<(&'static str, u64)>,
    /// For each storage binding, in order of binding number, whether it is read-only.
    pub read_only: Vec<bool>,
}

/// One dispatch over planned memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Index into [`Program::kernels`].
    pub kernel: usize,
    /// Storage bindings, in order of binding number from 1.
    pub bindings: Vec<BoundRange>,
    /// Offset of its parameters in [`Program::params`], in bytes.
    pub params_offset: u64,
    /// Workgroups in x, y, z.
    pub workgroups: [u32; 3],
    /// Index of its node in [`Graph::nodes`].
    pub node: usize,
    /// What it costs.
    pub cost: DispatchCost,
}

impl Dispatch {
    /// Whether it binds a buffer that each call brings.
    pub fn binds_own(&self) -> bool {
        self.bindings.iter().any(|b| matches!(b.place, Place::Own(_)))
    }
}

/// An input or output of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name in the model.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// Where it lies; `None` where nothing reads it, or it has no elements.
    pub place: Option<Place>,
    /// Whether it stays on the device, in a buffer of its own.
    pub resident: bool,
}

impl Port {
    /// Bytes on the GPU.
    pub fn bytes(&self) -> u64 {
        self.ty.len() as u64 * 4
    }
}

/// Where a tensor lies in a program's arena, and from which step to which. Step 0 uploads, step `i + 1` is dispatch
/// `i`, the last step downloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// Name in the model; empty for what one node hands from one of its dispatches to the next.
    pub name: String,
    /// Offset in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// First step that writes it.
    pub first_step: usize,
    /// Last step that reads it.
    pub last_step: usize,
}

/// A graph compiled for the `gpu` lane and one set of shapes: plain data.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Shaders, each once.
    pub kernels: Vec<KernelSource>,
    /// Dispatches in order.
    pub dispatches: Vec<Dispatch>,
    /// Inputs in the model's order.
    pub inputs: Vec<Port>,
    /// Outputs in the model's order.
    pub outputs: Vec<Port>,
    /// Size of the arena in bytes.
    pub arena_bytes: u64,
    /// Most arena bytes alive at one time: what no plan can go below.
    pub live_bytes: u64,
    /// What lies where in the arena, when.
    pub layout: Vec<Placed>,
    /// Uniform parameters of all dispatches, each at a multiple of 256 bytes.
    pub params: Vec<u8>,
    /// Weights that it reads, by what lies on the device.
    pub weights: BTreeMap<ContentHash, Weight>,
    /// What makes some of them.
    pub making: Making,
}

impl Program {
    /// What a schedule sees of it.
    pub fn extent(&self) -> Extent {
        Extent { dispatches: self.dispatches.len(), arena_bytes: self.arena_bytes }
    }

    /// What the predictor sees of it.
    pub fn cost(&self, model: &str) -> ProgramCost {
        let moved = |p: &&Port| p.place.is_some() && !p.resident;
        let bytes = |ports: &[Port]| ports.iter().filter(moved).map(Port::bytes).sum::<u64>() as f64;
        ProgramCost {
            model: model.to_owned(),
            dispatches: self.dispatches.iter().map(|d| d.cost).collect(),
            upload_bytes: bytes(&self.inputs),
            readback_bytes: bytes(&self.outputs),
            ..ProgramCost::default()
        }
    }
}
