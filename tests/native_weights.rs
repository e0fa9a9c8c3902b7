//! Weights repacked when a program is made ready: once, shared, within bounds, and freed.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::graph::{
    Attribute, Attributes, Constant, Dim, Graph, HostTensor, Node, Specialised, Value, ValueId, specialise,
};
use consort::kernels::{Registry, Tuning};
use consort::lane::Progress;
use consort::lane::gpu::{Gpu, GpuLane, Input, Work};
use consort::lane::host::block_on;
use consort::onnx::content_hash;
use consort::program::{Program, Residency, Strategy, build, schedule};
use std::rc::Rc;
use std::sync::Arc;

/// Values that differ from their neighbours.
fn numbers(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    HostTensor::f32(shape, (0..count).map(|i| (i * 7 % 23) as f32 / 23.0 - 0.5).collect()).unwrap()
}

/// One operator of an input and a weight.
fn graph(op: &str, attributes: Vec<(String, Attribute)>, input: &[usize], weight: &[usize]) -> Graph {
    let fixed = |shape: &[usize]| Some(shape.iter().map(|&d| Dim::Fixed(d)).collect());
    let weights = numbers(weight);
    let constant = Constant {
        dtype: weights.dtype(),
        shape: weight.to_vec(),
        hash: content_hash(&weights),
        tensor: Some(Arc::new(weights)),
    };
    let value = |name: &str, dims, constant| Value {
        name: name.to_owned(),
        dtype: Some(consort::graph::DType::Float32),
        dims,
        constant,
    };
    Graph {
        name: op.to_owned(),
        opset: [(String::new(), 17)].into(),
        values: vec![value("x", fixed(input), None), value("w", fixed(weight), Some(constant)), value("y", None, None)],
        nodes: vec![Node {
            name: op.to_owned(),
            op_type: op.to_owned(),
            domain: String::new(),
            inputs: vec![Some(ValueId(0)), Some(ValueId(1))],
            outputs: vec![Some(ValueId(2))],
            attributes: Attributes::new(attributes),
            ..Node::default()
        }],
        inputs: vec![ValueId(0)],
        outputs: vec![ValueId(2)],
        ..Graph::default()
    }
}

fn winograd() -> (Graph, Vec<usize>) {
    let pads = ("pads".to_owned(), Attribute::Ints(vec![1; 4]));
    let input = vec![1, 32, 32, 32];
    (graph("Conv", vec![pads], &input, &[32, 32, 3, 3]), input)
}

fn transposed() -> (Graph, Vec<usize>) {
    let input = vec![24, 64];
    (graph("Gemm", vec![("transB".to_owned(), Attribute::Int(1))], &input, &[96, 64]), input)
}

fn special((graph, input): &(Graph, Vec<usize>)) -> Specialised {
    specialise(graph, &Registry, content_hash, std::slice::from_ref(input)).unwrap()
}

fn program(model: &(Graph, Vec<usize>), residency: &Residency) -> Program {
    build(&model.0, &special(model), residency, Tuning::SOFTWARE).unwrap()
}

/// Bytes of weights that it keeps, and how many dispatches make some of them.
fn kept(program: &Program) -> (u64, usize) {
    (program.weights.values().map(|w| w.bytes).sum(), program.making.dispatches.len())
}

#[test]
fn what_is_made_of_a_weight_takes_its_place() {
    let bytes = 96 * 64 * 4;
    let moved = program(&transposed(), &Residency::default());
    assert_eq!((kept(&moved), moved.dispatches.len()), ((bytes, 1), 1));
    assert!(moved.making.weights.values().map(|w| w.bytes).eq([bytes]));
    // While it is made both lie there: not where memory is short. What lies as f16 stays as it is.
    assert_eq!(kept(&program(&transposed(), &Residency { short: true, ..Residency::default() })), (bytes, 0));
    assert_eq!(kept(&program(&transposed(), &Residency { halves: true, ..Residency::default() })), (bytes / 2, 0));
}

#[test]
fn what_takes_more_is_made_within_bounds() {
    // Four times as much, of the only weight that there is, is more than two thirds of all.
    let (conv, input) = winograd();
    let alone = program(&(conv.clone(), input.clone()), &Residency::default());
    assert_eq!(kept(&alone), (32 * 32 * 9 * 4, 0));
    let beside = |graph: &Graph| {
        let mut graph = graph.clone();
        let large = numbers(&[1, 128, 32, 32]);
        let constant = Constant {
            dtype: large.dtype(),
            shape: large.shape().to_vec(),
            hash: content_hash(&large),
            tensor: Some(Arc::new(large.clone())),
        };
        let dims = Some(large.shape().iter().map(|&d| Dim::Fixed(d)).collect());
        graph.values.push(Value { name: "large".into(), dtype: Some(large.dtype()), dims, constant: Some(constant) });
        graph.values.push(Value { name: "z".into(), dtype: None, dims: None, constant: None });
        graph.nodes.push(Node {
            name: "join".into(),
            op_type: "Concat".into(),
            domain: String::new(),
            inputs: vec![Some(ValueId(2)), Some(ValueId(3))],
            outputs: vec![Some(ValueId(4))],
            attributes: Attributes::new(vec![("axis".to_owned(), Attribute::Int(1))]),
            ..Node::default()
        });
        graph.outputs = vec![ValueId(4)];
        graph
    };
    let both = (beside(&conv), input);
    let (large, made) = (128 * 32 * 32 * 4, 32 * 32 * 36 * 4);
    assert_eq!(kept(&program(&both, &Residency::default())), (large + made, 1));
    let short = Residency { short: true, ..Residency::default() };
    assert_eq!(kept(&program(&both, &short)), (large + 32 * 32 * 9 * 4, 0));
}

#[test]
fn it_is_made_once_shared_and_freed() {
    block_on(async {
        let lane = GpuLane::new(Gpu::open().await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers"), None);
        let model = transposed();
        let (bytes, input) = (96 * 64 * 4, numbers(&model.1));
        let mut results = vec![];
        for holder in [1, 2] {
            let program = program(&model, &Residency::default());
            let prepared = Rc::new(lane.prepare(holder, program, &Progress::SILENT).await.unwrap());
            assert_eq!(lane.counts().weights, bytes, "what it is made of is freed, and nothing is held twice");
            let inputs = vec![Input::Words(input.to_device_words().unwrap().into())];
            let work = [Work { prepared, inputs }];
            let plan = schedule(&[work[0].prepared.program.extent()], Strategy::Sequential, &[], 8.0);
            let outcome = lane.finish(lane.submit(&work, &plan).await.unwrap()).await.unwrap();
            results.push(outcome.outputs[0][0].host().unwrap().as_f32().unwrap().to_vec());
        }
        let expected = consort::graph::reference::evaluate(&model.0, &Registry, &special(&model), &[input]).unwrap();
        for result in results {
            let off = result.iter().zip(expected[0].as_f32().unwrap()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "off by {off}");
        }
        lane.release(1);
        lane.release(2);
        assert_eq!(lane.counts().weights, 0);
    });
}
