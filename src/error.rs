//! The one public error: a stable kind, a message, and where it happened.
//! Knows nothing of graphs, devices or JS; every layer makes its errors here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What went wrong, in words that stay the same between releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The bytes are not a valid ONNX model.
    InvalidModel,
    /// The model asks for an operator, attribute or type that is not understood.
    Unsupported,
    /// A feed is missing, unknown, or has the wrong type or shape.
    InvalidInput,
    /// External data that the model refers to was not given or is too short.
    MissingData,
    /// A file could not be fetched.
    Fetch,
    /// There is no WebGPU here.
    NoWebGpu,
    /// The device was lost; nothing of the call was returned.
    DeviceLost,
    /// The lane has no memory left for this, or the budget forbids it.
    OutOfMemory,
    /// The caller's `AbortSignal` fired.
    Aborted,
    /// The answer cannot be there when the caller needs it.
    Deadline,
    /// The pool has as many unanswered calls as it may.
    Busy,
    /// The session or pool was released.
    Closed,
    /// A fault of Consort itself.
    Internal,
    /// A file is not the one whose digest was stated. The last: workers tell kinds by their number.
    Integrity,
}

impl Kind {
    /// The kind as JS sees it, e.g. `"invalid-model"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::InvalidModel => "invalid-model",
            Kind::Unsupported => "unsupported",
            Kind::InvalidInput => "invalid-input",
            Kind::MissingData => "missing-data",
            Kind::Fetch => "fetch",
            Kind::NoWebGpu => "no-webgpu",
            Kind::DeviceLost => "device-lost",
            Kind::OutOfMemory => "out-of-memory",
            Kind::Aborted => "aborted",
            Kind::Deadline => "deadline",
            Kind::Busy => "busy",
            Kind::Closed => "closed",
            Kind::Internal => "internal",
            Kind::Integrity => "integrity",
        }
    }
}

/// An error with its kind and, where known, the model and node it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    kind: Kind,
    message: String,
    model: Option<String>,
    node: Option<String>,
}

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), model: None, node: None }
    }

    /// The same error, said to belong to `model` unless a model is already named.
    #[must_use]
    pub fn in_model(mut self, model: &str) -> Self {
        self.model.get_or_insert_with(|| model.to_owned());
        self
    }

    /// The same error, said to belong to `node` unless a node is already named.
    #[must_use]
    pub fn in_node(mut self, node: &str) -> Self {
        self.node.get_or_insert_with(|| node.to_owned());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The model it belongs to, if any.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The node it belongs to, if any.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(model) = &self.model {
            write!(f, "model '{model}': ")?;
        }
        if let Some(node) = &self.node {
            write!(f, "node '{node}': ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
