//! What a product or convolution does to each sum before it is stored: nothing, or an activation fused into the node.
//! A graph pass fuses by adding the attributes `activation` and `activation_params` that onnxruntime's fused operators use.

use crate::error::{Error, Kind, Result};
use crate::graph::{Attribute, Attributes};

/// Attributes of a fused activation.
pub const ACTIVATION: &str = "activation";
/// Its parameters: for `Clip` the least and the greatest value.
pub const ACTIVATION_PARAMS: &str = "activation_params";

/// The snippet `finish` of a kernel after which nothing was taken in: what it makes of a sum on its way to `y[at]`.
/// A kernel that has it can take in the maps that read its output; its `Params` end with the snippet `more`.
pub const FINISH: &str = "fn finish(v: y_t, at: u32) -> y_t {\n    return activate(v);\n}";

/// Where the loop of a wide tile's `end` begins, which stores all sums; other tiles store each by its own code.
pub const LOOPED_END: &str = "    for (";

/// A fused activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// None.
    Identity,
    /// `max(v, 0)`
    Relu,
    /// `min(max(v, low), high)`
    Clip(f32, f32),
}

impl Activation {
    /// The activation that a node's attributes name.
    pub fn of(attributes: &Attributes) -> Result<Activation> {
        match attributes.string(ACTIVATION, "")? {
            "" => Ok(Activation::Identity),
            "Relu" => Ok(Activation::Relu),
            "Clip" => match attributes.get(ACTIVATION_PARAMS) {
                Some(Attribute::Floats(v)) if v.len() == 2 => Ok(Activation::Clip(v[0], v[1])),
                _ => Err(Error::new(Kind::InvalidModel, "a fused Clip needs two activation_params")),
            },
            other => Err(Error::new(Kind::Unsupported, format!("a fused activation '{other}'"))),
        }
    }

    /// That of these bounds, if there are any.
    pub fn within(low: f32, high: f32) -> Activation {
        match (low, high) {
            (f32::NEG_INFINITY, f32::INFINITY) => Activation::Identity,
            (0.0, f32::INFINITY) => Activation::Relu,
            (low, high) => Activation::Clip(low, high),
        }
    }

    /// The WGSL expression over `v`, which is of `ty`: `f32` or a vector of it.
    pub fn wgsl(self, ty: &str) -> String {
        match self {
            Activation::Identity => "v".to_owned(),
            Activation::Relu => format!("max(v, {ty}(0.0))"),
            Activation::Clip(low, high) => format!("clamp(v, {ty}({low:?}), {ty}({high:?}))"),
        }
    }

    /// The value for `v`.
    pub fn apply(self, v: f64) -> f64 {
        match self {
            Activation::Identity => v,
            Activation::Relu => v.max(0.0),
            Activation::Clip(low, high) => v.max(low.into()).min(high.into()),
        }
    }
}
