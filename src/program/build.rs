//! Builds a program: lowers every live node, dedupes shaders, plans the arena, packs parameters.

use super::DispatchCost;
use super::data::{BoundRange, Dispatch, KernelSource, Place, Placed, Port, Program, Residency, Weight, halved};
use super::fuse::fuse;
use super::hoist::{Hoisted, hoist};
use super::planes;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, ContentHash, DType, Graph, Operand, Source, SpecialNode, Specialised, TensorId};
use crate::kernels::attention::SLICE_BYTES;
use crate::kernels::{Home, Kernel, KernelCall, Lowering, Registry, Tuning, endings, wgsl};
use crate::memory::{ALIGNMENT, Item, plan_arena};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Lowers `special` (a specialisation of `graph`) to a program that leaves on the device what `residency` says.
/// Errors name the node.
pub fn build(graph: &Graph, special: &Specialised, residency: &Residency, tuning: Tuning) -> Result<Program> {
    build_sliced(graph, special, residency, tuning, SLICE_BYTES)
}

/// The same, with attention in slices of about `slice_bytes` of scores where all take more.
pub fn build_sliced(
    graph: &Graph,
    special: &Specialised,
    residency: &Residency,
    tuning: Tuning,
    slice_bytes: usize,
) -> Result<Program> {
    let mut lowering = Lowering::new(special, tuning);
    // What lies as f16 is unpacked by whoever reads it; and what a weight is made of lies beside it for a while.
    let repacks = !residency.halves && !residency.short;
    if repacks {
        lowering.allow_repacks();
    }
    let all = special.nodes.iter().map(|node| called(graph, special, node));
    let of_nodes = all.map(|found| found.map(|(kernel, call)| kernel.planes(&call))).collect::<Result<Vec<_>>>()?;
    planes::apart(special, &of_nodes).into_iter().for_each(|id| lowering.move_planes_apart(id));
    let fused = fuse(graph, special, tuning, slice_bytes);
    for (index, node) in special.nodes.iter().enumerate() {
        if fused.gone.contains(&index) && !fused.attention.contains_key(&index) {
            continue;
        }
        let (kernel, call) = called(graph, special, node)?;
        lowering.enter(index, &node.inputs, &node.outputs);
        if let Some((attention, way)) = fused.attention.get(&index) {
            attention.lower(way, &mut lowering).map_err(|e| e.in_node(call.node))?;
            continue;
        }
        kernel.lower(&call, &mut lowering).map_err(|e| e.in_node(call.node))?;
    }
    endings::join(&mut lowering);
    let hoisted = if repacks { hoist(special, &mut lowering) } else { vec![] };
    assemble(special, &lowering, &hoisted, residency, &|node| graph.nodes[node].name.clone())
}

/// What computes a node, and with what.
fn called<'a>(graph: &'a Graph, special: &Specialised, node: &SpecialNode) -> Result<(&'static dyn Kernel, Call<'a>)> {
    let source = &graph.nodes[node.node];
    let kernel = Registry.kernel(&source.domain, &source.op_type).ok_or_else(|| {
        Error::new(Kind::Unsupported, format!("operator {} has no GPU kernel", source.op_type)).in_node(&source.name)
    })?;
    let operand = |id: &TensorId| {
        let tensor = &special.tensors[id.0];
        let value = if let Source::Constant(_, value) = &tensor.source { value.clone() } else { None };
        Operand { ty: tensor.ty.clone(), value }
    };
    let call = Call {
        node: &source.name,
        attributes: &source.attributes,
        opset: graph.opset.get(&source.domain).copied().unwrap_or(1),
        inputs: node.inputs.iter().map(|id| id.as_ref().map(operand)).collect(),
        outputs: node.outputs.len(),
    };
    Ok((kernel, call))
}

/// The program of dispatches that are lowered already; `name` gives a node's name for errors.
pub(super) fn assemble(
    special: &Specialised,
    lowering: &Lowering<'_>,
    hoisted: &[Hoisted],
    residency: &Residency,
    name: &dyn Fn(usize) -> String,
) -> Result<Program> {
    let places = Places::plan(special, lowering, residency);
    let halves = if residency.halves { halvable(special, lowering) } else { BTreeSet::new() };
    let mut program = Program { arena_bytes: places.arena_bytes, live_bytes: places.live_bytes, ..Program::default() };
    program.layout = places.layout.clone();
    let mut kernels = HashMap::new();
    for (index, call) in &lowering.calls {
        let node = special.nodes[*index].node;
        let dispatch = program.dispatch(call, &places, lowering, node, &halves, &mut kernels);
        program.dispatches.extend(dispatch.map_err(|e| e.in_node(&name(node)))?);
    }
    let mut made = BTreeSet::new();
    for hoisted in hoisted.iter().filter(|h| made.insert(h.makes)) {
        let node = special.nodes[hoisted.node].node;
        let dispatch = program.dispatch(&hoisted.call, &places, lowering, node, &halves, &mut kernels);
        program.making.dispatches.extend(dispatch.map_err(|e| e.in_node(&name(node)))?);
    }
    let port = |(id, resident): (TensorId, bool)| port(special, &places, id, resident);
    program.inputs = (0..).zip(&special.inputs).map(|(i, &id)| port((id, residency.input(i)))).collect();
    program.outputs = (0..).zip(&special.outputs).map(|(i, &id)| port((id, residency.output(i)))).collect();
    program.collect_weights(special, hoisted, &halves);
    Ok(program)
}

fn port(special: &Specialised, places: &Places, id: TensorId, resident: bool) -> Port {
    let tensor = &special.tensors[id.0];
    let place = if tensor.ty.is_empty() { None } else { places.of[id.0].map(|(place, _)| place) };
    Port { name: tensor.name.clone(), ty: tensor.ty.clone(), place, resident }
}

impl Program {
    /// `call` as a dispatch; nothing where it computes nothing.
    fn dispatch(
        &mut self,
        call: &KernelCall,
        places: &Places,
        lowering: &Lowering<'_>,
        node: usize,
        halves: &BTreeSet<ContentHash>,
        kernels: &mut HashMap<KernelSource, usize>,
    ) -> Result<Option<Dispatch>> {
        let writes = call.shader.slots.iter().zip(&call.bindings).filter(|(slot, _)| slot.writes);
        let nothing = writes.map(|(_, b)| lowering.ty(b.tensor)).all(|ty| ty.is_empty());
        if nothing || call.workgroups.contains(&0) {
            return Ok(None);
        }
        if call.workgroups.iter().any(|&n| n > 65_535) || call.params.len() > 64 {
            return Err(Error::new(
                Kind::Internal,
                format!("kernel '{}' asks for {:?} workgroups", call.shader.name, call.workgroups),
            ));
        }
        let mut ranges = Vec::with_capacity(call.bindings.len());
        let mut packed = Vec::with_capacity(call.bindings.len());
        for binding in &call.bindings {
            let (place, offset) = places.of[binding.tensor.0].ok_or_else(|| {
                let text = format!("kernel '{}' over a tensor without elements", call.shader.name);
                Error::new(Kind::Unsupported, text)
            })?;
            let bytes = lowering.ty(binding.tensor).len() as u64 * 4;
            packed.push(matches!(place, Place::Weight(hash) if halves.contains(&hash)));
            ranges.push(match place {
                Place::Weight(hash) if halves.contains(&hash) => {
                    BoundRange { place: Place::Weight(halved(hash)), offset, bytes: bytes / 2 }
                }
                _ => BoundRange { place, offset, bytes },
            });
        }
        let same_as: Vec<usize> =
            (0..ranges.len()).map(|i| (0..i).find(|&j| ranges[j] == ranges[i]).unwrap_or(i)).collect();
        let written = |i: usize| call.shader.slots.get(i).is_some_and(|slot| slot.writes);
        let read_only: Vec<bool> =
            (0..ranges.len()).map(|i| matches!(ranges[i].place, Place::Weight(_)) && !written(i)).collect();
        let own: Vec<usize> = (0..ranges.len()).filter(|&i| same_as[i] == i).collect();
        let source = KernelSource {
            name: call.shader.name,
            wgsl: wgsl::assemble(call, &read_only, &same_as, &packed)?,
            constants: call.constants.iter().map(|(name, value)| (*name, value.to_bits())).collect(),
            read_only: own.iter().map(|&i| read_only[i]).collect(),
        };
        let next = kernels.len();
        let kernel = *kernels.entry(source.clone()).or_insert(next);
        if kernel == next {
            self.kernels.push(source);
        }
        let params_offset = self.params.len() as u64;
        self.params.extend(call.params.iter().flat_map(|w| w.to_le_bytes()));
        self.params.resize(self.params.len().next_multiple_of(ALIGNMENT as usize), 0);
        if call.params.is_empty() {
            self.params.resize(self.params.len() + ALIGNMENT as usize, 0);
        }
        let saved: f64 = ranges.iter().zip(&packed).filter(|(_, packed)| **packed).map(|(r, _)| r.bytes as f64).sum();
        Ok(Some(Dispatch {
            kernel,
            bindings: own.iter().map(|&i| ranges[i]).collect(),
            params_offset,
            workgroups: call.workgroups,
            node,
            cost: DispatchCost { class: call.shader.class, flops: call.flops, bytes: call.bytes - saved },
        }))
    }

    fn collect_weights(&mut self, special: &Specialised, hoisted: &[Hoisted], halves: &BTreeSet<ContentHash>) {
        let weight = |place| if let Place::Weight(hash) = place { Some(hash) } else { None };
        let bound = |all: &[Dispatch]| -> BTreeSet<ContentHash> {
            all.iter().flat_map(|d| d.bindings.iter().filter_map(|b| weight(b.place))).collect()
        };
        let ports = self.outputs.iter().filter_map(|p| weight(p.place?));
        let used: BTreeSet<ContentHash> = ports.chain(bound(&self.dispatches)).collect();
        let read = bound(&self.making.dispatches);
        for Hoisted { makes, bytes, .. } in hoisted {
            self.weights.insert(*makes, Weight { bytes: *bytes, halves: false, made: true, tensor: None });
        }
        for tensor in &special.tensors {
            let Source::Constant(hash, value) = &tensor.source else { continue };
            let as_f16 = halves.contains(hash);
            let lies = if as_f16 { halved(*hash) } else { *hash };
            let of = if used.contains(&lies) { &mut self.weights } else { &mut self.making.weights };
            if used.contains(&lies) || read.contains(&lies) {
                let bytes = tensor.ty.len() as u64 * if as_f16 { 2 } else { 4 };
                let entry = of.entry(lies).or_insert(Weight { bytes, halves: as_f16, made: false, tensor: None });
                if entry.tensor.is_none() {
                    entry.tensor = value.clone();
                }
            }
        }
    }
}

/// Elements from which on a weight may lie as f16: biases and factors are small, and errors of theirs are everyone's.
const HALVED: usize = 1024;

/// The weights that may lie as f16: large ones that kernels only read, whole.
fn halvable(special: &Specialised, lowering: &Lowering<'_>) -> BTreeSet<ContentHash> {
    let hash = |id: TensorId| match &special.tensors.get(id.0)?.source {
        Source::Constant(hash, _) => Some(*hash),
        _ => None,
    };
    let floats = special
        .tensors
        .iter()
        .filter(|t| t.ty.dtype == DType::Float32 && t.ty.len() >= HALVED && t.ty.len().is_multiple_of(4));
    let large = floats.filter_map(|t| if let Source::Constant(hash, _) = &t.source { Some(*hash) } else { None });
    let sliced = lowering
        .tensors
        .iter()
        .filter_map(|t| if let Home::Slice(of, _) = t.home { hash(lowering.root(of)) } else { None });
    let whole: BTreeSet<ContentHash> =
        special.outputs.iter().filter_map(|&id| hash(lowering.root(id))).chain(sliced).collect();
    large.filter(|hash| !whole.contains(hash)).collect()
}

/// The place of every tensor.
struct Places {
    /// With bytes after the beginning of the place.
    of: Vec<Option<(Place, u64)>>,
    layout: Vec<Placed>,
    arena_bytes: u64,
    live_bytes: u64,
}

impl Places {
    fn plan(special: &Specialised, lowering: &Lowering<'_>, residency: &Residency) -> Places {
        let root = |id: TensorId| lowering.root(id).0;
        // Step 0 uploads, step i + 1 is dispatch i, the last step downloads.
        let last = lowering.calls.len() + 1;
        let mut lives: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut touch = |tensor: usize, step: usize| {
            let life = lives.entry(tensor).or_insert((step, step));
            *life = (life.0.min(step), life.1.max(step));
        };
        for (i, (_, call)) in lowering.calls.iter().enumerate() {
            for binding in &call.bindings {
                touch(root(binding.tensor), i + 1);
            }
        }
        for &id in &special.outputs {
            touch(root(id), last);
        }
        let mut own: BTreeMap<usize, usize> = BTreeMap::new();
        for (i, &id) in special.inputs.iter().enumerate().filter(|(i, _)| residency.input(*i)) {
            own.insert(id.0, i);
        }
        for (i, &id) in special.outputs.iter().enumerate().filter(|(i, _)| residency.output(*i)) {
            // What is also another port, or a weight, is copied at the end instead.
            if matches!(lowering.tensors[root(id)].home, Home::Computed) {
                own.entry(root(id)).or_insert(special.inputs.len() + i);
            }
        }
        let mut items = Vec::new();
        let mut owners = Vec::new();
        for (&tensor, &(first, end)) in &lives {
            let lowered = &lowering.tensors[tensor];
            let first = if matches!(lowered.home, Home::Input(_)) { 0 } else { first };
            if matches!(lowered.home, Home::Input(_) | Home::Computed)
                && !lowered.ty.is_empty()
                && !own.contains_key(&tensor)
            {
                items.push(Item { bytes: lowered.ty.len() as u64 * 4, first, last: end });
                owners.push(tensor);
            }
        }
        let plan = plan_arena(&items);
        let placed = |((&tensor, item), &offset): ((&usize, &Item), &u64)| Placed {
            name: special.tensors.get(tensor).map(|t| t.name.clone()).unwrap_or_default(),
            offset,
            bytes: item.bytes,
            first_step: item.first,
            last_step: item.last,
        };
        let layout = owners.iter().zip(&items).zip(&plan.offsets).map(placed).collect();
        let offsets: BTreeMap<usize, u64> = owners.into_iter().zip(plan.offsets).collect();
        let place = |id: usize| {
            let (mut at, mut offset) = (id, 0);
            while let Home::View(of) | Home::Slice(of, _) = &lowering.tensors[at].home {
                if let Home::Slice(_, elements) = lowering.tensors[at].home {
                    offset += elements as u64 * 4;
                }
                at = of.0;
            }
            let root = at;
            let place = match &lowering.tensors[root].home {
                Home::Constant(hash) => Some(Place::Weight(*hash)),
                _ if own.contains_key(&root) => own.get(&root).map(|&slot| Place::Own(slot)),
                _ => offsets.get(&root).map(|&offset| Place::Arena(offset)),
            };
            place.map(|place| (place, offset))
        };
        let of = (0..lowering.tensors.len()).map(place).collect();
        Places { of, layout, arena_bytes: plan.bytes, live_bytes: plan.live_bytes }
    }
}
