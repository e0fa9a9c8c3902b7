//! A whole graph through the operators' CPU references: slow, and the judge of every lane.

use super::{Call, Graph, HostTensor, Operand, OperatorSet, Source, Specialised, TensorId};
use crate::error::{Error, Kind, Result};
use std::sync::Arc;

/// The outputs of `special` for `inputs`, both in the model's order. Errors name the node.
pub fn evaluate(
    graph: &Graph,
    operators: &dyn OperatorSet,
    special: &Specialised,
    inputs: &[HostTensor],
) -> Result<Vec<HostTensor>> {
    let mut values: Vec<Option<Arc<HostTensor>>> = special
        .tensors
        .iter()
        .map(|tensor| match &tensor.source {
            Source::Input(i) => inputs.get(*i).cloned().map(Arc::new),
            Source::Constant(_, value) => value.clone(),
            Source::Node => None,
        })
        .collect();
    let missing = |id: TensorId| {
        let name = &special.tensors[id.0].name;
        Error::new(Kind::Internal, format!("the elements of '{name}' are not at hand")).in_model(&graph.name)
    };
    for node in &special.nodes {
        let of = &graph.nodes[node.node];
        let operator = operators
            .find(&of.domain, &of.op_type)
            .ok_or_else(|| Error::new(Kind::Unsupported, format!("operator {} is not known", of.op_type)))?;
        let mut operands = vec![];
        let mut given = vec![];
        for id in &node.inputs {
            let value = id.map(|id| values[id.0].clone().ok_or_else(|| missing(id))).transpose()?;
            operands.push(id.map(|id| Operand { ty: special.tensors[id.0].ty.clone(), value: value.clone() }));
            given.push(value);
        }
        let call = Call {
            node: &of.name,
            attributes: &of.attributes,
            opset: graph.opset.get(&of.domain).copied().unwrap_or(1),
            inputs: operands,
            outputs: node.outputs.len(),
        };
        let given: Vec<Option<&HostTensor>> = given.iter().map(Option::as_deref).collect();
        let outputs = operator.evaluate(&call, &given).map_err(|e| e.in_node(&of.name).in_model(&graph.name))?;
        for (id, output) in node.outputs.iter().zip(outputs) {
            if let Some(id) = id {
                values[id.0] = Some(Arc::new(output));
            }
        }
    }
    special.outputs.iter().map(|&id| values[id.0].as_deref().cloned().ok_or_else(|| missing(id))).collect()
}
