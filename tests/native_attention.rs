//! Attention in slices against its nodes' references, over random sizes with ragged ends.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::graph::{
    Attribute, Attributes, DType, Dim, Graph, HostTensor, Node, Value, ValueId, reference, specialise,
};
use consort::kernels::{Registry, Tuning};
use consort::lane::Progress;
use consort::lane::gpu::{Gpu, GpuLane, Input, Work};
use consort::lane::host::block_on;
use consort::onnx::{content_hash, hashed};
use consort::program::{Residency, Strategy, build_sliced, schedule};
use std::rc::Rc;

/// q, k and v are inputs 0 to 2; `scale` is a Mul between the product and the softmax, where there is one.
fn graph(scale: Option<f32>) -> Graph {
    let value = |name: &str| Value { name: name.to_owned(), dtype: Some(DType::Float32), dims: None, constant: None };
    let free = |name: &str| {
        let dims = (0..4).map(|_| Dim::Free(String::new())).collect();
        Value { dims: Some(dims), ..value(name) }
    };
    let mut values = vec![free("q"), free("k"), free("v"), value("s"), value("p"), value("y"), value("m"), value("c")];
    let node = |op: &str, inputs: &[usize], output: usize, attributes| Node {
        name: op.to_owned(),
        op_type: op.to_owned(),
        domain: String::new(),
        inputs: inputs.iter().map(|&i| Some(ValueId(i))).collect(),
        outputs: vec![Some(ValueId(output))],
        attributes: Attributes::new(attributes),
        ..Node::default()
    };
    let mut nodes = vec![node("MatMul", &[0, 1], 3, vec![])];
    if let Some(scale) = scale {
        values[7].constant = Some(hashed(HostTensor::f32([], vec![scale]).unwrap()));
        nodes.push(node("Mul", &[3, 7], 6, vec![]));
    }
    let from = if scale.is_some() { 6 } else { 3 };
    nodes.push(node("Softmax", &[from], 4, vec![("axis".to_owned(), Attribute::Int(-1))]));
    nodes.push(node("MatMul", &[4, 2], 5, vec![]));
    let (inputs, outputs) = (vec![ValueId(0), ValueId(1), ValueId(2)], vec![ValueId(5)]);
    Graph {
        name: "attention".to_owned(),
        opset: [(String::new(), 17)].into(),
        values,
        nodes,
        inputs,
        outputs,
        ..Graph::default()
    }
}

#[test]
fn slices_give_what_the_nodes_give() {
    block_on(async {
        let gpu = Gpu::open().await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers");
        let lane = GpuLane::new(gpu, None);
        let mut state = 7u64;
        let mut draw = |from: usize, to: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            from + (state >> 33) as usize % (to - from)
        };
        for round in 0..24 {
            let (batch, heads, queries, keys) = (draw(1, 3), draw(1, 4), draw(1, 150), draw(1, 150));
            let (depth, width) = (64 * draw(1, 3), 64);
            let mut tensor = |shape: [usize; 4]| {
                let data = (0..shape.iter().product()).map(|_| draw(0, 2001) as f32 / 1000.0 - 1.0).collect();
                HostTensor::f32(shape, data).unwrap()
            };
            let inputs = [
                tensor([batch, heads, queries, depth]),
                tensor([batch, heads, depth, keys]),
                tensor([batch, heads, keys, width]),
            ];
            let graph = graph([None, Some(0.125), Some(-2.0)][round % 3]);
            let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
            let special = specialise(&graph, &Registry, content_hash, &shapes).unwrap();
            let expected = reference::evaluate(&graph, &Registry, &special, &inputs).unwrap().remove(0);
            // From slices of a few rows to several matrices at once.
            let slice_bytes = [256, 20_000, 80_000][round / 3 % 3];
            // An adapter of one thread: no product is split to keep others busy.
            let tuning = Tuning { streams: false, threads: 1, ..Tuning::default() };
            let program = build_sliced(&graph, &special, &Residency::default(), tuning, slice_bytes).unwrap();
            let all = batch * heads * queries * keys * 4;
            // Product, softmax, product of each slice; the factor is the first's epilogue.
            let dispatches = program.dispatches.len();
            assert_eq!(dispatches % 3, 0, "round {round}");
            match all > slice_bytes {
                true => assert!(dispatches > 3, "round {round}"),
                false => assert_eq!(dispatches, 3, "round {round}"),
            }
            let prepared = Rc::new(lane.prepare(1, program, &Progress::SILENT).await.unwrap());
            let words = inputs.iter().map(|t| Input::Words(t.to_device_words().unwrap().into())).collect();
            let schedule = schedule(&[prepared.program.extent()], Strategy::Sequential, &[], 8.0);
            let work = Work { prepared, inputs: words };
            let outcome = lane.finish(lane.submit(&[work], &schedule).await.unwrap()).await.unwrap();
            let (have, want) = (outcome.outputs[0][0].host().unwrap().as_f32().unwrap(), expected.as_f32().unwrap());
            let off: f64 = have.iter().zip(want).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            let norm: f64 = want.iter().map(|b| f64::from(*b).powi(2)).sum();
            assert!((off / norm).sqrt() < 1e-5, "round {round}: {shapes:?} off by {}", (off / norm).sqrt());
        }
    });
}
