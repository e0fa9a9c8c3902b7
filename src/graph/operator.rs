//! What an operator says of itself, and the set of operators that a graph is read with.
//! The operators stand in `kernels`, which adds how each runs on the GPU; this is only the rest of their contract.

use super::{Attributes, DType, HostTensor};
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Element type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A type of `dtype` and `shape`.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        TensorType { dtype, shape: shape.into() }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of its elements on the host.
    pub fn host_bytes(&self) -> u64 {
        (self.len() * self.dtype.host_bytes()) as u64
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an operator sees of one of its inputs: the type, and the value where it is known beforehand.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Element type and shape.
    pub ty: TensorType,
    /// The elements, where the input is a constant that the host holds.
    pub value: Option<Arc<HostTensor>>,
}

/// One use of an operator, with concrete shapes.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The node's name, for errors.
    pub node: &'a str,
    /// Attributes.
    pub attributes: &'a Attributes,
    /// Version of the operator set that the model asks for.
    pub opset: i64,
    /// Inputs; `None` for an optional input left out.
    pub inputs: Vec<Option<Operand>>,
    /// How many outputs the node names.
    pub outputs: usize,
}

impl Call<'_> {
    /// Input `i`, or an error that says it is missing.
    pub fn input(&self, i: usize) -> Result<&Operand> {
        self.optional(i).ok_or_else(|| Error::new(Kind::InvalidModel, format!("input {i} is missing")))
    }

    /// Input `i` if it is given.
    pub fn optional(&self, i: usize) -> Option<&Operand> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`'s elements as i64, or an error that says they must be known before the run.
    pub fn constant_i64(&self, i: usize) -> Result<Vec<i64>> {
        let operand = self.input(i)?;
        let value = operand.value.as_ref().ok_or_else(|| {
            Error::new(Kind::Unsupported, format!("input {i} decides a shape but is only known while running"))
        })?;
        value.to_i64().ok_or_else(|| Error::new(Kind::InvalidModel, format!("input {i} must hold integers")))
    }

    /// Input `i`'s elements as i64 where the input is given; see [`Call::constant_i64`].
    pub fn optional_i64(&self, i: usize) -> Result<Option<Vec<i64>>> {
        match self.optional(i) {
            None => Ok(None),
            Some(_) => self.constant_i64(i).map(Some),
        }
    }
}

/// How a constant that an operator reads may follow how many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Not at all.
    Nothing,
    /// It is the shape of the output, which is looked at.
    Shape,
    /// It is places in input 0, each row's in its own part.
    Places,
}

/// An operator's meaning: attributes, shape rule and CPU reference.
pub trait Operator: Sync {
    /// ONNX name, e.g. `Conv`.
    fn op_type(&self) -> &'static str;

    /// ONNX domain; empty for ai.onnx.
    fn domain(&self) -> &'static str {
        ""
    }

    /// Attributes that are understood; a node with any other fails at load.
    fn attributes(&self) -> &'static [&'static str];

    /// Element type and shape of each output, from those of the inputs.
    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>>;

    /// Computes the outputs on the host, in f64 where that matters: the reference for kernels, and constant folding.
    /// Every input's value is given in `inputs`, in the order of `call.inputs`. What is not folded has none where nobody asks
    /// for references (the crate's feature of that name).
    fn evaluate(&self, _: &Call<'_>, _: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        Err(Error::new(Kind::Internal, format!("{} has no reference here", self.op_type())))
    }

    /// Which axis of each output the rows of a batch lie along, where those of the inputs lie along `axes`; `None` of an input that
    /// all rows share. Nothing where rows are mixed, or nobody has said that they are not.
    fn along(&self, _call: &Call<'_>, _axes: &[Option<usize>]) -> Option<Vec<usize>> {
        None
    }

    /// How input `i`, where it is a constant, may follow how many rows there are.
    fn follows(&self, _i: usize) -> Follows {
        Follows::Nothing
    }

    /// Whether the outputs depend on the inputs' elements: false where types alone decide them, as for `Shape`.
    fn reads_elements(&self) -> bool {
        true
    }

    /// Whether the result may be folded at load when all inputs are known (false for random operators).
    fn foldable(&self) -> bool {
        true
    }
}

/// The operators at hand.
pub trait OperatorSet {
    /// The operator of that name, if it is known.
    fn find(&self, domain: &str, op_type: &str) -> Option<&dyn Operator>;
}
