//! The graph as the model states it: free dimensions still free, nothing folded.

use super::{Attributes, ContentHash, DType, HostTensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Index of a [`Value`] in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub usize);

/// One dimension of a graph input or output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known when the model was made.
    Fixed(usize),
    /// Bound by each call; equal names take equal values. An unnamed free dimension has an empty name.
    Free(String),
}

/// A constant tensor: its type always, its elements while the host still holds them.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Hash of the device bytes.
    pub hash: ContentHash,
    /// The elements; `None` once they live only on the lanes.
    pub tensor: Option<Arc<HostTensor>>,
}

/// One edge of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the ONNX file.
    pub name: String,
    /// Element type, where the model states it (always for inputs and constants).
    pub dtype: Option<DType>,
    /// Dimensions, where the model states them (always for inputs and constants).
    pub dims: Option<Vec<Dim>>,
    /// The constant that it is, if it is one.
    pub constant: Option<Constant>,
}

/// One operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// Name in the file, or `op_type#index` where the file gives none.
    pub name: String,
    /// Operator, e.g. `Conv`.
    pub op_type: String,
    /// Operator domain; empty for ai.onnx.
    pub domain: String,
    /// Inputs; `None` for an optional input left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs; `None` for an optional output left out.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes.
    pub attributes: Attributes,
    /// It is computed only where each of these truth values is so: it stands in a branch of an If.
    pub guards: Vec<(ValueId, bool)>,
    /// It is a Where that stands for an output of an If: where the condition is known, the output is the branch's own value.
    pub choice: bool,
}

/// A whole model: nodes in an order in which each follows what it needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The model's name as the caller gave it.
    pub name: String,
    /// Operator-set version by domain (empty for ai.onnx).
    pub opset: BTreeMap<String, i64>,
    /// Every edge.
    pub values: Vec<Value>,
    /// Every node, topologically sorted.
    pub nodes: Vec<Node>,
    /// What a call feeds, in the file's order.
    pub inputs: Vec<ValueId>,
    /// What a call returns, in the file's order.
    pub outputs: Vec<ValueId>,
    /// Which inputs decide by their elements what is computed, by their place among all: those of the conditions of Ifs.
    pub deciding: Vec<usize>,
}

impl Graph {
    /// The value behind an id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }
}
