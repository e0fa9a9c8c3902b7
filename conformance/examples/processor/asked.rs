//! Requests as a file of bytes and an index of them. Knows what is measured; must never know a page.

use anyhow::{Context, Result, anyhow};
use consort::graph::{
    Attribute, Attributes, DType, Graph, HostTensor, Node, Source, SpecialNode, SpecialTensor, Specialised, TensorId,
    TensorType, specialise_with,
};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, content_hash, read};
use consort::processor::wire::{Fed, Order, Request, Run, written};
use consort::program::Residency;
use consort::program::cpu::build;
use consort_models::{Data, Input, MODELS, PUBLISHED};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// One request: whose case it is, where its bytes lie, and those of the elements beside it, by the number of their type.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    pub case: usize,
    pub head: (usize, usize),
    pub parts: Vec<(u32, usize, usize)>,
}

/// What is measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    pub name: String,
    /// A kernel by itself; otherwise a whole model.
    pub kernel: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Index {
    pub cases: Vec<Case>,
    pub requests: Vec<Asked>,
}

/// An operator, its attributes and the shapes of its weights.
type Step<'a> = (&'a str, &'a [(&'a str, &'a [i64])], &'a [&'a [usize]]);

#[derive(Default)]
struct Writer {
    index: Index,
    bytes: Vec<u8>,
}

/// How often a kernel is run; a model so often at least, and until it has done so many operations: an engine makes code fast that has run
/// for a while, and a short model would be over before.
const KERNEL_REPEATS: usize = 300;
const MODEL_REPEATS: usize = 12;
const MODEL_FLOPS: f64 = 6e9;
const MOST_REPEATS: usize = 2000;

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> (usize, usize) {
        // As wide elements need it.
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        (at, bytes.len())
    }

    fn ask(&mut self, request: &Request, parts: &[&HostTensor]) -> Result<()> {
        let head = self.put(&written(request)?);
        let parts = parts.iter().map(|tensor| {
            let (at, bytes) = self.put(tensor.bytes());
            (tensor.dtype().number(), at, bytes)
        });
        let parts = parts.collect();
        let case = self.index.cases.len() - 1;
        self.index.requests.push(Asked { case, head, parts });
        Ok(())
    }

    fn case(
        &mut self,
        name: String,
        kernel: bool,
        graph: &Graph,
        special: &Specialised,
        inputs: &[HostTensor],
    ) -> Result<()> {
        self.index.cases.push(Case { name, kernel });
        let program = self.index.cases.len() as u64;
        let (order, large) = Order::of(graph, special);
        for (hash, tensor) in large {
            let tensor = tensor.context("a weight without elements")?;
            self.ask(&Request::Weight { program, hash, shape: tensor.shape().to_vec() }, &[&tensor])?;
        }
        self.ask(&Request::Prepare { program, holder: program, order }, &[])?;
        let fed = inputs.iter().map(|tensor| Fed::Part(tensor.shape().to_vec())).collect();
        let run = Run { program, inputs: fed, kept: vec![] };
        let repeats = if kernel {
            KERNEL_REPEATS
        } else {
            let program = build(graph, special, &Residency::default())?;
            let flops: f64 = program.steps.iter().map(|step| step.cost.flops).sum();
            ((MODEL_FLOPS / flops.max(1.0)) as usize).clamp(MODEL_REPEATS, MOST_REPEATS)
        };
        self.ask(&Request::Profile { run, repeats }, &inputs.iter().collect::<Vec<_>>())?;
        self.ask(&Request::Forget { programs: vec![program], tensors: vec![] }, &[])?;
        self.ask(&Request::Release(program), &[])
    }

    /// `nodes` in a row: each reads what the one before it gives, then its own weights.
    fn kernel(&mut self, name: &str, input: &[usize], nodes: &[Step<'_>]) -> Result<()> {
        let floats = |shape: &[usize], seed: u64| {
            let mut random = fastrand::Rng::with_seed(seed);
            HostTensor::f32(shape, (0..shape.iter().product()).map(|_| random.f32() - 0.5).collect())
        };
        let given = floats(input, 1)?;
        let mut special = Specialised { inputs: vec![TensorId(0)], ..Specialised::default() };
        let tensor = |ty, source| SpecialTensor { name: String::new(), ty, source };
        special.tensors.push(tensor(TensorType::new(DType::Float32, input), Source::Input(0)));
        let mut graph = Graph { opset: BTreeMap::from([(String::new(), 17)]), ..Graph::default() };
        let mut last = TensorId(0);
        for (number, (op_type, attributes, weights)) in nodes.iter().enumerate() {
            let attributes = attributes.iter().map(|(name, value)| {
                let value = if *name == "group" { Attribute::Int(value[0]) } else { Attribute::Ints(value.to_vec()) };
                ((*name).to_owned(), value)
            });
            let attributes = Attributes::new(attributes);
            let mut inputs = vec![Some(last)];
            for shape in *weights {
                let weight = floats(shape, special.tensors.len() as u64)?;
                let source = Source::Constant(content_hash(&weight), Some(Arc::new(weight)));
                inputs.push(Some(TensorId(special.tensors.len())));
                special.tensors.push(tensor(TensorType::new(DType::Float32, *shape), source));
            }
            let operand = |id: &Option<TensorId>| {
                id.map(|id| consort::graph::Operand { ty: special.tensors[id.0].ty.clone(), value: None })
            };
            let call = consort::graph::Call {
                node: name,
                attributes: &attributes,
                opset: 17,
                inputs: inputs.iter().map(operand).collect(),
                outputs: 1,
            };
            let operator = Registry.kernel("", op_type).with_context(|| format!("no operator {op_type}"))?;
            let ty = operator.infer(&call)?.into_iter().next().context("an operator without results")?;
            last = TensorId(special.tensors.len());
            special.tensors.push(tensor(ty, Source::Node));
            special.nodes.push(SpecialNode { node: number, inputs, outputs: vec![Some(last)] });
            graph.nodes.push(Node {
                name: name.to_owned(),
                op_type: (*op_type).to_owned(),
                attributes,
                ..Node::default()
            });
        }
        special.outputs.push(last);
        self.case(name.to_owned(), true, &graph, &special, &[given])
    }

    fn model(&mut self, name: &str, file: &[u8], external: &ExternalData, given: &[Input]) -> Result<()> {
        let graph = read(name, file.to_vec(), external, &Registry)?;
        let inputs = graph.inputs.iter().map(|&id| {
            let name = &graph.value(id).name;
            let input = given.iter().find(|i| i.name == *name).with_context(|| format!("no input {name}"))?;
            let data = match &input.data {
                Data::F32(v) => consort::graph::Data::Float32(v.clone()),
                Data::I64(v) => consort::graph::Data::Int64(v.clone()),
                Data::I32(v) => consort::graph::Data::Int32(v.clone()),
            };
            Ok(HostTensor::new(input.dims.clone(), data)?)
        });
        let inputs: Vec<HostTensor> = inputs.collect::<Result<_>>()?;
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        let decides = |(i, tensor): (usize, &HostTensor)| graph.deciding.contains(&i).then(|| Arc::new(tensor.clone()));
        let deciding: Vec<_> = inputs.iter().enumerate().map(decides).collect();
        let special = specialise_with(&graph, &Registry, content_hash, &shapes, &deciding)?;
        self.case(name.to_owned(), false, &graph, &special, &inputs)
    }
}

/// Writes what measures `models`, or the kernels where none is named, into `folder`.
pub fn write(folder: &Path, models: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut writer = Writer::default();
    writer.index.cases.push(Case { name: "ceilings".to_owned(), kernel: false });
    writer.ask(&Request::Greet, &[])?;
    writer.ask(&Request::Measure, &[])?;
    if models.is_empty() {
        kernels(&mut writer)?;
    }
    for name in models {
        if let Some(model) = MODELS.iter().find(|m| m.name == name) {
            let external = ExternalData::from([(model.data_file(), model.weights()?)]);
            writer.model(name, model.onnx, &external, &model.inputs()?)?;
        } else {
            let published = PUBLISHED.iter().find(|p| p.name == name);
            let published = published.ok_or_else(|| anyhow!("there is no model '{name}'"))?;
            let file = std::fs::read(folder.join(format!("../../models/{name}.onnx")))?;
            writer.model(name, &file, &ExternalData::default(), &published.inputs()?)?;
        }
    }
    std::fs::write(folder.join("requests.bin"), &writer.bytes)?;
    std::fs::write(folder.join("requests.json"), serde_json::to_vec(&writer.index)?)?;
    Ok(())
}

const PADS: (&str, &[i64]) = ("pads", &[1, 1, 1, 1]);
const STRIDES: (&str, &[i64]) = ("strides", &[2, 2]);

fn kernels(writer: &mut Writer) -> Result<()> {
    for (m, k, n) in
        [(256, 256, 256), (512, 512, 512), (96, 96, 6272), (384, 384, 128), (128, 1536, 384), (1, 768, 3072)]
    {
        writer.kernel(&format!("product {m}×{k}×{n}"), &[m, k], &[("MatMul", &[], &[&[k, n]])])?;
    }
    for (c, size) in [(24, 112), (64, 56), (128, 28), (256, 14), (512, 7)] {
        let name = format!("3×3 convolution, {c} channels of {size}×{size}");
        writer.kernel(&name, &[1, c, size, size], &[("Conv", &[PADS], &[&[c, c, 3, 3]])])?;
    }
    writer.kernel(
        "3×3 convolution, 64 to 128, stride 2",
        &[1, 64, 56, 56],
        &[("Conv", &[PADS, STRIDES], &[&[128, 64, 3, 3]])],
    )?;
    for (c, to, size) in [(32, 128, 56), (256, 64, 28), (512, 512, 7)] {
        let name = format!("1×1 convolution, {c} to {to} of {size}×{size}");
        writer.kernel(&name, &[1, c, size, size], &[("Conv", &[], &[&[to, c, 1, 1]])])?;
    }
    for (c, size) in [(32, 112), (96, 56), (384, 14), (960, 7)] {
        let group: (&str, &[i64]) = ("group", &[c as i64]);
        let name = format!("3×3 depthwise, {c} channels of {size}×{size}");
        writer.kernel(&name, &[1, c, size, size], &[("Conv", &[PADS, group], &[&[c, 1, 3, 3]])])?;
        if size % 2 == 0 {
            let name = format!("{name}, stride 2");
            writer.kernel(&name, &[1, c, size, size], &[("Conv", &[PADS, group, STRIDES], &[&[c, 1, 3, 3]])])?;
        }
    }
    let image = [1, 64, 112, 112];
    let channel: &[&[usize]] = &[&[64, 1, 1]];
    writer.kernel(
        "add, relu, mul by channel",
        &image,
        &[("Add", &[], channel), ("Relu", &[], &[]), ("Mul", &[], channel)],
    )?;
    writer.kernel("sigmoid", &image, &[("Sigmoid", &[], &[])])?;
    writer.kernel("softmax of rows of 128", &[12, 128, 128], &[("Softmax", &[], &[])])?;
    writer.kernel("layer normalisation of 384", &[512, 384], &[("LayerNormalization", &[], &[&[384], &[384]])])?;
    writer.kernel("transpose of planes", &[1, 128, 12, 64], &[("Transpose", &[("perm", &[0, 2, 1, 3])], &[])])?;
    let kernel: (&str, &[i64]) = ("kernel_shape", &[3, 3]);
    writer.kernel("3×3 maximum, stride 2", &image, &[("MaxPool", &[kernel, STRIDES], &[])])?;
    writer.kernel("mean of planes", &[1, 512, 14, 14], &[("GlobalAveragePool", &[], &[])])
}
