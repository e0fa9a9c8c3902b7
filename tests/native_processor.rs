//! Whole models as a processor's programs against onnxruntime's goldens, and grown graphs against the references.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/models.rs"]
mod models;

use consort::graph::{
    Attribute, Attributes, DType, Graph, HostTensor, Node, Source, SpecialNode, SpecialTensor, Specialised, TensorId,
    TensorType, candidates, reference, specialise, stacks,
};
use consort::kernels::Registry;
use consort::onnx::content_hash;
use consort::processor::{Alone, Arena, Loaded, Scoped, Store, execute};
use consort::program::{Residency, cpu};
use consort_models::MODELS;
use models::graph;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

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
            .filter(|step| step.routine.is_reference())
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
/// With `roundings` (a seed) every result is first multiplied by numbers 2⁻²² from 1, as rounding might leave it.
fn grown(
    plan: &[(u8, usize, usize)],
    outputs: &[usize],
    roundings: Option<usize>,
) -> (Graph, Specialised, Vec<HostTensor>) {
    let shapes = [vec![2, 3, 5], vec![5], vec![3, 1], vec![2, 3, 5]];
    let noise = |n: usize, seed: usize| (0..n).map(|i| ((i * 37 + seed * 101) % 89) as f32 / 44.5 - 1.0).collect();
    let floats = |shape: &[usize], seed: usize| HostTensor::f32(shape, noise(shape.iter().product(), seed)).unwrap();
    let given: Vec<HostTensor> = shapes.iter().enumerate().map(|(i, shape)| floats(shape, i)).collect();
    let whole = [2, 3, 5];
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
    let (mut all, mut nodes): (Vec<Node>, Vec<SpecialNode>) = (vec![], vec![]);
    let mut make = |op: &str, reads: &[usize], shape: &[usize]| {
        let attributes = match op {
            "Transpose" => Attributes::new([("perm".to_owned(), Attribute::Ints(vec![0, 2, 1]))]),
            _ => Attributes::default(),
        };
        let ty = TensorType::new(DType::Float32, shape);
        tensors.push(SpecialTensor { name: format!("made {}", all.len()), ty, source: Source::Node });
        let (inputs, outputs) =
            (reads.iter().map(|&i| Some(TensorId(i))).collect(), vec![Some(TensorId(tensors.len() - 1))]);
        nodes.push(SpecialNode { node: all.len(), inputs, outputs });
        let (name, op_type, domain) = (format!("{op} {}", all.len()), op.to_owned(), String::new());
        all.push(Node { name, op_type, domain, attributes, ..Node::default() });
        let Some(seed) = roundings else { return tensors.len() - 1 };
        let made = tensors.len() - 1;
        let signs = floats(shape, seed * 997 + all.len()).to_f64();
        let near = signs.iter().map(|sign| 1.0 + 2f32.powi(-22).copysign(*sign as f32)).collect();
        let near = HostTensor::f32(shape, near).unwrap();
        let source = Source::Constant(content_hash(&near), Some(Arc::new(near)));
        tensors.push(SpecialTensor { name: "roundings".into(), ty: TensorType::new(DType::Float32, shape), source });
        let ty = TensorType::new(DType::Float32, shape);
        tensors.push(SpecialTensor { name: format!("rounded {made}"), ty, source: Source::Node });
        let (inputs, outputs) = (vec![Some(TensorId(made)), Some(TensorId(made + 1))], vec![Some(TensorId(made + 2))]);
        nodes.push(SpecialNode { node: all.len(), inputs, outputs });
        all.push(Node { name: format!("rounding {made}"), op_type: "Mul".into(), ..Node::default() });
        made + 2
    };
    // Tensors of the whole shape, of which each operator's first operand is one.
    let mut wholes = vec![0, 3];
    for &(op, a, b) in plan {
        let ops = ["Add", "Mul", "Sub", "Relu", "Sigmoid", "MatMul", "Softmax", "attention", "products", "Erf", "gate"];
        let op = ops[usize::from(op) % ops.len()];
        let (first, second) = (wholes[a % wholes.len()], wholes[b % wholes.len()]);
        let result = match op {
            "MatMul" => make(op, &[first, 4], &whole),
            "gate" => {
                let open = make(["Sigmoid", "Erf", "Relu", "Tanh"][b % 4], &[first], &whole);
                let factors = if b % 8 < 4 { [first, open] } else { [open, first] };
                make("Mul", &factors, &whole)
            }
            "Relu" | "Sigmoid" | "Softmax" | "Erf" => make(op, &[first], &whole),
            "attention" | "products" => {
                let turned = make("Transpose", &[second], &[2, 5, 3]);
                let mut scores = make("MatMul", &[first, turned], &[2, 3, 3]);
                if op == "attention" {
                    scores = make("Softmax", &[scores], &[2, 3, 3]);
                }
                make("MatMul", &[scores, second], &whole)
            }
            _ if b % 3 == 0 => make(op, &[first, 1 + b % 2], &whole),
            _ => make(op, &[first, second], &whole),
        };
        wholes.push(result);
    }
    let made = &wholes[2..];
    let outputs = outputs.iter().map(|i| made[i % made.len()]).chain(made.last().copied()).map(TensorId).collect();
    let inputs = (0..given.len()).map(TensorId).collect();
    let opset = [(String::new(), 17)].into();
    let graph = Graph { name: "grown".into(), opset, nodes: all, ..Graph::default() };
    (graph, Specialised { tensors, nodes, inputs, outputs }, given)
}

/// Whether a grown graph gives on a processor what the references give.
fn agrees(plan: &[(u8, usize, usize)], outputs: &[usize]) -> Result<(), String> {
    let (graph, special, given) = grown(plan, outputs, None);
    // What rounding alone may do to each output: a graph may enlarge it as much as it likes.
    let rounded = [1, 2, 3].map(|seed| {
        let (graph, special, given) = grown(plan, outputs, Some(seed));
        reference::evaluate(&graph, &Registry, &special, &given).unwrap()
    });
    let expected = reference::evaluate(&graph, &Registry, &special, &given).unwrap();
    let program = cpu::build(&graph, &special, &Residency::default()).unwrap();
    let steps = program.steps.len();
    if steps > special.nodes.len() {
        return Err(format!("{steps} steps of {} nodes", special.nodes.len()));
    }
    let loaded = Store::default().load(0, program).unwrap();
    let mut arena = Arena::default();
    arena.poison(&loaded.program, 1);
    let inputs: Vec<&HostTensor> = given.iter().collect();
    let outputs = execute(&loaded, &mut arena, &Alone, &inputs, &|node| node.to_string()).unwrap();
    for (i, (a, e)) in outputs.iter().zip(&expected).enumerate() {
        // What is in between is about 1: where it cancels out, rounding is all that is left.
        let most = e.to_f64().iter().fold(1e-2, |most: f64, v| most.max(v.abs()));
        let apart = |a: f64, e: f64| if a == e || !e.is_finite() { 0.0 } else { (a - e).abs() };
        let furthest =
            |a: &HostTensor| a.to_f64().iter().zip(e.to_f64()).fold(0.0, |f: f64, (&a, e)| f.max(apart(a, e)));
        let off = furthest(a);
        let rounding = rounded.iter().map(|r| furthest(&r[i])).fold(0.0, f64::max);
        // What is no number here is as wrong as can be.
        let missing = a.to_f64().iter().zip(e.to_f64()).any(|(a, e)| a.is_nan() && !e.is_nan());
        if missing || (most.is_finite() && off >= (4.0 * rounding).max(1e-5 * most)) {
            return Err(format!("{off} of {most}, by rounding {rounding}, {missing}"));
        }
    }
    Ok(())
}

/// A convolution of an image of `channels` and `size` by `filters` of `taps`, a normalisation by constants, and Relu, with an input.
fn normalised(channels: usize, [filters, of, taps]: [usize; 3], size: usize) -> (Graph, Specialised, HostTensor) {
    let mut random = 0u32;
    let mut floats = |shape: &[usize]| {
        let data = (0..shape.iter().product()).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as f32 / 2f32.powi(24) + 0.1
        });
        HostTensor::f32(shape, data.collect()).unwrap()
    };
    let constants = [&[filters, of, taps, taps][..], &[filters], &[filters], &[filters], &[filters]].map(&mut floats);
    let given = floats(&[2, channels, size, size + 1]);
    let tensor = |shape: &[usize], source| SpecialTensor {
        name: String::new(),
        ty: TensorType::new(DType::Float32, shape),
        source,
    };
    let mut tensors = vec![tensor(given.shape(), Source::Input(0))];
    for constant in constants {
        let shape = constant.shape().to_vec();
        tensors.push(tensor(&shape, Source::Constant(content_hash(&constant), Some(Arc::new(constant)))));
    }
    (0..3).for_each(|_| tensors.push(tensor(&[2, filters, size + 1 - taps, size + 2 - taps], Source::Node)));
    let (mut nodes, mut all) = (vec![], vec![]);
    for (op_type, reads, writes) in
        [("Conv", vec![0, 1], 6), ("BatchNormalization", vec![6, 2, 3, 4, 5], 7), ("Relu", vec![7], 8)]
    {
        let inputs = reads.into_iter().map(|id| Some(TensorId(id))).collect();
        nodes.push(SpecialNode { node: all.len(), inputs, outputs: vec![Some(TensorId(writes))] });
        let mut node = Node { name: op_type.to_owned(), op_type: op_type.to_owned(), ..Node::default() };
        if op_type == "Conv" {
            node.attributes = Attributes::new([("group".to_owned(), Attribute::Int((channels / of) as i64))]);
        }
        all.push(node);
    }
    let opset = [(String::new(), 17)].into();
    let graph = Graph { name: "joined".into(), opset, nodes: all, ..Graph::default() };
    let special = Specialised { tensors, nodes, inputs: vec![TensorId(0)], outputs: vec![TensorId(8)] };
    (graph, special, given)
}

#[test]
fn a_normalisation_by_constants_is_part_of_the_convolution_before_it() {
    // By windows, in groups, by planes of one filter, point by point, and by Winograd, where the second size is not.
    let convolutions =
        [(3, [4, 3, 3]), (8, [6, 4, 3]), (5, [5, 1, 3]), (4, [8, 1, 5]), (7, [9, 7, 1]), (16, [16, 16, 3])];
    let mut ways = BTreeSet::new();
    for (channels, filters) in convolutions {
        let mut store = Store::default();
        for (number, size) in [17, 9].into_iter().enumerate() {
            let (graph, mut special, given) = normalised(channels, filters, size);
            let inputs = std::slice::from_ref(&given);
            let expected = reference::evaluate(&graph, &Registry, &special, inputs).unwrap();
            if number > 0 {
                // Of what is held in another form the host has no copy any more.
                let Source::Constant(_, value) = &mut special.tensors[1].source else { panic!("no weight") };
                *value = None;
            }
            let program = cpu::build(&graph, &special, &Residency::default()).unwrap();
            let [step] = program.steps.as_slice() else { panic!("{:?}", program.steps) };
            let said = format!("{:?}", step.routine);
            assert!(step.node == 0 && said.contains("Relu") && said.contains("ops: []"), "{said}");
            ways.extend(said.split_whitespace().next().map(str::to_owned));
            let loaded = store.load(0, program).unwrap();
            let name = |node: usize| node.to_string();
            let outputs = execute(&loaded, &mut Arena::default(), &Alone, &[&given], &name).unwrap();
            for (a, e) in outputs[0].to_f64().iter().zip(expected[0].to_f64()) {
                assert!((a - e).abs() <= 2e-5 * e.abs().max(1.0), "{filters:?} of {size}: {a} is not {e}");
            }
        }
    }
    assert!(ways.iter().eq(["Depthwise", "Product", "Window", "Winograd"]), "{ways:?}");
}

#[test]
fn what_multiplies_each_image_of_a_batch_is_no_part_of_filters() {
    // As many images as filters.
    let (mut graph, mut special, given) = normalised(3, [2, 3, 3], 9);
    let scale = HostTensor::f32([2, 1, 1, 1], vec![2.0, -3.0]).unwrap();
    special.tensors[2].ty = TensorType::new(DType::Float32, [2, 1, 1, 1]);
    special.tensors[2].source = Source::Constant(content_hash(&scale), Some(Arc::new(scale)));
    graph.nodes[1].op_type = "Mul".to_owned();
    special.nodes[1].inputs.truncate(2);
    let expected = reference::evaluate(&graph, &Registry, &special, std::slice::from_ref(&given)).unwrap();
    let loaded = Store::default().load(0, cpu::build(&graph, &special, &Residency::default()).unwrap()).unwrap();
    let name = |node: usize| node.to_string();
    let outputs = execute(&loaded, &mut Arena::default(), &Alone, &[&given], &name).unwrap();
    for (a, e) in outputs[0].to_f64().iter().zip(expected[0].to_f64()) {
        assert!((a - e).abs() <= 1e-5 * e.abs().max(1.0), "{a} is not {e}");
    }
}

#[test]
fn a_normalisation_that_weights_cannot_be_had_back_from_stays() {
    let (graph, mut special, given) = normalised(3, [4, 3, 3], 9);
    let mut scale = vec![1.5; 4];
    scale[2] = 0.0;
    let scale = HostTensor::f32([4], scale).unwrap();
    special.tensors[2].source = Source::Constant(content_hash(&scale), Some(Arc::new(scale)));
    let expected = reference::evaluate(&graph, &Registry, &special, std::slice::from_ref(&given)).unwrap();
    let program = cpu::build(&graph, &special, &Residency::default()).unwrap();
    assert!(!format!("{:?}", program.steps[0].routine).contains("ops: []"));
    let loaded = Store::default().load(0, program).unwrap();
    let name = |node: usize| node.to_string();
    let outputs = execute(&loaded, &mut Arena::default(), &Alone, &[&given], &name).unwrap();
    for (a, e) in outputs[0].to_f64().iter().zip(expected[0].to_f64()) {
        assert!((a - e).abs() <= 1e-5 * e.abs().max(1.0), "{a} is not {e}");
    }
}

#[test]
fn what_picks_rows_of_a_table_costs_the_same_however_many_it_has() {
    let bytes = |height: usize| -> Vec<f64> {
        let tensor = |dtype: DType, shape: &[usize], source| SpecialTensor {
            name: String::new(),
            ty: TensorType::new(dtype, shape),
            source,
        };
        let constant = |of: Vec<i64>| {
            let of = HostTensor::i64([of.len()], of).unwrap();
            tensor(DType::Int64, &[1], Source::Constant(content_hash(&of), Some(Arc::new(of))))
        };
        let mut tensors = vec![
            tensor(DType::Float32, &[height, 8], Source::Input(0)),
            tensor(DType::Int64, &[3], Source::Input(1)),
            constant(vec![1]),
            constant(vec![3]),
            constant(vec![1 - height as i64]),
            constant(vec![0]),
        ];
        let pads = HostTensor::i64([4], vec![-1, 0, 3 - height as i64, 0]).unwrap();
        tensors.push(tensor(DType::Int64, &[4], Source::Constant(content_hash(&pads), Some(Arc::new(pads)))));
        let (mut nodes, mut all, mut outputs) = (vec![], vec![], vec![]);
        for (op, reads, rows) in [
            ("Gather", vec![0, 1], 3),
            ("Slice", vec![0, 2, 3, 5], 2),
            ("Slice", vec![0, 4, 3, 5], 2),
            ("Pad", vec![0, 6], 2),
        ] {
            let output = Some(TensorId(tensors.len()));
            tensors.push(tensor(DType::Float32, &[rows, 8], Source::Node));
            let inputs = reads.into_iter().map(|id| Some(TensorId(id))).collect();
            nodes.push(SpecialNode { node: all.len(), inputs, outputs: vec![output] });
            all.push(Node { name: op.to_owned(), op_type: op.to_owned(), ..Node::default() });
            outputs.extend(output);
        }
        let opset = [(String::new(), 17)].into();
        let graph = Graph { name: "picked".into(), opset, nodes: all, ..Graph::default() };
        let special = Specialised { tensors, nodes, inputs: vec![TensorId(0), TensorId(1)], outputs };
        let program = cpu::build(&graph, &special, &Residency::default()).unwrap();
        assert!(program.steps.iter().all(|step| !step.routine.is_reference()));
        program.steps.iter().map(|step| step.cost.bytes).collect()
    };
    // Rows that are read and written, and where they are picked by number their numbers.
    let (three, two) = (2.0 * 3.0 * 32.0 + 3.0 * 8.0, 2.0 * 2.0 * 32.0);
    assert_eq!(bytes(10), [three, two, two, two]);
    assert_eq!(bytes(100_000), [three, two, two, two]);
}

#[test]
fn an_attention_that_another_is_made_of_is_computed() {
    // MatMul, Softmax, MatMul, Softmax, MatMul: two of the patterns, and one product that would be in both.
    assert_eq!(agrees(&[(7, 0, 0), (6, 2, 0), (7, 3, 0)], &[]), Ok(()));
}

#[test]
fn what_cancels_out_is_judged_by_what_rounding_makes_of_it() {
    // Two products of three each, of differences: a rounding in the first is 650 times as large in the last.
    let mut plan = vec![(0, 0, 0); 19];
    for (i, node) in [
        (1, (2, 9, 30)),
        (2, (8, 10, 11)),
        (3, (2, 0, 41)),
        (4, (2, 2, 1)),
        (7, (8, 11, 31)),
        (12, (8, 3, 23)),
        (18, (6, 14, 0)),
    ] {
        plan[i] = node;
    }
    assert_eq!(agrees(&plan, &[]), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_is_joined_computes_the_same(
        plan in prop::collection::vec((0u8..9, 0usize..64, 0usize..64), 1..24),
        outputs in prop::collection::vec(0usize..24, 0..3),
    ) {
        prop_assert_eq!(agrees(&plan, &outputs), Ok(()));
    }
}

/// The same tensor with other numbers in it; what is whole stays in its range.
fn varied(tensor: &HostTensor, seed: usize) -> HostTensor {
    match tensor.data() {
        consort::graph::Data::Float32(v) => {
            let other =
                v.iter().enumerate().map(|(i, x)| x * (1.0 - seed as f32 / 64.0) + ((i + seed) as f32).sin() / 8.0);
            HostTensor::f32(tensor.shape(), other.collect()).unwrap()
        }
        consort::graph::Data::Int64(v) => {
            let mut other = v.clone();
            let by = seed % other.len().max(1);
            other.rotate_left(by);
            HostTensor::i64(tensor.shape(), other).unwrap()
        }
        _ => tensor.clone(),
    }
}

/// `parts` one after another along `axis`.
fn joined(parts: &[&HostTensor], axis: usize) -> HostTensor {
    let shape = parts[0].shape();
    let (outer, run) = (shape[..axis].iter().product::<usize>(), shape[axis..].iter().product::<usize>());
    let places =
        (0..outer).flat_map(|o| (0..parts.len()).flat_map(move |p| (p * outer + o) * run..(p * outer + o + 1) * run));
    let mut whole = shape.to_vec();
    whole[axis] *= parts.len();
    HostTensor::joined(parts[0].dtype(), parts).unwrap().pick(whole, places).unwrap()
}

#[test]
fn calls_of_a_model_are_one_call_where_their_rows_are_apart() {
    let mut stackable = vec![];
    for model in MODELS {
        let (graph, inputs) = graph(&model);
        let special = |inputs: &[HostTensor]| {
            let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
            specialise(&graph, &Registry, content_hash, &shapes)
        };
        let base = special(&inputs).unwrap();
        for axes in candidates(&graph) {
            let given: Vec<Vec<HostTensor>> = (0..3)
                .map(|seed| {
                    let own = |(tensor, axis): (&HostTensor, &Option<usize>)| match axis {
                        Some(_) => varied(tensor, seed),
                        None => tensor.clone(),
                    };
                    inputs.iter().zip(&axes).map(own).collect()
                })
                .collect();
            let stack = |i: usize| match axes[i] {
                Some(axis) => joined(&given.iter().map(|given| &given[i]).collect::<Vec<_>>(), axis),
                None => inputs[i].clone(),
            };
            let all: Vec<HostTensor> = (0..inputs.len()).map(stack).collect();
            let Ok(stacked) = special(&all) else { continue };
            let Some(outputs) = stacks(&graph, &Registry, (&base, &stacked), &axes, 3) else { continue };
            stackable.push(model.name);
            let run = |inputs: &[HostTensor], holder: u64| {
                let mut store = Store::default();
                let loaded = loaded(&mut store, holder, &graph, inputs);
                let inputs: Vec<&HostTensor> = inputs.iter().collect();
                execute(&loaded, &mut Arena::default(), &Scoped(2), &inputs, &|_| String::new()).unwrap()
            };
            let whole = run(&all, 0);
            let alone: Vec<Vec<HostTensor>> = given.iter().map(|given| run(given, 0)).collect();
            for (o, axis) in outputs.iter().enumerate() {
                let parts: Vec<&HostTensor> = alone.iter().map(|alone| &alone[o]).collect();
                let expected = match axis {
                    Some(axis) => joined(&parts, *axis),
                    None => parts[0].clone(),
                };
                assert_eq!(whole[o].shape(), expected.shape(), "{}", model.name);
                let pairs = whole[o].to_f64().into_iter().zip(expected.to_f64());
                let most = expected.to_f64().iter().fold(0.0f64, |most, x| most.max(x.abs()));
                let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / most.max(1e-9);
                assert!(off < 1e-4, "{} output {o} by {axes:?}: {off}", model.name);
            }
            break;
        }
    }
    println!("{stackable:?}");
    assert_eq!(stackable.len(), MODELS.len(), "{stackable:?}");
}
