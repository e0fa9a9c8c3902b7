//! Whole models as a processor's programs against onnxruntime's goldens, and grown graphs against the references.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::graph::{
    Attributes, DType, Graph, HostTensor, Node, Source, SpecialNode, SpecialTensor, Specialised, TensorId, TensorType,
    reference, specialise,
};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, content_hash, read};
use consort::processor::{Alone, Arena, Loaded, Scoped, Store, execute};
use consort::program::{Residency, cpu};
use consort_models::{Data, MODELS, Model};
use proptest::prelude::*;
use std::sync::Arc;
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

/// A graph of elementwise operators and products over few shapes: what each node is and which earlier tensors it reads.
fn grown(plan: &[(u8, usize, usize)], outputs: &[usize]) -> (Graph, Specialised, Vec<HostTensor>) {
    let shapes = [vec![2, 3, 5], vec![5], vec![3, 1], vec![2, 3, 5]];
    let noise = |n: usize, seed: usize| (0..n).map(|i| ((i * 37 + seed * 101) % 89) as f32 / 44.5 - 1.0).collect();
    let floats = |shape: &[usize], seed: usize| HostTensor::f32(shape, noise(shape.iter().product(), seed)).unwrap();
    let given: Vec<HostTensor> = shapes.iter().enumerate().map(|(i, shape)| floats(shape, i)).collect();
    let whole = TensorType::new(DType::Float32, [2, 3, 5]);
    let mut tensors: Vec<SpecialTensor> = given
        .iter()
        .enumerate()
        .map(|(i, t)| SpecialTensor {
            name: format!("given {i}"),
            ty: TensorType::new(DType::Float32, t.shape()),
            source: Source::Input(i),
        })
        .collect();
    let weight = floats(&[5, 5], 9);
    let source = Source::Constant(content_hash(&weight), Some(Arc::new(weight)));
    tensors.push(SpecialTensor { name: "weight".into(), ty: TensorType::new(DType::Float32, [5, 5]), source });
    let (mut all, mut nodes) = (vec![], vec![]);
    for (i, &(op, a, b)) in plan.iter().enumerate() {
        let op = ["Add", "Mul", "Sub", "Relu", "Sigmoid", "MatMul", "Softmax"][usize::from(op) % 7];
        // Of the first operand the shape is that of the result.
        let wholes: Vec<usize> = [0, 3].into_iter().chain(5..tensors.len()).collect();
        let first = TensorId(wholes[a % wholes.len()]);
        let others: Vec<usize> = (0..4).chain(5..tensors.len()).collect();
        let inputs = match op {
            "MatMul" => vec![Some(first), Some(TensorId(4))],
            "Relu" | "Sigmoid" | "Softmax" => vec![Some(first)],
            _ => vec![Some(first), Some(TensorId(others[b % others.len()]))],
        };
        tensors.push(SpecialTensor { name: format!("made {i}"), ty: whole.clone(), source: Source::Node });
        nodes.push(SpecialNode { node: i, inputs, outputs: vec![Some(TensorId(tensors.len() - 1))] });
        all.push(Node {
            name: format!("{op} {i}"),
            op_type: op.to_owned(),
            domain: String::new(),
            inputs: vec![],
            outputs: vec![],
            attributes: Attributes::default(),
        });
    }
    let outputs = outputs.iter().map(|&i| TensorId(5 + i % plan.len())).chain([TensorId(4 + plan.len())]).collect();
    let inputs = (0..given.len()).map(TensorId).collect();
    let opset = [(String::new(), 17)].into();
    let graph = Graph { name: "grown".into(), opset, values: vec![], nodes: all, inputs: vec![], outputs: vec![] };
    (graph, Specialised { tensors, nodes, inputs, outputs }, given)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_is_joined_computes_the_same(
        plan in prop::collection::vec((0u8..7, 0usize..64, 0usize..64), 1..24),
        outputs in prop::collection::vec(0usize..24, 0..3),
    ) {
        let (graph, special, given) = grown(&plan, &outputs);
        let expected = reference::evaluate(&graph, &Registry, &special, &given).unwrap();
        let program = cpu::build(&graph, &special, &Residency::default()).unwrap();
        let steps = program.steps.len();
        prop_assert!(steps <= plan.len(), "{steps} steps of {} nodes", plan.len());
        let loaded = Store::default().load(0, program).unwrap();
        let mut arena = Arena::default();
        arena.poison(&loaded.program, 1);
        let inputs: Vec<&HostTensor> = given.iter().collect();
        let outputs = execute(&loaded, &mut arena, &Alone, &inputs, &|node| node.to_string()).unwrap();
        for (a, e) in outputs.iter().zip(&expected) {
            let most = e.to_f64().iter().fold(1e-3, |most: f64, v| most.max(v.abs()));
            let off = a.to_f64().iter().zip(e.to_f64()).fold(0.0, |off: f64, (a, e)| off.max((a - e).abs()));
            prop_assert!(!most.is_finite() || off / most < 1e-4, "{off} of {most}");
        }
    }
}
