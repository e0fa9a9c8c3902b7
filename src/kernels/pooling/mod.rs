//! MaxPool and AveragePool in one and two dimensions.
//! Knows windows; must never know another family.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{at_most_outputs, float_shape, real, result, values};
use crate::kernels::base::window::{self, Axis};

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&Pool { average: false }, &Pool { average: true }]];

/// The greatest element, or the mean, of each window.
#[derive(Debug)]
pub struct Pool {
    average: bool,
}

struct Windows {
    planes: usize,
    y: Axis,
    x: Axis,
    shape: Vec<usize>,
    /// Whether a mean counts the padding as zeros.
    counts_padding: bool,
}

fn windows(call: &Call<'_>) -> Result<Windows> {
    at_most_outputs(call, 1)?;
    let input = float_shape(call, 0)?;
    let kernel = call
        .attributes
        .ints("kernel_shape")?
        .ok_or_else(|| Error::new(Kind::InvalidModel, "a pool without kernel_shape"))?;
    if call.attributes.int("storage_order", 0)? != 0 {
        return Err(Error::new(Kind::Unsupported, "column-major storage_order"));
    }
    let [y, x] = window::axes(call.attributes, input, &window::sizes("kernel_shape", kernel)?)?;
    let mut shape = input[..2].to_vec();
    shape.extend((input.len() == 4).then_some(y.output));
    shape.push(x.output);
    let counts_padding = call.attributes.int("count_include_pad", 0)? != 0;
    Ok(Windows { planes: input[0] * input[1], y, x, shape, counts_padding })
}

impl Operator for Pool {
    fn op_type(&self) -> &'static str {
        if self.average { "AveragePool" } else { "MaxPool" }
    }

    fn attributes(&self) -> &'static [&'static str] {
        if self.average {
            &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"]
        } else {
            &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"]
        }
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![real(call, windows(call)?.shape)])
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
        let w = windows(call)?;
        let x = values(inputs, 0)?;
        let mut y = Vec::with_capacity(w.shape.iter().product());
        for plane in 0..w.planes {
            for oy in 0..w.y.output {
                for ox in 0..w.x.output {
                    let met: Vec<f64> =
                        w.y.taps(oy)
                            .flat_map(|(_, iy)| {
                                let row = (plane * w.y.input + iy) * w.x.input;
                                w.x.taps(ox).map(move |(_, ix)| row + ix)
                            })
                            .map(|i| x[i])
                            .collect();
                    let taps = if w.counts_padding { w.y.padded_taps(oy) * w.x.padded_taps(ox) } else { met.len() };
                    y.push(if self.average {
                        met.iter().sum::<f64>() / taps as f64
                    } else {
                        met.into_iter().fold(f64::NEG_INFINITY, f64::max)
                    });
                }
            }
        }
        Ok(vec![result(call, w.shape, &y)?])
    }
}
