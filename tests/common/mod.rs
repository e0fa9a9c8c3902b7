//! Tiny ONNX models made in memory, and what the CPU references make of them. Knows the ONNX messages and graphs; must
//! never know a pool or a page.

// Each test file takes what it needs.
#![allow(dead_code)]

#[path = "../../src/onnx/proto.rs"]
mod proto;

use consort::graph::{Graph, HostTensor, reference, specialise};
use consort::kernels::Registry;
use consort::onnx::{ExternalData, content_hash, read};
use prost::Message as _;
use proto::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type,
};

/// `TensorProto.DataType.FLOAT`.
pub const FLOAT: i32 = 1;
/// `TensorProto.DataType.INT64`.
pub const INT64: i32 = 7;
/// `TensorProto.DataType.BOOL`.
pub const BOOL: i32 = 9;
/// `TensorProto.DataType.STRING`, which is not read.
pub const STRING: i32 = 8;

/// One dimension as a test writes it: `8.into()` or `"batch".into()`.
pub struct Dim(Dimension);

impl From<usize> for Dim {
    fn from(size: usize) -> Dim {
        Dim(Dimension { dim_value: Some(size as i64), dim_param: None })
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Dim {
        Dim(Dimension { dim_value: None, dim_param: Some(name.to_owned()) })
    }
}

/// A model on its way to bytes.
#[derive(Default)]
pub struct Tiny(GraphProto);

impl Tiny {
    pub fn new() -> Tiny {
        Tiny::default()
    }

    /// An input of a `TensorProto.DataType`.
    pub fn input<const N: usize>(mut self, name: &str, data_type: i32, dims: [Dim; N]) -> Tiny {
        let shape = TensorShapeProto { dim: dims.into_iter().map(|d| d.0).collect() };
        let tensor = TensorTypeProto { elem_type: Some(data_type), shape: Some(shape) };
        let ty = TypeProto { tensor_type: Some(tensor) };
        self.0.input.push(ValueInfoProto { name: Some(name.to_owned()), r#type: Some(ty) });
        self
    }

    /// A weight whose values differ from their neighbours and, by `seed`, from those of other weights.
    pub fn weight<const N: usize>(mut self, name: &str, dims: [usize; N], seed: usize) -> Tiny {
        self.0.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: Some(FLOAT),
            float_data: numbers(dims.iter().product(), seed),
            ..TensorProto::default()
        });
        self
    }

    /// A weight that lies in `file`, from its first byte on.
    pub fn external<const N: usize>(mut self, name: &str, dims: [usize; N], file: &str) -> Tiny {
        let entry = StringStringEntryProto { key: Some("location".to_owned()), value: Some(file.to_owned()) };
        self.0.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: Some(FLOAT),
            external_data: vec![entry],
            data_location: Some(proto::EXTERNAL),
            ..TensorProto::default()
        });
        self
    }

    /// A node, named as its operator with `_0` and on behind.
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Tiny {
        self.0.node.push(NodeProto {
            name: Some(format!("{op}_{}", self.0.node.len())),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        });
        self
    }

    /// A whole number as an attribute of the last node.
    pub fn int(self, name: &str, value: i64) -> Tiny {
        self.attribute(AttributeProto {
            name: Some(name.to_owned()),
            i: Some(value),
            r#type: Some(attribute_type::INT),
            ..AttributeProto::default()
        })
    }

    /// Whole numbers as an attribute of the last node.
    pub fn ints(self, name: &str, values: &[i64]) -> Tiny {
        self.attribute(AttributeProto {
            name: Some(name.to_owned()),
            ints: values.to_vec(),
            r#type: Some(attribute_type::INTS),
            ..AttributeProto::default()
        })
    }

    /// A branch of the last node, an If.
    pub fn branch(self, name: &str, mut branch: Tiny, outputs: &[&str]) -> Tiny {
        let info = |name: &&str| ValueInfoProto { name: Some((*name).to_owned()), r#type: None };
        branch.0.output = outputs.iter().map(info).collect();
        self.attribute(AttributeProto {
            name: Some(name.to_owned()),
            g: Some(Box::new(branch.0)),
            ..AttributeProto::default()
        })
    }

    fn attribute(mut self, attribute: AttributeProto) -> Tiny {
        self.0.node.last_mut().expect("a node").attribute.push(attribute);
        self
    }

    /// The names of the outputs, and the bytes of the file.
    pub fn outputs(mut self, names: &[&str]) -> Vec<u8> {
        let info = |name: &&str| ValueInfoProto { name: Some((*name).to_owned()), r#type: None };
        self.0.output = names.iter().map(info).collect();
        let opset = OperatorSetIdProto { domain: None, version: Some(17) };
        ModelProto { graph: Some(self.0), opset_import: vec![opset] }.encode_to_vec()
    }
}

/// A dense layer of 8 inputs and 4 outputs for any `batch`: the smallest model with weights.
pub fn dense(seed: usize) -> Vec<u8> {
    Tiny::new()
        .input("x", FLOAT, ["batch".into(), 8.into()])
        .weight("w", [8, 4], seed)
        .weight("b", [4], seed + 1)
        .node("MatMul", &["x", "w"], "product")
        .node("Add", &["product", "b"], "sum")
        .node("Relu", &["sum"], "y")
        .outputs(&["y"])
}

/// A classifier of images of 16×16 with three channels.
pub fn classifier(seed: usize) -> Vec<u8> {
    Tiny::new()
        .input("image", FLOAT, ["batch".into(), 3.into(), 16.into(), 16.into()])
        .weight("filters", [8, 3, 3, 3], seed)
        .weight("bias", [8], seed + 1)
        .weight("head", [8, 5], seed + 2)
        .node("Conv", &["image", "filters", "bias"], "features")
        .ints("pads", &[1, 1, 1, 1])
        .node("Relu", &["features"], "active")
        .node("GlobalAveragePool", &["active"], "pooled")
        .node("Flatten", &["pooled"], "flat")
        .node("MatMul", &["flat", "head"], "logits")
        .node("Softmax", &["logits"], "classes")
        .int("axis", -1)
        .outputs(&["classes"])
}

/// A layer of 8 inputs and 16 outputs that several models have in common, and a head of 16 inputs and 4 outputs of its own.
pub fn headed(head: usize) -> Vec<u8> {
    Tiny::new()
        .input("x", FLOAT, ["batch".into(), 8.into()])
        .weight("common", [8, 16], 1)
        .weight("own", [16, 4], head + 2)
        .node("MatMul", &["x", "common"], "product")
        .node("Relu", &["product"], "features")
        .node("MatMul", &["features", "own"], "y")
        .outputs(&["y"])
}

/// Rows of a table of 16 by 6, for token ids of any number.
pub fn embedding(seed: usize) -> Vec<u8> {
    Tiny::new()
        .input("ids", INT64, ["length".into()])
        .weight("table", [16, 6], seed)
        .node("Gather", &["table", "ids"], "rows")
        .outputs(&["rows"])
}

/// Numbers in [-0.5, 0.5] that differ from their neighbours and by `seed`.
pub fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + seed * 11) % 29) as f32 / 28.0 - 0.5).collect()
}

/// A float32 tensor of [`numbers`].
pub fn tensor<const N: usize>(shape: [usize; N], seed: usize) -> HostTensor {
    HostTensor::f32(shape, numbers(shape.iter().product(), seed)).unwrap()
}

/// What the CPU references make of `inputs`, in the model's order: the outputs in its order.
pub fn expected(bytes: &[u8], inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph: Graph = read("reference", bytes.to_vec(), &ExternalData::default(), &Registry).unwrap();
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
    let special = specialise(&graph, &Registry, content_hash, &shapes).unwrap();
    reference::evaluate(&graph, &Registry, &special, inputs).unwrap()
}

/// The greatest difference of two float32 tensors of one shape.
pub fn off(a: &HostTensor, b: &HostTensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (a.as_f32().unwrap(), b.as_f32().unwrap());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, d| if d.is_nan() { f32::INFINITY } else { d.max(most) })
}
