//! Whole models as a processor's programs against onnxruntime's goldens.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::graph::{Graph, HostTensor, Specialised, specialise};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, content_hash, read};
use consort::processor::{Arena, Loaded, Scoped, Store, execute};
use consort::program::{Residency, cpu};
use consort_models::{Data, MODELS, Model};
use std::time::Instant;

fn graph(model: &Model) -> (Graph, Vec<HostTensor>) {
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

fn loaded(store: &mut Store, holder: u64, graph: &Graph, inputs: &[HostTensor]) -> Loaded {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
    let special: Specialised = specialise(graph, &Registry, content_hash, &shapes).unwrap();
    store.load(holder, cpu::build(graph, &special, &Residency::default()).unwrap()).unwrap()
}

#[test]
fn every_model_agrees_with_its_golden_in_one_arena() {
    let (mut store, mut arena) = (Store::default(), Arena::default());
    for (holder, model) in (0..).zip(MODELS) {
        let (graph, inputs) = graph(&model);
        let loaded = loaded(&mut store, holder, &graph, &inputs);
        let references: Vec<&str> = loaded
            .program
            .steps
            .iter()
            .filter(|step| format!("{:?}", step.routine).starts_with("Reference"))
            .map(|step| graph.nodes[step.node].op_type.as_str())
            .collect();
        let inputs: Vec<&HostTensor> = inputs.iter().collect();
        let name = |node: usize| graph.nodes[node].name.clone();
        arena.poison(&loaded.program, 2);
        let start = Instant::now();
        let outputs =
            execute(&loaded, &mut arena, &Scoped(2), &inputs, &name).unwrap_or_else(|e| panic!("{}: {e}", model.name));
        println!(
            "{}: {:?}, {} steps, by references {references:?}",
            model.name,
            start.elapsed(),
            loaded.program.steps.len()
        );
        for golden in model.golden().unwrap() {
            let at = graph.outputs.iter().position(|&id| graph.value(id).name == golden.name).unwrap();
            let error = golden.relative_error(outputs[at].as_f32().unwrap());
            assert!(error < 1e-3, "{} {}: {error}", model.name, golden.name);
        }
    }
    let all = store.bytes();
    (0..MODELS.len() as u64).for_each(|holder| store.release(holder));
    assert!(all > 0 && store.bytes() == 0, "{all} bytes of weights, {} after their release", store.bytes());
}
