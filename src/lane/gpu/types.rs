//! Which element types a graph may have on a GPU. Knows types and casts; must never know a kernel.

use crate::error::{Error, Kind};
use crate::graph::{Attribute, DType, Graph, Node, ValueId};
use std::collections::BTreeSet;

/// Why a GPU does not take `graph`: it computes with float32, int32, int64 that fits and bool. What is of another type may be
/// cast to one of these, and a result to float16; a GPU has it in 32 bits each.
pub fn refused(graph: &Graph) -> Option<Error> {
    let refuse = |dtype: DType, node: &str| {
        let text = format!("elements of {} are for a processor only, but for casts of them", dtype.name());
        Some(Error::new(Kind::Unsupported, text).in_node(node))
    };
    for &id in &graph.inputs {
        let (name, dtype) = (&graph.value(id).name, graph.value(id).dtype);
        if let Some(DType::Uint64 | DType::Float64) = dtype {
            let text = format!("input '{name}' of type {} is for a processor only", dtype.map_or("", DType::name));
            return Some(Error::new(Kind::Unsupported, text));
        }
    }
    let mut other: BTreeSet<ValueId> = BTreeSet::new();
    let odd = |dtype: Option<DType>| dtype.filter(|dtype| !dtype.is_plain());
    for (i, value) in graph.values.iter().enumerate() {
        let given = value.constant.is_some() || graph.inputs.contains(&ValueId(i));
        if let Some(dtype) = odd(value.dtype).filter(|_| given) {
            if matches!(dtype, DType::Uint64 | DType::Float64) {
                return refuse(dtype, &value.name);
            }
            other.insert(ValueId(i));
        }
    }
    for node in &graph.nodes {
        let to = target(node);
        if let Some(dtype) = odd(to).filter(|&dtype| dtype != DType::Float16).or_else(|| odd(tensors(node))) {
            return refuse(dtype, &node.name);
        }
        let read = node.inputs.iter().flatten().find(|id| other.contains(id));
        if let Some(&id) = read.filter(|_| to.is_none_or(|to| !to.is_plain())) {
            return refuse(graph.value(id).dtype?, &node.name);
        }
        if odd(to).is_some() {
            other.extend(node.outputs.iter().flatten());
        }
    }
    None
}

/// What a Cast casts to.
fn target(node: &Node) -> Option<DType> {
    match node.attributes.get("to") {
        Some(Attribute::Int(code)) if node.op_type == "Cast" => DType::of_code(*code),
        _ => None,
    }
}

/// A type of a tensor among the attributes that no lane but a processor has.
fn tensors(node: &Node) -> Option<DType> {
    node.attributes.names().find_map(|name| match node.attributes.get(name) {
        Some(Attribute::Tensor(tensor)) if !tensor.dtype().is_plain() => Some(tensor.dtype()),
        _ => None,
    })
}
