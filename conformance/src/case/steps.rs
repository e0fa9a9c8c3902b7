//! The operators after a case's own, by the CPU references and as nodes whose dispatches may be taken in. Knows what a case is
//! given; must never know a device.

use super::given::{Case, Read, Step, kernel, type_of};
use anyhow::{Context, Result};
use consort::graph::{
    Attribute, Attributes, Call, Graph, HostTensor, Node, Operand, SpecialNode, TensorId, TensorType,
};
use consort::kernels::{Lowering, Planes};
use consort::program::Fused;
use std::sync::Arc;

impl Case {
    /// What the last step gives, from what the case's operator gives.
    pub(super) fn evaluate_steps(&self, first: HostTensor) -> Result<HostTensor> {
        let mut last = first.clone();
        let mut results = vec![first];
        for step in &self.steps {
            let values: Vec<Option<&HostTensor>> = step.reads.iter().map(|&read| self.value(read, &results)).collect();
            let types: Vec<TensorType> = results.iter().map(type_of).collect();
            let attributes = Attributes::new(step.attributes.clone());
            let call = self.step_call(step, &types, &attributes);
            last = kernel(step.op)?.evaluate(&call, &values)?.into_iter().next().context("a step gives nothing")?;
            results.push(last.clone());
        }
        Ok(last)
    }

    fn value<'a>(&'a self, read: Read, results: &'a [HostTensor]) -> Option<&'a HostTensor> {
        match read {
            Read::Given(i) => self.inputs[i].as_ref(),
            Read::Result(i) => results.get(i),
        }
    }

    fn step_call<'a>(&self, step: &Step, results: &[TensorType], attributes: &'a Attributes) -> Call<'a> {
        let operand = |read: &Read| match *read {
            Read::Given(i) => {
                let tensor = self.inputs[i].as_ref()?;
                Some(Operand { ty: type_of(tensor), value: self.constant[i].then(|| Arc::new(tensor.clone())) })
            }
            Read::Result(i) => Some(Operand { ty: results.get(i)?.clone(), value: None }),
        };
        let inputs = step.reads.iter().map(operand).collect();
        Call { node: "step", attributes, opset: self.opset, inputs, outputs: 1 }
    }

    /// Types of what the steps give.
    pub(super) fn step_types(&self, first: &TensorType) -> Result<Vec<TensorType>> {
        let mut results = vec![first.clone()];
        for step in &self.steps {
            let attributes = Attributes::new(step.attributes.clone());
            let types = kernel(step.op)?.infer(&self.step_call(step, &results, &attributes))?;
            results.push(types.into_iter().next().context("a step gives nothing")?);
        }
        Ok(results.split_off(1))
    }

    /// The steps as nodes; their results are the tensors from `first` on, `first` what the case's operator gives.
    pub(super) fn step_nodes(&self, first: usize) -> Vec<SpecialNode> {
        let read = |read: &Read| match *read {
            Read::Given(i) => Some(TensorId(i)),
            Read::Result(0) => Some(TensorId(self.inputs.len())),
            Read::Result(i) => Some(TensorId(first + i - 1)),
        };
        (0..)
            .zip(&self.steps)
            .map(|(k, step)| SpecialNode {
                node: k + 1,
                inputs: step.reads.iter().map(read).collect(),
                outputs: vec![Some(TensorId(first + k))],
            })
            .collect()
    }

    /// The case as a graph, of which only the nodes matter.
    pub(super) fn graph(&self) -> Graph {
        let node = |op: &str, attributes: &[(String, Attribute)]| Node {
            name: op.to_owned(),
            op_type: op.to_owned(),
            attributes: Attributes::new(attributes.to_vec()),
            ..Node::default()
        };
        let own = node(self.op, &self.attributes);
        let nodes = std::iter::once(own).chain(self.steps.iter().map(|s| node(s.op, &s.attributes))).collect();
        let opset = [(String::new(), self.opset)].into();
        Graph { opset, nodes, ..Graph::default() }
    }

    /// What the steps' operators do about planes that lie apart.
    pub(super) fn step_planes(&self, types: &[TensorType]) -> Result<Vec<Planes>> {
        let of = |step: &Step| {
            let attributes = Attributes::new(step.attributes.clone());
            Ok(kernel(step.op)?.planes(&self.step_call(step, types, &attributes)))
        };
        self.steps.iter().map(of).collect()
    }

    /// Lowers the steps after the case's operator.
    pub(super) fn lower_steps<'a>(
        &self,
        nodes: &'a [SpecialNode],
        types: &[TensorType],
        fused: &Fused,
        lowering: &mut Lowering<'a>,
    ) -> Result<()> {
        for (step, node) in self.steps.iter().zip(nodes) {
            if let Some((attention, way)) = fused.attention.get(&node.node) {
                lowering.enter(node.node, &node.inputs, &node.outputs);
                attention.lower(way, lowering)?;
                continue;
            }
            if fused.gone.contains(&node.node) {
                continue;
            }
            lowering.enter(node.node, &node.inputs, &node.outputs);
            let attributes = Attributes::new(step.attributes.clone());
            kernel(step.op)?.lower(&self.step_call(step, types, &attributes), lowering)?;
        }
        Ok(())
    }
}
