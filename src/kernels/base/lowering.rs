//! Where operators put their dispatches while a program is built: tensors by id, no memory places yet.

use super::chain::Chain;
use super::planes::APART;
use super::strides::{Strided, reshaped};
use super::{KernelCall, Tuning};
use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, DType, Source, Specialised, TensorId, TensorType};
use std::collections::HashMap;

/// Elements at whose multiples a part of a tensor may begin: WebGPU binds at multiples of 256 bytes.
const SLICED: usize = 64;

/// Where a tensor lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A weight, by content.
    Constant(ContentHash),
    /// A graph input, by index.
    Input(usize),
    /// Written by a dispatch.
    Computed,
    /// The same bytes as another tensor, under another shape.
    View(TensorId),
    /// A dense part of another tensor, from this element on; at a multiple of [`SLICED`].
    Slice(TensorId, usize),
}

/// A tensor of the program being built.
#[derive(Clone, Debug)]
pub struct LoweredTensor {
    /// Element type and shape.
    pub ty: TensorType,
    /// Where it lives.
    pub home: Home,
}

/// The dispatches so far, and the node that adds to them now.
#[derive(Debug, Default)]
pub struct Lowering<'a> {
    /// Tensors by id: those of the specialised graph, then temporaries.
    pub tensors: Vec<LoweredTensor>,
    /// Dispatches in order, each with the index of its node in [`Specialised::nodes`].
    pub calls: Vec<(usize, KernelCall)>,
    tuning: Tuning,
    repacks: bool,
    /// How many nodes read each tensor of the graph; an output of the graph is read once more.
    uses: Vec<usize>,
    /// Maps that a later one may take in, by the tensor that they write.
    open: HashMap<TensorId, (Chain, Option<KernelCall>)>,
    /// Where the elements lie of tensors that a dispatch only moves.
    moves: HashMap<TensorId, Strided>,
    node: usize,
    inputs: &'a [Option<TensorId>],
    outputs: &'a [Option<TensorId>],
}

impl<'a> Lowering<'a> {
    /// A lowering with the tensors of `graph` and no dispatches, whose kernels choose their variants by `tuning`.
    pub fn new(graph: &Specialised, tuning: Tuning) -> Self {
        let tensors = graph
            .tensors
            .iter()
            .map(|t| LoweredTensor {
                ty: t.ty.clone(),
                home: match &t.source {
                    Source::Input(i) => Home::Input(*i),
                    Source::Constant(hash, _) => Home::Constant(*hash),
                    Source::Node => Home::Computed,
                },
            })
            .collect();
        let mut uses = vec![0; graph.tensors.len()];
        let read = graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten()).chain(&graph.outputs);
        read.for_each(|id| uses[id.0] += 1);
        Lowering { tensors, tuning, uses, ..Default::default() }
    }

    /// What kernels choose their variants by.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Lets kernels move weights into a form that they read better: what does that will run once, not in each call.
    pub fn allow_repacks(&mut self) {
        self.repacks = true;
    }

    /// Whether they may.
    pub(in crate::kernels) fn repacks(&self) -> bool {
        self.repacks
    }

    /// Sets the node whose dispatches come next.
    pub fn enter(&mut self, node: usize, inputs: &'a [Option<TensorId>], outputs: &'a [Option<TensorId>]) {
        (self.node, self.inputs, self.outputs) = (node, inputs, outputs);
    }

    /// Input `i` of the node.
    pub fn input(&self, i: usize) -> Result<TensorId> {
        self.optional_input(i).ok_or_else(|| Error::new(Kind::InvalidModel, format!("input {i} is missing")))
    }

    /// Input `i` of the node, if it is given.
    pub fn optional_input(&self, i: usize) -> Option<TensorId> {
        self.inputs.get(i).copied().flatten()
    }

    /// Output `i` of the node; a temporary is made by the caller where the model leaves it out.
    pub fn output(&self, i: usize) -> Result<TensorId> {
        self.outputs
            .get(i)
            .copied()
            .flatten()
            .ok_or_else(|| Error::new(Kind::InvalidModel, format!("output {i} is missing")))
    }

    /// Output `i` of the node, if the model names it.
    pub fn optional_output(&self, i: usize) -> Option<TensorId> {
        self.outputs.get(i).copied().flatten()
    }

    /// Element type and shape of a tensor.
    pub fn ty(&self, id: TensorId) -> &TensorType {
        &self.tensors[id.0].ty
    }

    /// Elements from one plane of (batch, channels, spatial…) to the next: those of the plane, or more; see [`super::planes`].
    pub fn plane(&self, id: TensorId) -> usize {
        self.ty(id).shape.iter().skip(2).product()
    }

    /// Lays a tensor of (batch, channels, spatial…) out with its planes apart: one axis of as many elements as that takes.
    pub fn move_planes_apart(&mut self, id: TensorId) {
        let plane = self.plane(id).next_multiple_of(APART);
        let shape = &mut self.tensors[id.0].ty.shape;
        shape[2..].fill(1);
        if let Some(last) = shape.last_mut() {
            *last = plane;
        }
    }

    /// A new tensor for what one dispatch of the node hands to another; one that a map writes is read only once.
    pub fn temporary(&mut self, ty: TensorType) -> TensorId {
        self.tensors.push(LoweredTensor { ty, home: Home::Computed });
        TensorId(self.tensors.len() - 1)
    }

    /// Makes `output` the same bytes as `input`, which must have as many elements of the same width.
    pub fn view(&mut self, output: TensorId, input: TensorId) {
        self.tensors[output.0].home = Home::View(input);
    }

    /// A float32 tensor that is `of` from element `offset` on.
    pub fn slice(&mut self, of: TensorId, offset: usize, shape: Vec<usize>) -> TensorId {
        let ty = TensorType::new(DType::Float32, shape);
        self.tensors.push(LoweredTensor { ty, home: Home::Slice(of, offset) });
        TensorId(self.tensors.len() - 1)
    }

    /// Makes `part`, which only this node reads, a part of `of` from element `offset` on, and says whether it can be one.
    pub(in crate::kernels) fn place_in(&mut self, part: TensorId, of: TensorId, offset: usize) -> bool {
        let able = offset.is_multiple_of(SLICED) && self.is_private(part, 1);
        if able {
            self.tensors[part.0].home = Home::Slice(of, offset);
        }
        able
    }

    /// The tensor whose bytes `id` are, seen through views and slices.
    pub fn root(&self, mut id: TensorId) -> TensorId {
        while let Home::View(of) | Home::Slice(of, _) = self.tensors[id.0].home {
            id = of;
        }
        id
    }

    /// The tensor that `id` is a view of, as long as every view on the way is read by one node alone.
    fn private_root(&self, mut id: TensorId) -> TensorId {
        while let Home::View(of) = self.tensors[id.0].home
            && self.uses.get(id.0).is_none_or(|&n| n == 1)
        {
            id = of;
        }
        id
    }

    /// Whether two tensors are the same bytes: one seen through views, or equal constants.
    pub fn same(&self, a: TensorId, b: TensorId) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        a == b
            || matches!((&self.tensors[a.0].home, &self.tensors[b.0].home), (Home::Constant(a), Home::Constant(b)) if a == b)
    }

    /// Whether a tensor is a weight, seen as it is or through views.
    pub(in crate::kernels) fn is_constant(&self, id: TensorId) -> bool {
        matches!(self.tensors[self.root(id).0].home, Home::Constant(_))
    }

    /// Takes the dispatch that writes `id` back; one that had taken in the map which writes `id` stands again without.
    pub(in crate::kernels) fn take_back(&mut self, id: TensorId) -> Option<KernelCall> {
        let at = self.calls.iter().rposition(|(_, call)| call.written() == Some(id))?;
        let (node, call) = self.calls.remove(at);
        if let Some((_, Some(before))) = self.open.remove(&id) {
            self.calls.push((node, before));
        }
        Some(call)
    }

    /// The last dispatch that writes `id`.
    pub(in crate::kernels) fn writer(&self, id: TensorId) -> Option<&KernelCall> {
        self.calls.iter().rev().map(|(_, call)| call).find(|call| call.written() == Some(id))
    }

    /// The map that writes `id`, if nobody reads that but `reads` nodes.
    pub(in crate::kernels) fn chain(&self, id: TensorId, reads: usize) -> Option<&Chain> {
        self.open.get(&id).map(|(chain, _)| chain).filter(|_| self.is_private(id, reads))
    }

    /// Whether nobody reads `id` but `reads` nodes.
    pub(in crate::kernels) fn is_private(&self, id: TensorId, reads: usize) -> bool {
        // A temporary is read once.
        let all = self.uses.get(id.0).is_none_or(|&n| n == reads);
        all && self.tensors[id.0].home == Home::Computed
    }

    /// Remembers a map for the one that reads what it writes, with the dispatch that took it in as it was before.
    pub(in crate::kernels) fn keep_chain(&mut self, id: TensorId, chain: Chain, before: Option<KernelCall>) {
        self.open.insert(id, (chain, before));
    }

    /// Puts `call` in the place of the last dispatch that writes `id`, which nobody reads any more.
    pub(in crate::kernels) fn replace_writer(&mut self, id: TensorId, call: KernelCall) {
        self.open.remove(&id);
        if let Some((_, before)) = self.calls.iter_mut().rev().find(|(_, call)| call.written() == Some(id)) {
            *before = call;
        }
    }

    /// Remembers that the dispatch which writes `id` only moves elements, and where from.
    pub(in crate::kernels) fn keep_move(&mut self, id: TensorId, from: Strided) {
        self.moves.insert(id, from);
    }

    /// Where the elements of `id` lie, by its axes, if they were moved there for one reader alone; and what the move writes.
    pub(in crate::kernels) fn moved(&self, id: TensorId) -> Option<(Strided, TensorId)> {
        let at = self.private_root(id);
        let from = self.moves.get(&at).filter(|_| self.is_private(at, 1))?;
        let strides = reshaped(&self.ty(at).shape, &from.strides, &self.ty(id).shape)?;
        Some((Strided { tensor: from.tensor, base: from.base, strides }, at))
    }

    /// The dispatch that writes `id`, seen as it is or through views, if only one node reads it; and what it writes.
    pub(in crate::kernels) fn private_writer(&self, id: TensorId) -> Option<(&KernelCall, TensorId)> {
        let at = self.private_root(id);
        self.writer(at).filter(|_| self.is_private(at, 1)).map(|call| (call, at))
    }

    /// Appends a dispatch.
    pub fn dispatch(&mut self, call: KernelCall) {
        self.calls.push((self.node, call));
    }

    /// Bytes of a tensor on the GPU.
    pub fn bytes(&self, id: TensorId) -> f64 {
        (self.ty(id).len() * 4) as f64
    }
}
