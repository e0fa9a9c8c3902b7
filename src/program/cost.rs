//! What a program asks of a lane, in operations and bytes: all that the predictor sees of it.

use crate::kernels::Class;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramCost {
    /// Name of the model.
    pub model: String,
    /// Its dispatches in order.
    pub dispatches: Vec<DispatchCost>,
    /// Bytes of inputs.
    pub upload_bytes: f64,
    /// Bytes of outputs.
    pub readback_bytes: f64,
}
