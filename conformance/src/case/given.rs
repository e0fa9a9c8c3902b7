//! One operator, its attributes and inputs, and the operators after it: what a case is given. Knows the graph's contract; must
//! never know a device.

use anyhow::{Result, anyhow, ensure};
use consort::graph::{Attribute, Attributes, Call, DType, HostTensor, Operand, TensorType};
use consort::kernels::{Kernel, Registry};
use half::f16;
use std::sync::Arc;

/// One operator, attributes and inputs.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) op: &'static str,
    pub(super) opset: i64,
    pub(super) attributes: Vec<(String, Attribute)>,
    pub(super) inputs: Vec<Option<HostTensor>>,
    /// Which inputs are weights: their values are known while lowering, and they are bound read-only.
    pub(super) constant: Vec<bool>,
    pub(super) outputs: usize,
    pub(super) steps: Vec<Step>,
    pub(crate) tolerance: f64,
    pub(super) halved: bool,
}

/// A further operator, of the same operator set.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) op: &'static str,
    pub(super) reads: Vec<Read>,
    pub(super) attributes: Vec<(String, Attribute)>,
}

/// What a step reads.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// The case's input of that index, which its own operator does not read.
    Given(usize),
    /// What the case's operator (0) or the step of that number gives.
    Result(usize),
}

impl Case {
    /// `op` of opset 17 with no attributes, no inputs, one output, and a relative error of at most 1e-5.
    pub fn new(op: &'static str) -> Self {
        Case {
            op,
            opset: 17,
            attributes: vec![],
            inputs: vec![],
            constant: vec![],
            outputs: 1,
            steps: vec![],
            tolerance: 1e-5,
            halved: false,
        }
    }

    /// Adds an INT attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, Attribute::Int(value))
    }

    /// Adds an INTS attribute.
    pub fn ints(self, name: &str, value: &[i64]) -> Self {
        self.attribute(name, Attribute::Ints(value.to_vec()))
    }

    /// Adds a FLOAT attribute.
    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, Attribute::Float(value))
    }

    /// Adds a STRING attribute.
    pub fn string(self, name: &str, value: &str) -> Self {
        self.attribute(name, Attribute::String(value.to_owned()))
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    /// Adds a float32 input of `shape` with pseudo-random elements in [-1, 1).
    pub fn random(self, shape: &[usize]) -> Self {
        let seed = self.inputs.len() as u64 + 1;
        let data = random(shape.iter().product(), seed);
        self.input(f32s(shape, data))
    }

    /// Adds an input that is computed while running.
    pub fn input(mut self, tensor: HostTensor) -> Self {
        self.inputs.push(Some(tensor));
        self.constant.push(false);
        self
    }

    /// Adds an input that is a constant of the model.
    pub fn constant(mut self, tensor: HostTensor) -> Self {
        self.inputs.push(Some(tensor));
        self.constant.push(true);
        self
    }

    /// Adds a constant int64 vector, as axes and shapes are given.
    pub fn constant_i64(self, values: &[i64]) -> Self {
        self.constant(i64s(&[values.len()], values))
    }

    /// Makes the input added last a constant of the model.
    pub fn frozen(mut self) -> Self {
        if let Some(last) = self.constant.last_mut() {
            *last = true;
        }
        self
    }

    /// Makes all floats but the first input constants that lie as f16, where they may: to that they are rounded for the
    /// reference, too.
    pub fn halved(mut self) -> Self {
        self.halved = true;
        for i in 0..self.inputs.len() {
            self.constant[i] |= i > 0 && self.inputs[i].as_ref().is_some_and(|t| t.dtype() == DType::Float32);
            if self.lies_halved(i)
                && let Some(tensor) = &self.inputs[i]
            {
                let rounded = tensor.as_f32().into_iter().flatten().map(|&v| f16::from_f32(v).to_f32()).collect();
                self.inputs[i] = Some(f32s(tensor.shape(), rounded));
            }
        }
        self
    }

    /// Whether any input lies as f16.
    pub fn has_halves(&self) -> bool {
        (0..self.inputs.len()).any(|i| self.lies_halved(i))
    }

    /// Whether input `i` lies as f16.
    pub(super) fn lies_halved(&self, i: usize) -> bool {
        let floats = |t: &HostTensor| t.dtype() == DType::Float32 && !t.is_empty() && t.len().is_multiple_of(4);
        self.halved && self.constant.get(i) == Some(&true) && self.inputs[i].as_ref().is_some_and(floats)
    }

    /// Leaves an optional input out.
    pub fn left_out(mut self) -> Self {
        self.inputs.push(None);
        self.constant.push(false);
        self
    }

    /// Whether a GPU has a kernel for its first operator.
    pub fn on_gpu(&self) -> bool {
        self.kernel().is_ok_and(|kernel| kernel.on_gpu())
    }

    /// Sets the operator-set version.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = version;
        self
    }

    /// Sets how many outputs the node names.
    pub fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    /// Sets the relative error ‖a−b‖/‖b‖ that is let pass.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Adds an operator that reads what those before it give; what the last one gives is compared.
    pub fn then(mut self, op: &'static str, reads: &[Read]) -> Self {
        self.steps.push(Step { op, reads: reads.to_vec(), attributes: vec![] });
        self
    }

    /// Gives the operator added last an INT attribute.
    pub fn with_int(mut self, name: &str, value: i64) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.attributes.push((name.to_owned(), Attribute::Int(value)));
        }
        self
    }

    /// Gives the operator added last an INTS attribute.
    pub fn with_ints(mut self, name: &str, values: &[i64]) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.attributes.push((name.to_owned(), Attribute::Ints(values.to_vec())));
        }
        self
    }

    /// Whether it is a graph of several operators.
    pub fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// How many of the inputs the case's own operator has.
    pub(super) fn own_inputs(&self) -> usize {
        let given = self.steps.iter().flat_map(|s| &s.reads).filter_map(|r| match r {
            Read::Given(i) => Some(*i),
            Read::Result(_) => None,
        });
        given.min().unwrap_or(self.inputs.len())
    }

    pub(super) fn kernel(&self) -> Result<&'static dyn Kernel> {
        let kernel = kernel(self.op)?;
        for (name, _) in &self.attributes {
            ensure!(kernel.attributes().contains(&name.as_str()), "{} does not list '{name}'", self.op);
        }
        Ok(kernel)
    }

    pub(super) fn call<'a>(&self, attributes: &'a Attributes) -> Call<'a> {
        let operand = |(i, tensor): (usize, &Option<HostTensor>)| {
            let tensor = tensor.as_ref()?;
            let value = self.constant[i].then(|| Arc::new(tensor.clone()));
            Some(Operand { ty: type_of(tensor), value })
        };
        let inputs = self.inputs[..self.own_inputs()].iter().enumerate().map(operand).collect();
        Call { node: "case", attributes, opset: self.opset, inputs, outputs: self.outputs }
    }

    pub(super) fn types(&self) -> Result<Vec<TensorType>> {
        let attributes = Attributes::new(self.attributes.clone());
        let mut types = self.kernel()?.infer(&self.call(&attributes))?;
        types.truncate(self.outputs);
        Ok(types)
    }

    pub(crate) fn describe(&self) -> String {
        let shapes: Vec<_> = self.inputs.iter().map(|t| t.as_ref().map(|t| t.shape().to_vec())).collect();
        format!("{} (opset {}) {:?} {shapes:?} {:?}", self.op, self.opset, self.attributes, self.steps)
    }
}

/// A float32 tensor; `data` fills `shape`.
#[allow(clippy::panic, reason = "a case that is written wrong must stop at once")]
pub fn f32s(shape: &[usize], data: Vec<f32>) -> HostTensor {
    HostTensor::f32(shape, data).unwrap_or_else(|e| panic!("{e}"))
}

/// An int64 tensor; `data` fills `shape`.
#[allow(clippy::panic, reason = "a case that is written wrong must stop at once")]
pub fn i64s(shape: &[usize], data: &[i64]) -> HostTensor {
    HostTensor::i64(shape, data.to_vec()).unwrap_or_else(|e| panic!("{e}"))
}

/// `count` pseudo-random numbers in [-1, 1), the same for the same `seed`.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

pub(super) fn kernel(op: &str) -> Result<&'static dyn Kernel> {
    Registry.kernel("", op).ok_or_else(|| anyhow!("there is no operator {op}"))
}

pub(super) fn type_of(tensor: &HostTensor) -> TensorType {
    TensorType::new(tensor.dtype(), tensor.shape())
}
