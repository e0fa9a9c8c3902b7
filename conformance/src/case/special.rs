//! A case as a graph with shapes: its operator and those after it. Knows the graph's contract; must never know a lane.

use super::given::{Case, type_of};
use consort::graph::{ContentHash, DType, Source, SpecialNode, SpecialTensor, Specialised, TensorId, TensorType};
use std::sync::Arc;

impl Case {
    /// Tensor ids are inputs, outputs, then what the steps give; the outputs are what is compared.
    pub(super) fn special(&self, types: &[TensorType], step_types: &[TensorType]) -> Specialised {
        let given = self.inputs.iter().enumerate().map(|(i, tensor)| SpecialTensor {
            name: format!("input {i}"),
            ty: tensor.as_ref().map_or_else(|| TensorType::new(DType::Float32, [0]), type_of),
            source: if self.constant[i] {
                Source::Constant(ContentHash([i as u8; 16]), tensor.clone().map(Arc::new))
            } else {
                Source::Input(i)
            },
        });
        let computed = types.iter().chain(step_types).enumerate().map(|(i, ty)| SpecialTensor {
            name: format!("output {i}"),
            ty: ty.clone(),
            source: Source::Node,
        });
        let tensors = given.chain(computed).collect();
        let own = &self.inputs[..self.own_inputs()];
        let inputs = own.iter().enumerate().map(|(i, t)| t.as_ref().map(|_| TensorId(i))).collect();
        let first = self.inputs.len() + self.outputs;
        let outputs: Vec<Option<TensorId>> = (self.inputs.len()..first).map(|i| Some(TensorId(i))).collect();
        let mut nodes = vec![SpecialNode { node: 0, inputs, outputs }];
        nodes.extend(self.step_nodes(first));
        let results = match nodes.len() - 1 {
            0 => (self.inputs.len()..first).map(TensorId).collect(),
            n => vec![TensorId(first + n - 1)],
        };
        let inputs = (0..self.inputs.len()).filter(|&i| !self.constant[i] && self.inputs[i].is_some());
        Specialised { tensors, nodes, inputs: inputs.map(TensorId).collect(), outputs: results }
    }
}
