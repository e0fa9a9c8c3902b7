//! What models are given, and what onnxruntime gave for it. Knows values; must never know files.

use std::fmt;

/// Why a model's files could not be used.
#[derive(Debug)]
pub struct Error(pub(crate) String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Elements of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// float32
    F32(Vec<f32>),
    /// int64
    I64(Vec<i64>),
    /// int32
    I32(Vec<i32>),
}

/// One input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Name in the graph.
    pub name: String,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Elements.
    pub data: Data,
}

/// What onnxruntime gave for one output.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Name in the graph.
    pub name: String,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Distance between the elements that are kept.
    pub every: usize,
    /// Those elements.
    pub values: Vec<f32>,
}

/// Inputs at one set of shapes, and what onnxruntime gave for them.
#[derive(Clone, Debug)]
pub struct Case {
    /// Inputs.
    pub inputs: Vec<Input>,
    /// Outputs.
    pub golden: Vec<Golden>,
}

impl Golden {
    /// ‖out − golden‖ / ‖golden‖ over the elements that are kept; infinite where `out` has another size.
    pub fn relative_error(&self, out: &[f32]) -> f64 {
        if out.len() != self.dims.iter().product::<usize>() {
            return f64::INFINITY;
        }
        let (mut off, mut norm) = (0.0, 0.0);
        for (&want, &have) in self.values.iter().zip(out.iter().step_by(self.every)) {
            off += (f64::from(have) - f64::from(want)).powi(2);
            norm += f64::from(want).powi(2);
        }
        (off / norm).sqrt()
    }
}
