//! Whole models on the system's Vulkan device against onnxruntime's goldens.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::graph::{Graph, HostTensor, Specialised, reference, specialise};
use consort::kernels::{Registry, Tuning};
use consort::lane::Progress;
use consort::lane::gpu::{Gpu, GpuLane, Input, Work};
use consort::lane::host::block_on;
use consort::onnx::{ExternalData, content_hash, read};
use consort::program::{Residency, Strategy, build, schedule};
use consort_models::{Data, MODELS, Model};
use std::rc::Rc;

fn graph(model: &Model) -> (Graph, Vec<HostTensor>) {
    let external = ExternalData::from([(model.data_file(), model.weights().unwrap())]);
    let graph = read(model.name, model.onnx, &external, &Registry).unwrap();
    let given = model.inputs().unwrap();
    let inputs = graph
        .inputs
        .iter()
        .map(|&id| {
            let input = given.iter().find(|i| i.name == graph.value(id).name).unwrap();
            match &input.data {
                Data::F32(v) => HostTensor::f32(input.dims.clone(), v.clone()).unwrap(),
                Data::I64(v) => HostTensor::i64(input.dims.clone(), v.clone()).unwrap(),
                Data::I32(v) => HostTensor::new(input.dims.clone(), consort::graph::Data::Int32(v.clone())).unwrap(),
            }
        })
        .collect();
    (graph, inputs)
}

fn special(graph: &Graph, inputs: &[HostTensor]) -> Specialised {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
    specialise(graph, &Registry, content_hash, &shapes).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_references_agree_with_a_golden() {
    let model = consort_models::find("squeezenet1_1").unwrap();
    let (graph, inputs) = graph(model);
    let outputs = reference::evaluate(&graph, &Registry, &special(&graph, &inputs), &inputs).unwrap();
    for (golden, output) in model.golden().unwrap().iter().zip(&outputs) {
        let error = golden.relative_error(output.as_f32().unwrap());
        assert!(error < 1e-5, "{}: {error}", golden.name);
    }
}

#[test]
fn every_model_agrees_with_its_golden_alone_and_together() {
    block_on(async {
        // Kernels that take in what follows them, with each set of variants.
        for tuning in Tuning::ALL {
            agree(tuning).await;
        }
    });
}

#[test]
fn wide_tiles_that_differ_in_their_endings_are_one_pipeline() {
    for name in ["mobilenet_v2", "minilm_l6", "resnet18"] {
        let (graph, inputs) = graph(consort_models::find(name).unwrap());
        let special = special(&graph, &inputs);
        let program = build(&graph, &special, &Residency::default(), Tuning::SOFTWARE).unwrap();
        let wide: Vec<_> = program.kernels.iter().filter(|k| k.wgsl.contains("var sums = array")).collect();
        // What a tile is, and how its operands are bound, without what becomes of its sums.
        let tile = |wgsl: &str| {
            let body = wgsl.split("fn main(").nth(1).unwrap().split("var sums").next().unwrap().to_owned();
            (wgsl.split("struct Params").next().unwrap().matches("array<vec4").count(), body)
        };
        let tiles: std::collections::BTreeSet<_> = wide.iter().map(|k| (k.name, tile(&k.wgsl))).collect();
        assert_eq!(tiles.len(), wide.len(), "{name}: a tile is compiled twice");
        assert!(wide.iter().any(|k| k.wgsl.contains("fn finish1(")), "{name}: no pipeline has two endings");
    }
}

async fn agree(tuning: Tuning) {
    let gpu = Gpu::open().await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers");
    let lane = GpuLane::new(gpu, None);
    let mut works = vec![];
    // Wide tiles take long to compile on a software Vulkan: three models have every kind of them.
    let few = ["resnet18", "mobilenet_v2", "minilm_l6"];
    let models: Vec<&Model> = MODELS.iter().filter(|m| tuning == Tuning::HARDWARE || few.contains(&m.name)).collect();
    for (holder, model) in (0..).zip(models.iter().copied()) {
        let (graph, inputs) = graph(model);
        let program =
            build(&graph, &special(&graph, &inputs), &Residency::default(), tuning).unwrap_or_else(|e| panic!("{e}"));
        let prepared = Rc::new(lane.prepare(holder, program, &Progress::SILENT).await.unwrap());
        let inputs = inputs.iter().map(|t| Input::Words(t.to_device_words().unwrap().into())).collect();
        works.push(Work { prepared, inputs });
    }
    let mut sets: Vec<(Strategy, Vec<usize>)> = (0..models.len()).map(|i| (Strategy::Sequential, vec![i])).collect();
    sets.extend(Strategy::OF_LANE.map(|s| (s, (0..models.len()).collect())));
    for (strategy, set) in sets {
        let set_works: Vec<Work> = set.iter().map(|&i| works[i].clone()).collect();
        let programs: Vec<_> = set_works.iter().map(|w| w.prepared.program.extent()).collect();
        let schedule = schedule(&programs, strategy, &[], 8.0);
        let expected = lane.predict_bytes(
            &set_works.iter().map(|w| Rc::clone(&w.prepared.program)).collect::<Vec<_>>(),
            &schedule.slots,
        );
        let outcome = lane.finish(lane.submit(&set_works, &schedule).await.unwrap()).await.unwrap();
        for (&i, outputs) in set.iter().zip(&outcome.outputs) {
            for (golden, output) in models[i].golden().unwrap().iter().zip(outputs) {
                let error = golden.relative_error(output.host().unwrap().as_f32().unwrap());
                assert!(error < 1e-3, "{} in {set:?}: {error}", models[i].name);
            }
        }
        let off = (expected as f64 / outcome.bytes as f64 - 1.0).abs();
        assert!(off < 0.01, "{set:?}: predicted {expected} bytes, allocated {}", outcome.bytes);
    }
}
