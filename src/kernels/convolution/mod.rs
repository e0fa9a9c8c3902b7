//! Conv in one and two dimensions: its shapes and reference, and the choice among the kernels that compute it.

mod depthwise;
mod direct;
mod implicit;
mod transpose;
mod unfold;
mod winograd;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorId, TensorType};
use crate::kernels::base::epilogue::{ACTIVATION, ACTIVATION_PARAMS, Activation};
use crate::kernels::base::operand::{float, float_shape, optional_values, values};
use crate::kernels::base::window::{self, Axis};
use crate::kernels::base::{Class, Kernel, Lowering, Planes};
use crate::kernels::product::{Matrix, Product};

/// The operators of this family.
pub const OPERATORS: &[&[&dyn Kernel]] = &[&[&Conv], transpose::OPERATORS];

/// Convolution of (N, C, spatial…) with weights (M, C/group, kernel…) and an optional bias (M).
#[derive(Debug)]
pub struct Conv;

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
    shape: Vec<usize>,
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

impl Convolution {
    fn of(call: &Call<'_>) -> Result<Convolution> {
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

    /// Whether every output sees exactly the input under it.
    fn is_pointwise(&self) -> bool {
        let plain = |a: &Axis| a.kernel == 1 && a.stride == 1 && a.before == 0 && a.after == 0;
        self.group == 1 && plain(&self.y) && plain(&self.x)
    }

    /// A pointwise convolution as the product of the weights with each image.
    fn product(&self, operands: Operands, out: &Lowering<'_>) -> Product {
        let (x_plane, y_plane) = (out.plane(operands.x), out.plane(operands.y));
        // What lies between the planes is a column like any other where it lies in both.
        let pixels = if x_plane == y_plane { x_plane } else { self.y.output * self.x.output };
        Product {
            class: Class::Conv,
            m: self.filters,
            n: pixels,
            k: self.channels,
            batch: if self.batch == 1 { vec![] } else { vec![(self.batch, 0, self.channels * x_plane)] },
            a: Matrix { tensor: operands.w, row: self.channels, col: 1 },
            b: Matrix { tensor: operands.x, row: x_plane, col: 1 },
            window: None,
            bias: operands.bias.map(|tensor| Matrix { tensor, row: 1, col: 0 }),
            y: operands.y,
            y_row: y_plane,
            alpha: 1.0,
            beta: 1.0,
            activation: self.activation,
        }
    }

    fn evaluate(&self, x: &[f64], w: &[f64], bias: Option<&[f64]>) -> Vec<f32> {
        let (channels, filters) = (self.group_channels(), self.group_filters());
        let mut result = Vec::with_capacity(self.shape.iter().product());
        for n in 0..self.batch {
            for m in 0..self.filters {
                let first = m / filters * channels;
                for oy in 0..self.y.output {
                    for ox in 0..self.x.output {
                        let mut sum = bias.map_or(0.0, |b| b[m]);
                        for c in 0..channels {
                            for (ky, iy) in self.y.taps(oy) {
                                let row = ((n * self.channels + first + c) * self.y.input + iy) * self.x.input;
                                let taps = ((m * channels + c) * self.y.kernel + ky) * self.x.kernel;
                                sum += self.x.taps(ox).map(|(kx, ix)| x[row + ix] * w[taps + kx]).sum::<f64>();
                            }
                        }
                        result.push(self.activation.apply(sum) as f32);
                    }
                }
            }
        }
        result
    }
}

impl Operator for Conv {
    fn op_type(&self) -> &'static str {
        "Conv"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", ACTIVATION, ACTIVATION_PARAMS]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![float(Convolution::of(call)?.shape)])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let conv = Convolution::of(call)?;
        let bias = optional_values(inputs, 2);
        let y = conv.evaluate(&values(inputs, 0)?, &values(inputs, 1)?, bias.as_deref());
        Ok(vec![HostTensor::f32(conv.shape, y)?])
    }
}

impl Kernel for Conv {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Each
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let conv = Convolution::of(call)?;
        let operands = Operands { x: out.input(0)?, w: out.input(1)?, bias: out.optional_input(2), y: out.output(0)? };
        if conv.is_pointwise() {
            conv.product(operands, out).lower(out)
        } else if depthwise::suits(&conv) {
            depthwise::lower(&conv, operands, out)
        } else if winograd::suits(&conv, out) {
            winograd::lower(&conv, operands, out)
        } else if implicit::lower(&conv, operands, out)? {
            Ok(())
        } else if unfold::suits(&conv, operands, out) {
            unfold::lower(&conv, operands, out)
        } else {
            direct::lower(&conv, operands, out)
        }
    }
}
