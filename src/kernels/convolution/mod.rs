//! Convolution in one and two dimensions, and transposed: attributes, shapes and references; `variants.rs` chooses among
//! the kernels that compute Conv. Knows products, of which some kernels are made; must never know other families.

pub mod cpu;
mod depthwise;
mod direct;
mod geometry;
mod implicit;
mod pointwise;
mod transpose;
mod unfold;
mod variants;
mod winograd;

use geometry::{Convolution, Operands, Task};

use crate::error::Result;
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::epilogue::{ACTIVATION, ACTIVATION_PARAMS};
use crate::kernels::base::operand::{optional_values, real, result, values};
use crate::kernels::base::{Entry, Kernel, Lowering, Planes};

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&Conv], transpose::OPERATORS];

pub use transpose::cpu::ROUTINES as TRANSPOSED;

/// Convolution of (N, C, spatial…) with weights (M, C/group, kernel…) and an optional bias (M).
#[derive(Debug)]
pub struct Conv;

/// The reference.
fn evaluate(conv: &Convolution, x: &[f64], w: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
    let (channels, filters) = (conv.group_channels(), conv.group_filters());
    let mut result = Vec::with_capacity(conv.shape.iter().product());
    for n in 0..conv.batch {
        for m in 0..conv.filters {
            let first = m / filters * channels;
            for oy in 0..conv.y.output {
                for ox in 0..conv.x.output {
                    let mut sum = bias.map_or(0.0, |b| b[m]);
                    for c in 0..channels {
                        for (ky, iy) in conv.y.taps(oy) {
                            let row = ((n * conv.channels + first + c) * conv.y.input + iy) * conv.x.input;
                            let taps = ((m * channels + c) * conv.y.kernel + ky) * conv.x.kernel;
                            sum += conv.x.taps(ox).map(|(kx, ix)| x[row + ix] * w[taps + kx]).sum::<f64>();
                        }
                    }
                    result.push(conv.activation.apply(sum));
                }
            }
        }
    }
    result
}

impl Operator for Conv {
    fn op_type(&self) -> &'static str {
        "Conv"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", ACTIVATION, ACTIVATION_PARAMS]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![real(call, Convolution::of(call)?.shape)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        // Pictures are apart; what a kernel sees of one is not.
        call.only_first(axes).filter(|&axis| axis == 0).map(|axis| vec![axis])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let conv = Convolution::of(call)?;
        let bias = optional_values(inputs, 2);
        let y = evaluate(&conv, &values(inputs, 0)?, &values(inputs, 1)?, bias.as_deref());
        Ok(vec![result(call, conv.shape, &y)?])
    }
}

impl Kernel for Conv {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Each
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let conv = Convolution::of(call)?;
        let operands = Operands { x: out.input(0)?, w: out.input(1)?, bias: out.optional_input(2), y: out.output(0)? };
        variants::lower(&Task { conv, operands }, out)
    }
}
