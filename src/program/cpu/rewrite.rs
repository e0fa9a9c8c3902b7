//! Nodes that are others for a processor: a normalisation by constants is a product and a sum, which join what they follow.
//! Knows nodes and constants; must never know a routine.

use crate::error::Result;
use crate::graph::{
    ContentHash, DType, Graph, HostTensor, Naming, Node, Source, SpecialNode, SpecialTensor, Specialised, TensorId,
    TensorType,
};
use std::sync::Arc;

/// A graph in which some nodes were replaced.
pub struct Rewritten {
    pub graph: Graph,
    pub special: Specialised,
    /// For each node that was added, the node of the old graph that it is of.
    pub of: Vec<usize>,
}

/// `special` of `graph` in other nodes; nothing where it stays as it is.
#[inline(never)]
pub fn rewritten(graph: &Graph, special: &Specialised) -> Result<Option<Rewritten>> {
    let mut new = Rewritten {
        graph: Graph { nodes: graph.nodes.clone(), opset: graph.opset.clone(), ..Graph::default() },
        special: Specialised { nodes: vec![], ..special.clone() },
        of: vec![],
    };
    for node in &special.nodes {
        let source = &graph.nodes[node.node];
        let parts = if source.op_type == "BatchNormalization" && source.domain.is_empty() {
            affine(source, special, node)?
        } else {
            None
        };
        match parts {
            Some((factor, offset)) => new.affine(node, factor, offset),
            None => new.special.nodes.push(node.clone()),
        }
    }
    Ok((!new.of.is_empty()).then_some(new))
}

/// A constant with its name among weights.
type Named = (ContentHash, HostTensor);

/// What a normalisation by constants multiplies each channel by, and then adds; nothing where they are not known.
fn affine(source: &Node, special: &Specialised, node: &SpecialNode) -> Result<Option<(Named, Named)>> {
    let [Some(x), rest @ ..] = node.inputs.as_slice() else { return Ok(None) };
    let (rank, inference) = (special.tensors[x.0].ty.shape.len(), source.attributes.int("training_mode", 0)? == 0);
    if node.outputs.len() != 1 || rest.len() != 4 || rank < 2 || !inference {
        return Ok(None);
    }
    let mut naming = Naming::default();
    let mut floats: Vec<&[f32]> = vec![];
    for id in rest.iter().flatten() {
        let Source::Constant(name, Some(value)) = &special.tensors[id.0].source else { return Ok(None) };
        let Some(value) = value.as_f32() else { return Ok(None) };
        naming.add(&name.0);
        floats.push(value);
    }
    let &[scale, bias, mean, variance] = floats.as_slice() else { return Ok(None) };
    let epsilon = source.attributes.float("epsilon", 1e-5)?;
    naming.add(&epsilon.to_le_bytes());
    let factor: Vec<f32> = scale.iter().zip(variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let offset: Vec<f32> = bias.iter().zip(mean).zip(&factor).map(|((b, m), f)| b - m * f).collect();
    let named = |what: &str, floats: Vec<f32>| -> Result<Named> {
        let name = naming.clone().add(what.as_bytes()).name();
        let shape: Vec<usize> = [floats.len()].into_iter().chain(std::iter::repeat_n(1, rank - 2)).collect();
        Ok((name, HostTensor::f32(shape, floats)?))
    };
    Ok(Some((named("factor", factor)?, named("offset", offset)?)))
}

impl Rewritten {
    /// In place of `node`, its input times `factor`, and `offset` to that.
    fn affine(&mut self, node: &SpecialNode, factor: Named, offset: Named) {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        let ty = x.map(|id| self.special.tensors[id.0].ty.clone());
        let ty = ty.unwrap_or_else(|| TensorType::new(DType::Float32, []));
        let between = self.tensor(ty, Source::Node);
        for (op_type, from, (hash, value), to) in [("Mul", x, factor, Some(between)), ("Add", Some(between), offset, y)]
        {
            let ty = TensorType::new(DType::Float32, value.shape());
            let constant = self.tensor(ty, Source::Constant(hash, Some(Arc::new(value))));
            let number = self.graph.nodes.len();
            self.graph.nodes.push(Node {
                name: self.graph.nodes[node.node].name.clone(),
                op_type: op_type.to_owned(),
                ..Node::default()
            });
            self.of.push(node.node);
            self.special.nodes.push(SpecialNode {
                node: number,
                inputs: vec![from, Some(constant)],
                outputs: vec![to],
            });
        }
    }

    fn tensor(&mut self, ty: TensorType, source: Source) -> TensorId {
        self.special.tensors.push(SpecialTensor { name: String::new(), ty, source });
        TensorId(self.special.tensors.len() - 1)
    }
}
