//! A convolution with its sizes and tensors, as its kernels see it.
//! Knows ONNX's rules for shapes; must never know how a kernel computes it.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, TensorId};
use crate::kernels::base::Work;
use crate::kernels::base::epilogue::Activation;
use crate::kernels::base::operand::float_shape;
use crate::kernels::base::window::{self, Axis};

/// A convolution with its sizes; one with a single spatial axis is seen as two-dimensional.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Batch.
    pub batch: usize,
    /// Channels in.
    pub channels: usize,
    /// Channels out.
    pub filters: usize,
    /// Groups.
    pub group: usize,
    /// The window along height.
    pub y: Axis,
    /// The window along width.
    pub x: Axis,
    /// Applied last.
    pub activation: Activation,
    /// Shape of the output as ONNX has it.
    pub shape: Vec<usize>,
}

/// The tensors of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// Input.
    pub x: TensorId,
    /// Weights.
    pub w: TensorId,
    /// Bias.
    pub bias: Option<TensorId>,
    /// Output.
    pub y: TensorId,
}

/// A convolution of tensors: what its kernels compute.
#[derive(Clone, Debug)]
pub struct Task {
    /// Sizes.
    pub conv: Convolution,
    /// Tensors.
    pub operands: Operands,
}

impl Work for Task {
    fn multiply_adds(&self) -> usize {
        let conv = &self.conv;
        let taps = conv.group_channels() * conv.y.kernel * conv.x.kernel;
        conv.batch * conv.filters * conv.y.output * conv.x.output * taps
    }
}

impl Convolution {
    pub(super) fn of(call: &Call<'_>) -> Result<Convolution> {
        let (input, weights) = (float_shape(call, 0)?, float_shape(call, 1)?);
        let refuse = |what: &str| {
            Error::new(Kind::InvalidModel, format!("{what}: input of shape {input:?}, weights of {weights:?}"))
        };
        if weights.len() < 3 || input.len() != weights.len() {
            return Err(refuse("a convolution needs a spatial axis in both operands"));
        }
        if let Some(stated) = call.attributes.ints("kernel_shape")?
            && window::sizes("kernel_shape", stated)? != weights[2..]
        {
            return Err(refuse("kernel_shape differs from the weights"));
        }
        let [y, x] = window::axes(call.attributes, input, &weights[2..])?;
        let group = usize::try_from(call.attributes.int("group", 1)?).unwrap_or(0);
        let (channels, filters) = (input[1], weights[0]);
        if group == 0 || weights[1] * group != channels || !filters.is_multiple_of(group) {
            return Err(refuse(&format!("channels do not divide into {group} groups")));
        }
        if call.optional(2).is_some() && float_shape(call, 2)? != [filters] {
            return Err(refuse("the bias is not one number for each filter"));
        }
        let mut shape = vec![input[0], filters];
        shape.extend((input.len() == 4).then_some(y.output));
        shape.push(x.output);
        let activation = Activation::of(call.attributes)?;
        // Tiles lie along x: an image one pixel wide is seen as one pixel high.
        let thin = x.input == 1 && x.kernel == 1 && x.output == 1;
        let (y, x) = if thin { (x, y) } else { (y, x) };
        Ok(Convolution { batch: input[0], channels, filters, group, y, x, activation, shape })
    }

    /// Channels in of one group.
    pub fn group_channels(&self) -> usize {
        self.channels / self.group
    }

    /// Channels out of one group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.group
    }

    /// Floating-point operations, counting taps in the padding too.
    pub fn flops(&self, bias: bool) -> f64 {
        let outputs = (self.batch * self.filters * self.y.output * self.x.output) as f64;
        let taps = (self.group_channels() * self.y.kernel * self.x.kernel) as f64;
        outputs * (2.0 * taps + f64::from(u8::from(bias)))
    }
}
