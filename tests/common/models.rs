//! The workload models as a processor's tests take them. Knows their files; must never know what computes them.

use consort::graph::{Graph, HostTensor};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, read};
use consort_models::{Data, Model};

/// A model's graph, and its inputs in the graph's order.
pub fn graph(model: &Model) -> (Graph, Vec<HostTensor>) {
    let external = ExternalData::from([(model.data_file(), model.weights().unwrap())]);
    let graph = read(model.name, model.onnx, &external, &Registry).unwrap();
    let given = model.inputs().unwrap();
    let inputs = graph.inputs.iter().map(|&id| {
        let input = given.iter().find(|i| i.name == graph.value(id).name).unwrap();
        match &input.data {
            Data::F32(v) => HostTensor::f32(input.dims.clone(), v.clone()).unwrap(),
            Data::I64(v) => HostTensor::i64(input.dims.clone(), v.clone()).unwrap(),
            Data::I32(v) => HostTensor::new(input.dims.clone(), consort::graph::Data::Int32(v.clone())).unwrap(),
        }
    });
    let inputs = inputs.collect();
    (graph, inputs)
}
