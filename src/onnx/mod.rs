//! Bytes → graph. Knows the ONNX format; must never know devices, JS, or how anything is computed.

mod external;
mod halves;
mod proto;
mod read;
mod tensor;

pub use external::{ExternalData, Range};
pub use read::{external_files, read};
pub use tensor::{constant as hashed, content_hash};
