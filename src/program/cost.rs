//! What a program asks of a lane, in operations and bytes: all that the predictor sees of it.

use crate::kernels::Class;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// One dispatch as the predictor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DispatchCost {
    /// Which kernels it is like.
    pub class: Class,
    /// Floating-point operations; a multiply-add counts two.
    pub flops: f64,
    /// Bytes that must move at least once.
    pub bytes: f64,
}

/// One program as the predictor sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProgramCost {
    /// Name of the model.
    pub model: String,
    /// Its dispatches in order.
    pub dispatches: Vec<DispatchCost>,
    /// Bytes of inputs.
    pub upload_bytes: f64,
    /// Bytes of outputs.
    pub readback_bytes: f64,
    /// How many times as long one of its lane's threads takes as they do together, where runs have shown that.
    #[serde(skip)]
    pub alone: Cell<Option<f64>>,
}
