//! Bytes → graph. Knows the ONNX format; must never know devices, JS, or how anything is computed.

mod proto;
mod read;
mod tensor;

pub use read::{external_files, read};
pub use tensor::content_hash;

use std::collections::BTreeMap;

/// External data files by the location that the model states.
pub type ExternalData = BTreeMap<String, Vec<u8>>;
