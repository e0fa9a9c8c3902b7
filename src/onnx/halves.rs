//! A graph of float16 as one of float32 between casts at its ends, as onnxruntime does on a processor: what lies between is
//! computed, and rounded, as float32. Knows the graph; must never know an operator but Cast.

use super::tensor::constant;
use crate::error::Result;
use crate::graph::{Attribute, Attributes, DType, Graph, HostTensor, Node, Value, ValueId};
use std::sync::Arc;

/// The same graph without float16 between its ends.
pub(super) fn widened(mut graph: Graph) -> Result<Graph> {
    for value in &mut graph.values {
        if let Some(half) = value.constant.as_ref().and_then(|c| c.tensor.as_ref()).filter(|t| is_half(t)) {
            value.constant = Some(constant(floats(half)?));
        }
    }
    for node in &mut graph.nodes {
        node.attributes = attributes(node)?;
    }
    let halves = |ids: &[ValueId], graph: &Graph| -> Vec<ValueId> {
        ids.iter().copied().filter(|&id| graph.value(id).dtype == Some(DType::Float16)).collect()
    };
    let (inputs, outputs) = (halves(&graph.inputs, &graph), halves(&graph.outputs, &graph));
    let mut casts = vec![];
    for &id in &inputs {
        let float = float_of(&mut graph, id);
        let reads = graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().flatten());
        reads.filter(|read| **read == id).for_each(|read| *read = float);
        casts.push(cast(&graph, id, float, DType::Float32));
    }
    for (at, &id) in outputs.iter().enumerate() {
        // An input that is an output, too, stays what it is, and what is named twice is cast once.
        if inputs.contains(&id) || outputs[..at].contains(&id) {
            continue;
        }
        let float = float_of(&mut graph, id);
        graph.values.swap(id.0, float.0);
        graph.values[float.0].constant = None;
        graph.nodes.push(cast(&graph, id, float, DType::Float16));
        graph.outputs.iter_mut().filter(|output| **output == id).for_each(|output| *output = float);
    }
    graph.nodes.splice(0..0, casts);
    let ends: Vec<ValueId> = graph.inputs.iter().chain(&graph.outputs).copied().collect();
    for (i, value) in graph.values.iter_mut().enumerate() {
        if value.dtype == Some(DType::Float16) && !ends.contains(&ValueId(i)) {
            value.dtype = Some(DType::Float32);
        }
    }
    Ok(graph)
}

fn is_half(tensor: &HostTensor) -> bool {
    tensor.dtype() == DType::Float16
}

fn floats(half: &HostTensor) -> Result<HostTensor> {
    HostTensor::from_f64(DType::Float32, half.shape(), &half.to_f64())
}

/// Attributes that name float32 where those of `node` name float16.
fn attributes(node: &Node) -> Result<Attributes> {
    let mut pairs = vec![];
    for name in node.attributes.names() {
        let Some(value) = node.attributes.get(name) else { continue };
        let value = match value {
            Attribute::Int(code) if node.op_type == "Cast" && name == "to" => {
                Attribute::Int(match DType::of_code(*code) {
                    Some(DType::Float16) => DType::Float32.code(),
                    _ => *code,
                })
            }
            Attribute::Tensor(half) if is_half(half) => Attribute::Tensor(Arc::new(floats(half)?)),
            other => other.clone(),
        };
        pairs.push((name.to_owned(), value));
    }
    Ok(Attributes::new(pairs))
}

/// A float32 value beside the one of `id`, whose name and axes it has.
fn float_of(graph: &mut Graph, id: ValueId) -> ValueId {
    let of = graph.value(id);
    let float = Value {
        name: of.name.clone(),
        dtype: Some(DType::Float32),
        dims: of.dims.clone(),
        constant: of.constant.clone(),
    };
    graph.values.push(float);
    ValueId(graph.values.len() - 1)
}

fn cast(graph: &Graph, from: ValueId, to: ValueId, dtype: DType) -> Node {
    Node {
        name: format!("{} as {}", graph.value(from).name, dtype.name()),
        op_type: "Cast".to_owned(),
        inputs: vec![Some(from)],
        outputs: vec![Some(to)],
        attributes: Attributes::new([("to".to_owned(), Attribute::Int(dtype.code()))]),
        ..Node::default()
    }
}
