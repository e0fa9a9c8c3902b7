//! A graph with the shapes of one call: every shape known, constants folded, dead nodes gone.

use super::{Call, ContentHash, Dim, Graph, HostTensor, Operand, OperatorSet, TensorType, ValueId};
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Index of a [`SpecialTensor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// Where a tensor's elements come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Source {
    /// Graph input of that index.
    Input(usize),
    /// A constant of the file, or one that folding made; the elements while the host holds them.
    Constant(ContentHash, Option<Arc<HostTensor>>),
    /// An output of a live node.
    Node,
}

/// One tensor with a concrete type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpecialTensor {
    /// Name in the file.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// Where it comes from.
    pub source: Source,
}

/// One live node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpecialNode {
    /// Index into [`Graph::nodes`].
    pub node: usize,
    /// Inputs; `None` for an optional input left out.
    pub inputs: Vec<Option<TensorId>>,
    /// Outputs; `None` for an optional output left out.
    pub outputs: Vec<Option<TensorId>>,
}

/// What is left to compute in a call with these shapes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Specialised {
    /// Every tensor that a live node, an input or an output names.
    pub tensors: Vec<SpecialTensor>,
    /// Live nodes in execution order.
    pub nodes: Vec<SpecialNode>,
    /// Graph inputs in the file's order.
    pub inputs: Vec<TensorId>,
    /// Graph outputs in the file's order.
    pub outputs: Vec<TensorId>,
}

/// Constants up to this many elements are folded through; larger ones stay weights, whose host copy may go.
pub const FOLDED_ELEMENTS: usize = 1 << 16;
/// Folding makes no constant larger than this.
const MOST_FOLDED_ELEMENTS: usize = 1 << 20;

/// Specialises `graph` to inputs of `shapes`, in the order of [`Graph::inputs`].
///
/// `hash` names a folded constant's content as the reader names the file's. Errors name the node: `Unsupported` where
/// an operator or attribute is not understood, `InvalidInput` where a shape breaks a fixed or repeated free dimension,
/// `InvalidModel` where the graph contradicts itself.
pub fn specialise(
    graph: &Graph,
    operators: &dyn OperatorSet,
    hash: fn(&HostTensor) -> ContentHash,
    shapes: &[Vec<usize>],
) -> Result<Specialised> {
    specialise_with(graph, operators, hash, shapes, &[])
}

/// As [`specialise`], with the elements of those inputs that are given: what they decide is decided.
pub fn specialise_with(
    graph: &Graph,
    operators: &dyn OperatorSet,
    hash: fn(&HostTensor) -> ContentHash,
    shapes: &[Vec<usize>],
    given: &[Option<Arc<HostTensor>>],
) -> Result<Specialised> {
    special(graph, operators, hash, shapes, given).map_err(|e| e.in_model(&graph.name))
}

fn special(
    graph: &Graph,
    operators: &dyn OperatorSet,
    hash: fn(&HostTensor) -> ContentHash,
    shapes: &[Vec<usize>],
    given: &[Option<Arc<HostTensor>>],
) -> Result<Specialised> {
    check_shapes(graph, shapes)?;
    // What is known of each value of the graph: its type and where it comes from.
    let mut known: Vec<Option<(TensorType, Source)>> = graph
        .values
        .iter()
        .map(|v| {
            let c = v.constant.as_ref()?;
            Some((TensorType::new(c.dtype, c.shape.clone()), Source::Constant(c.hash, c.tensor.clone())))
        })
        .collect();
    for (i, (&id, shape)) in graph.inputs.iter().zip(shapes).enumerate() {
        let value = graph.value(id);
        let dtype = value
            .dtype
            .ok_or_else(|| Error::new(Kind::InvalidModel, format!("input '{}' has no element type", value.name)))?;
        let source = match given.get(i).and_then(Option::as_ref) {
            Some(tensor) => Source::Constant(hash(tensor), Some(Arc::clone(tensor))),
            None => Source::Input(i),
        };
        known[id.0] = Some((TensorType::new(dtype, shape.clone()), source));
    }
    let mut chosen = BTreeMap::new();
    let mut live_nodes = vec![];
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.guards.iter().any(|&(condition, holds)| truth(&known, condition).is_some_and(|truth| truth != holds)) {
            continue;
        }
        if let (true, &[Some(condition), then, otherwise], &[Some(output)]) =
            (node.choice, node.inputs.as_slice(), node.outputs.as_slice())
            && let Some(truth) = truth(&known, condition)
            && let Some(branch) = if truth { then } else { otherwise }
        {
            known[output.0] = known[branch.0].clone();
            chosen.insert(output, chosen.get(&branch).copied().unwrap_or(branch));
            continue;
        }
        let computed = infer_or_fold(graph, operators, hash, index, &known).map_err(|e| e.in_node(&node.name))?;
        let folded = computed.iter().all(|(_, source)| matches!(source, Source::Constant(..)));
        for (id, value) in node.outputs.iter().zip(computed) {
            if let Some(id) = id {
                known[id.0] = Some(value);
            }
        }
        if !folded {
            live_nodes.push(index);
        }
    }
    Compact { chosen, ..Compact::default() }.finish(graph, &known, live_nodes)
}

/// A condition that is known.
fn truth(known: &[Option<(TensorType, Source)>], condition: ValueId) -> Option<bool> {
    match &known[condition.0] {
        Some((_, Source::Constant(_, Some(value)))) if value.len() == 1 => Some(value.to_f64()[0] != 0.0),
        _ => None,
    }
}

/// The outputs of one node: constants where everything that decides them is known.
fn infer_or_fold(
    graph: &Graph,
    operators: &dyn OperatorSet,
    hash: fn(&HostTensor) -> ContentHash,
    index: usize,
    known: &[Option<(TensorType, Source)>],
) -> Result<Vec<(TensorType, Source)>> {
    let node = &graph.nodes[index];
    let operator = operators
        .find(&node.domain, &node.op_type)
        .ok_or_else(|| Error::new(Kind::Unsupported, format!("operator {} is not known", node.op_type)))?;
    let mut inputs = vec![];
    for id in &node.inputs {
        let Some(id) = id else {
            inputs.push(None);
            continue;
        };
        let (ty, source) = known[id.0].as_ref().ok_or_else(|| {
            Error::new(Kind::InvalidModel, format!("input '{}' is not computed yet", graph.value(*id).name))
        })?;
        let value = match source {
            Source::Constant(_, value) if ty.len() <= FOLDED_ELEMENTS => value.clone(),
            _ => None,
        };
        inputs.push(Some(Operand { ty: ty.clone(), value }));
    }
    let all_known = inputs.iter().flatten().all(|o| o.value.is_some());
    let call = Call {
        node: &node.name,
        attributes: &node.attributes,
        opset: graph.opset.get(&node.domain).copied().unwrap_or(1),
        inputs,
        outputs: node.outputs.len(),
    };
    let types = operator.infer(&call)?;
    if types.len() < node.outputs.iter().rposition(Option::is_some).map_or(0, |last| last + 1) {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{} outputs of {}, only {} understood", node.outputs.len(), node.op_type, types.len()),
        ));
    }
    let small = types.iter().all(|t| t.len() <= MOST_FOLDED_ELEMENTS);
    if !(operator.foldable() && small && (all_known || !operator.reads_elements())) {
        return Ok(types.into_iter().map(|ty| (ty, Source::Node)).collect());
    }
    let values: Vec<Option<&HostTensor>> =
        call.inputs.iter().map(|o| o.as_ref().and_then(|o| o.value.as_deref())).collect();
    let outputs = operator.evaluate(&call, &values)?;
    let pair = |(ty, tensor): (TensorType, HostTensor)| {
        let source = Source::Constant(hash(&tensor), Some(Arc::new(tensor)));
        (ty, source)
    };
    Ok(types.into_iter().zip(outputs).map(pair).collect())
}

/// Refuses shapes that the graph's inputs cannot take.
fn check_shapes(graph: &Graph, shapes: &[Vec<usize>]) -> Result<()> {
    if shapes.len() != graph.inputs.len() {
        return Err(Error::new(
            Kind::InvalidInput,
            format!("{} shapes for {} inputs", shapes.len(), graph.inputs.len()),
        ));
    }
    let mut bound: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (&id, shape) in graph.inputs.iter().zip(shapes) {
        let value = graph.value(id);
        let dims = value.dims.as_deref().unwrap_or_default();
        let refuse = |why: String| {
            let stated: Vec<String> = dims
                .iter()
                .map(|d| match d {
                    Dim::Fixed(n) => n.to_string(),
                    Dim::Free(name) if name.is_empty() => "?".to_owned(),
                    Dim::Free(name) => name.clone(),
                })
                .collect();
            let message = format!("input '{}' takes [{}], not {shape:?}: {why}", value.name, stated.join(", "));
            Error::new(Kind::InvalidInput, message)
        };
        // One number is one number, however many axes of one it has.
        if dims.is_empty() && shape.iter().all(|&size| size == 1) {
            continue;
        }
        if dims.len() != shape.len() {
            return Err(refuse(format!("{} axes, not {}", dims.len(), shape.len())));
        }
        for (axis, (dim, &size)) in dims.iter().zip(shape).enumerate() {
            match dim {
                Dim::Fixed(n) if *n != size => return Err(refuse(format!("axis {axis} is {n}"))),
                Dim::Free(name) if !name.is_empty() => {
                    let (first, of) = *bound.entry(name).or_insert((size, &value.name));
                    if first != size {
                        return Err(refuse(format!("'{name}' is {first} in input '{of}'")));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Keeps what the outputs need, under new ids.
#[derive(Default)]
struct Compact {
    out: Specialised,
    ids: BTreeMap<ValueId, TensorId>,
    /// The values that outputs of Ifs are.
    chosen: BTreeMap<ValueId, ValueId>,
}

impl Compact {
    fn finish(
        mut self,
        graph: &Graph,
        known: &[Option<(TensorType, Source)>],
        nodes: Vec<usize>,
    ) -> Result<Specialised> {
        let mut needed: BTreeSet<ValueId> = graph.outputs.iter().map(|&id| self.meant(id)).collect();
        let mut kept = vec![];
        for index in nodes.into_iter().rev() {
            let node = &graph.nodes[index];
            if node.outputs.iter().flatten().any(|id| needed.contains(id)) {
                needed.extend(node.inputs.iter().flatten().map(|&id| self.meant(id)));
                kept.push(index);
            }
        }
        for (i, &id) in graph.inputs.iter().enumerate() {
            let tensor = match &known[id.0] {
                // What reads it reads the constant that it is in this call.
                Some((ty, Source::Constant(..))) => {
                    let (name, ty) = (graph.value(id).name.clone(), ty.clone());
                    self.out.tensors.push(SpecialTensor { name, ty, source: Source::Input(i) });
                    TensorId(self.out.tensors.len() - 1)
                }
                _ => self.tensor(graph, known, id)?,
            };
            self.out.inputs.push(tensor);
        }
        for index in kept.into_iter().rev() {
            let node = &graph.nodes[index];
            let mut special = SpecialNode { node: index, inputs: vec![], outputs: vec![] };
            for (from, to) in [(&node.inputs, &mut special.inputs), (&node.outputs, &mut special.outputs)] {
                for id in from {
                    to.push(id.map(|id| self.tensor(graph, known, id)).transpose()?);
                }
            }
            self.out.nodes.push(special);
        }
        for &id in &graph.outputs {
            let tensor = self.tensor(graph, known, id)?;
            if self.meant(id) != id {
                if self.out.inputs.contains(&tensor) || self.out.outputs.contains(&tensor) {
                    let text = format!("output '{}' of an If is another port", graph.value(id).name);
                    return Err(Error::new(Kind::Unsupported, text));
                }
                self.out.tensors[tensor.0].name.clone_from(&graph.value(id).name);
            }
            self.out.outputs.push(tensor);
        }
        Ok(self.out)
    }

    /// The value that `id` is.
    fn meant(&self, id: ValueId) -> ValueId {
        self.chosen.get(&id).copied().unwrap_or(id)
    }

    fn tensor(&mut self, graph: &Graph, known: &[Option<(TensorType, Source)>], id: ValueId) -> Result<TensorId> {
        let id = self.meant(id);
        if let Some(&tensor) = self.ids.get(&id) {
            return Ok(tensor);
        }
        let name = graph.value(id).name.clone();
        let (ty, source) = known[id.0]
            .clone()
            .ok_or_else(|| Error::new(Kind::InvalidModel, format!("value '{name}' is computed by no node")))?;
        self.out.tensors.push(SpecialTensor { name, ty, source });
        let tensor = TensorId(self.out.tensors.len() - 1);
        self.ids.insert(id, tensor);
        Ok(tensor)
    }
}
