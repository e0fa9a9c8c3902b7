//! An operator by itself, as a program that can be run again and again. Knows its name, attributes and shapes; must never know a
//! model, or why it is run.

use super::store::{Loaded, Store};
use crate::error::{Error, Kind, Result};
use crate::graph::{
    Attributes, Call, ContentHash, DType, Graph, HostTensor, Node, Operand, Source, SpecialNode, SpecialTensor,
    Specialised, TensorId, TensorType,
};
use crate::kernels::Registry;
use crate::program::Residency;
use crate::program::cpu::build;
use crate::program::examples::Example;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The operator of `example`, and what it is fed: a model computes its first input, the others are weights.
#[inline(never)]
pub fn alone((op_type, attributes, shapes): &Example) -> Result<(Loaded, HostTensor)> {
    let attributes = Attributes::new(attributes.clone());
    let types: Vec<TensorType> = shapes.iter().map(|s| TensorType::new(DType::Float32, *s)).collect();
    let floats =
        |ty: &TensorType| HostTensor::f32(ty.shape.clone(), (0..ty.len()).map(|i| (i % 7) as f32 * 0.1).collect());
    let call = Call {
        node: "probe",
        attributes: &attributes,
        opset: 17,
        inputs: types.iter().map(|ty| Some(Operand { ty: ty.clone(), value: None })).collect(),
        outputs: 1,
    };
    let unknown = || Error::new(Kind::Internal, format!("no probe of {op_type}"));
    let result = Registry.kernel("", op_type).ok_or_else(unknown)?.infer(&call)?.into_iter().next();
    let mut special =
        Specialised { inputs: vec![TensorId(0)], outputs: vec![TensorId(types.len())], ..Specialised::default() };
    for (i, ty) in types.iter().enumerate() {
        let source = match i {
            0 => Source::Input(0),
            _ => Source::Constant(ContentHash([i as u8; 16]), Some(Arc::new(floats(ty)?))),
        };
        special.tensors.push(SpecialTensor { name: String::new(), ty: ty.clone(), source });
    }
    let ty = result.ok_or_else(unknown)?;
    special.tensors.push(SpecialTensor { name: String::new(), ty, source: Source::Node });
    let inputs = (0..types.len()).map(|i| Some(TensorId(i))).collect();
    special.nodes.push(SpecialNode { node: 0, inputs, outputs: vec![Some(TensorId(types.len()))] });
    let node = Node {
        name: "probe".to_owned(),
        op_type: (*op_type).to_owned(),
        attributes: attributes.clone(),
        ..Node::default()
    };
    let opset = BTreeMap::from([(String::new(), 17)]);
    let graph = Graph { opset, nodes: vec![node], ..Graph::default() };
    let loaded = Store::default().load(0, build(&graph, &special, &Residency::default())?)?;
    let input = types.first().ok_or_else(unknown).and_then(floats)?;
    Ok((loaded, input))
}
