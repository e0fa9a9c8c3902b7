//! Builds a processor's program: routines where operators have them, their references where not.

use super::groups::{Group, Role, chain, groups};
use super::places::{Places, formed, named};
use super::rewrite::rewritten;
use super::{Made, Operand, Program, Step, Weight};
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, Graph, Operand as Given, Source, SpecialNode, Specialised, TensorId};
use crate::kernels::base::cpu::chain::Map;
use crate::kernels::base::cpu::lowering::Home;
use crate::kernels::base::cpu::{Reference, Steps};
use crate::kernels::{Registry, Tuning, ends, routine, term};
use crate::program::{DispatchCost, Place, Port, Residency, fuse};

/// With it attention is always one step where its pattern is found.
const STREAMED: Tuning = Tuning { streams: true, threads: 0, ..Tuning::SOFTWARE };

/// The program of `special`, a specialisation of `graph`, that leaves in place what `residency` says. Errors name the node.
pub fn build(graph: &Graph, special: &Specialised, residency: &Residency) -> Result<Program> {
    let Some(new) = rewritten(graph, special)? else { return built(graph, special, residency) };
    let mut program = built(&new.graph, &new.special, residency)?;
    for step in &mut program.steps {
        step.node = step.node.checked_sub(graph.nodes.len()).map_or(step.node, |added| new.of[added]);
    }
    Ok(program)
}

#[inline(never)]
fn built(graph: &Graph, special: &Specialised, residency: &Residency) -> Result<Program> {
    let fused = fuse(graph, special, STREAMED, 0);
    let role = |(index, node): (usize, &SpecialNode)| {
        if fused.gone.contains(&index) || fused.attention.contains_key(&index) {
            return Ok(Role::Alone);
        }
        let (call, source) = (called(graph, special, node), &graph.nodes[node.node]);
        Ok(match term(&source.domain, &source.op_type, &call).map_err(|e| e.in_node(&source.name))? {
            Some(term) => Role::Term(term),
            None if ends(&source.domain, &source.op_type) => Role::Ends,
            None => Role::Alone,
        })
    };
    let roles = special.nodes.iter().enumerate().map(role).collect::<Result<Vec<_>>>()?;
    let mut steps = Steps::new(special);
    for Group { nodes } in groups(special, &roles) {
        if let Some((attention, _)) = fused.attention.get(&nodes[0]) {
            steps.enter(nodes[0], &[], vec![]);
            attention.lower_on_processor(&mut steps);
            continue;
        }
        if fused.gone.contains(&nodes[0]) {
            continue;
        }
        if !grouped(graph, special, &roles, &nodes, &mut steps)? {
            // Each by itself, then.
            for &node in &nodes {
                if !grouped(graph, special, &roles, &[node], &mut steps)? {
                    lower(graph, special, node, None, &mut steps)?;
                }
            }
        }
    }
    steps.prune(&special.outputs);
    assemble(special, steps, residency)
}

/// Appends one step for all of `nodes`; `false` where there is none.
#[inline(never)]
fn grouped<'a>(
    graph: &Graph,
    special: &'a Specialised,
    roles: &[Role],
    nodes: &[usize],
    steps: &mut Steps<'a>,
) -> Result<bool> {
    let [first, .., last] = nodes else {
        let &[node] = nodes else { return Ok(true) };
        return match (&roles[node], special.nodes[node].outputs.as_slice()) {
            (Role::Term(_), &[Some(output)]) => Ok(map(special, roles, nodes, output, steps)),
            _ => lower(graph, special, node, None, steps).map(|()| true),
        };
    };
    let Some(output) = special.nodes[*last].outputs[0] else { return Ok(false) };
    match roles[*first] {
        Role::Term(_) => Ok(map(special, roles, nodes, output, steps)),
        _ => {
            steps.chain = chain(special, roles, nodes);
            lower(graph, special, *first, Some(output), steps)?;
            Ok(steps.chain.take().is_none())
        }
    }
}

/// Appends a chain by itself.
#[inline(never)]
fn map(special: &Specialised, roles: &[Role], nodes: &[usize], output: TensorId, steps: &mut Steps<'_>) -> bool {
    let Some((chain, reads)) = chain(special, roles, nodes) else { return false };
    steps.enter(nodes[0], &[], vec![]);
    let len = steps.ty(output).len();
    steps.push(Map { chain, len }, reads, vec![output]);
    true
}

/// What a node computes with.
#[inline(never)]
fn called<'a>(graph: &'a Graph, special: &Specialised, node: &SpecialNode) -> Call<'a> {
    let source = &graph.nodes[node.node];
    let operand = |id: &TensorId| {
        let tensor = &special.tensors[id.0];
        let value = if let Source::Constant(_, value) = &tensor.source { value.clone() } else { None };
        Given { ty: tensor.ty.clone(), value }
    };
    Call {
        node: &source.name,
        attributes: &source.attributes,
        opset: graph.opset.get(&source.domain).copied().unwrap_or(1),
        inputs: node.inputs.iter().map(|id| id.as_ref().map(operand)).collect(),
        outputs: node.outputs.len(),
    }
}

/// Appends what computes a node; its only result is `output` where it goes through the chain that `steps` has.
#[inline(never)]
fn lower<'a>(
    graph: &Graph,
    special: &'a Specialised,
    index: usize,
    output: Option<TensorId>,
    steps: &mut Steps<'a>,
) -> Result<()> {
    let node = &special.nodes[index];
    let call = called(graph, special, node);
    let source = &graph.nodes[node.node];
    let outputs = output.map_or_else(|| node.outputs.clone(), |output| vec![Some(output)]);
    steps.enter(index, &node.inputs, outputs);
    if let Some(lower) = routine(&source.domain, &source.op_type, &call)
        && lower(&call, steps).map_err(|e| e.in_node(&source.name))?
    {
        return Ok(());
    }
    if output.is_some() {
        return Ok(());
    }
    let unknown = || Error::new(Kind::Unsupported, format!("operator {} is not known", source.op_type));
    let operator = Registry.kernel(&source.domain, &source.op_type).ok_or_else(unknown)?;
    let written: Vec<usize> = (0..node.outputs.len()).filter(|&i| node.outputs[i].is_some()).collect();
    let reads = node.inputs.iter().copied().flatten().collect();
    let writes = node.outputs.iter().copied().flatten().collect();
    let reference = Reference {
        operator,
        node: source.name.clone(),
        attributes: source.attributes.clone(),
        opset: call.opset,
        inputs: call.inputs.iter().map(|input| input.as_ref().map(|i| i.ty.clone())).collect(),
        outputs: call.outputs,
        written,
    };
    steps.push(reference, reads, writes);
    Ok(())
}

#[inline(never)]
fn assemble(special: &Specialised, steps: Steps<'_>, residency: &Residency) -> Result<Program> {
    let places = Places::plan(special, &steps, residency);
    let mut program = Program {
        arena_bytes: places.arena_bytes,
        live_bytes: places.live_bytes,
        layout: places.layout.clone(),
        ..Program::default()
    };
    let operand = |id: TensorId| Operand { place: places.of[id.0], bytes: steps.tensors[id.0].ty.host_bytes() };
    let port = |(id, resident): (TensorId, bool)| {
        let tensor = &special.tensors[id.0];
        Port { name: tensor.name.clone(), ty: tensor.ty.clone(), place: places.of[id.0], resident }
    };
    program.inputs = (0..).zip(&special.inputs).map(|(i, &id)| port((id, residency.input(i)))).collect();
    program.outputs = (0..).zip(&special.outputs).map(|(i, &id)| port((id, residency.output(i)))).collect();
    let mut used: Vec<Option<Place>> = program.outputs.iter().map(|port| port.place).collect();
    let mut planned = vec![];
    for (step, &shared) in steps.steps.iter().zip(&places.shared) {
        let operands: Vec<Operand> = step.reads.iter().chain(&step.writes).map(|&id| operand(id)).collect();
        used.extend(operands.iter().map(|o| o.place));
        program.scratch = program.scratch.max(step.routine.scratch());
        planned.push((operands, shared));
    }
    for made in &steps.made {
        let Home::Constant(hash, value) = &steps.tensors[made.of.0].home else {
            return Err(Error::new(Kind::Internal, "a form of what is no weight"));
        };
        let of = named(*hash, steps.tensors[made.of.0].ty.dtype);
        let source = Weight { bytes: operand(made.of).bytes, tensor: value.clone(), used: false };
        program.weights.entry(of).or_insert(source);
    }
    for tensor in &special.tensors {
        let Source::Constant(hash, value) = &tensor.source else { continue };
        let hash = named(*hash, tensor.ty.dtype);
        if used.contains(&Some(Place::Weight(hash))) {
            let weight = Weight { bytes: tensor.ty.host_bytes(), tensor: None, used: true };
            let entry = program.weights.entry(hash).or_insert(weight);
            entry.used = true;
            entry.tensor = entry.tensor.take().or_else(|| value.clone());
        }
    }
    let tensors = steps.tensors;
    for made in steps.made {
        let Home::Constant(hash, _) = &tensors[made.of.0].home else { continue };
        let of = named(*hash, tensors[made.of.0].ty.dtype);
        let form = Made { of, bytes: made.floats as u64 * 4, pack: made.pack };
        program.made.insert(formed(*hash, &made.form), form);
    }
    for (step, (operands, shared)) in steps.steps.into_iter().zip(planned) {
        let (read, written) = operands.split_at(step.reads.len());
        let read = read.iter().enumerate().map(|(i, o)| step.routine.reads(i, o.bytes));
        let moved: u64 = read.chain(written.iter().map(|o| o.bytes)).sum();
        let (class, flops) = (step.routine.class(), step.routine.flops());
        let shared_bytes = step.routine.shared() as u64 * 4;
        program.steps.push(Step {
            routine: step.routine,
            operands,
            reads: step.reads.len(),
            shared: Operand { place: (shared_bytes > 0).then_some(Place::Arena(shared)), bytes: shared_bytes },
            node: special.nodes[step.node].node,
            cost: DispatchCost { class, flops, bytes: moved as f64 },
        });
    }
    Ok(program)
}
