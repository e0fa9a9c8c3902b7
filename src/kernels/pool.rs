//! MaxPool and AveragePool in one and two dimensions.

use super::limits::{rounds, word};
use super::operand::{at_most_outputs, float, float_shape, values};
use super::rows::{GROUP, spread};
use super::window::{self, Axis};
use super::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use std::fmt::Write as _;

/// The operators of this family.
pub const OPERATORS: &[&dyn Kernel] = &[&Pool { average: false }, &Pool { average: true }];

static SHADER: Shader = Shader {
    name: "pool",
    class: Class::Pool,
    source: include_str!("pool.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

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

/// Windows of up to so many elements are unrolled.
const UNROLLED: usize = 25;

/// A window of any size, as loops.
const LOOP: &str = include_str!("pool_loop.wgsl");

/// Folds the window into `value`, counting what it met of the input and of the padded input.
fn fold(w: &Windows, first: &str, step: &str) -> String {
    if w.y.kernel * w.x.kernel > UNROLLED {
        return LOOP.replace("${step}", step);
    }
    let mut text = String::new();
    let mut axis = |name: &str, output: &str, kernel: usize| {
        let (mut met, mut padded) = (String::from("0u"), String::from("0u"));
        for k in 0..kernel {
            // Below 0 wraps to far beyond the input's size.
            let _ = writeln!(
                text,
                "    let p{name}{k} = {output} * params.{name}.stride + {k}u * params.{name}.dilation;\n    \
                 let i{name}{k} = p{name}{k} - params.{name}.before;\n    \
                 let in_{name}{k} = i{name}{k} < params.{name}.input;\n    \
                 let at_{name}{k} = min(i{name}{k}, params.{name}.input - 1u);"
            );
            met += &format!(" + u32(in_{name}{k})");
            padded += &format!(" + u32(p{name}{k} < params.{name}.end)");
        }
        (met, padded)
    };
    let (rows, cols) = (axis("rows", "oy", w.y.kernel), axis("cols", "ox", w.x.kernel));
    let _ = writeln!(text, "    met = ({}) * ({});\n    padded = ({}) * ({});", rows.0, cols.0, rows.1, cols.1);
    for ky in 0..w.y.kernel {
        let _ = writeln!(text, "    let row{ky} = plane * params.in_plane + at_rows{ky} * params.cols.input;");
        for kx in 0..w.x.kernel {
            let element = format!("select({first}, x[row{ky} + at_cols{kx}], in_rows{ky} && in_cols{kx})");
            let _ = writeln!(text, "    value = {};", step.replace("element", &element));
        }
    }
    text
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
        Ok(vec![float(windows(call)?.shape)])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let w = windows(call)?;
        let x = values(inputs, 0)?;
        let mut result = Vec::with_capacity(w.shape.iter().product());
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
                    result.push(if self.average {
                        met.iter().sum::<f64>() / taps as f64
                    } else {
                        met.into_iter().fold(f64::from(f32::MIN), f64::max)
                    } as f32);
                }
            }
        }
        Ok(vec![HostTensor::f32(w.shape, result)?])
    }
}

impl Kernel for Pool {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Each
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let w = windows(call)?;
        let (x, y) = (out.input(0)?, out.output(0)?);
        rounds(w.y.kernel * (1 + w.x.kernel))?;
        let count = w.planes * w.y.output * w.x.output;
        let workgroups = spread(count.div_ceil(GROUP))?;
        let mut params = vec![count, workgroups[0] as usize, out.plane(x), out.plane(y)];
        for a in [&w.y, &w.x] {
            let end = a.before + a.input + a.after;
            params.extend([a.input, a.output, a.kernel, a.stride, a.dilation, a.before, end, 0]);
        }
        let (first, step, result) = match (self.average, w.counts_padding) {
            (false, _) => ("-3.4028234e38", "max(value, element)", "value"),
            (true, false) => ("0.0", "value + element", "value / f32(met)"),
            (true, true) => ("0.0", "value + element", "value / f32(padded)"),
        };
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("first", first.to_owned()), ("fold", fold(&w, first, step)), ("result", result.to_owned())],
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
            params: params.into_iter().map(word).collect::<Result<_>>()?,
            workgroups,
            flops: (count * w.y.kernel * w.x.kernel) as f64,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
