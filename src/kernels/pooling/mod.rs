//! MaxPool and AveragePool in one and two dimensions.
//! Knows windows; must never know another family.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::limits::{rounds, word};
use crate::kernels::base::operand::{at_most_outputs, float, float_shape, values};
use crate::kernels::base::rows::{GROUP, spread};
use crate::kernels::base::window::{self, Axis};
use crate::kernels::base::{Binding, Class, Element, Kernel, KernelCall, Lowering, Planes, Shader, Slot};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The operators of this family.
pub const OPERATORS: &[&[&dyn Kernel]] = &[&[&Pool { average: false }, &Pool { average: true }]];

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

/// Pixels of a tile to choose from.
const PIXELS: [usize; 4] = [8, 7, 5, 4];

/// WGSL of a pool: what a fold begins with, how it takes an `element` into `value`, and what is stored of it.
struct Fold {
    first: &'static str,
    step: &'static str,
    result: &'static str,
}

impl Fold {
    /// Folds and stores the windows of `pixels` neighbouring pixels, counting what they meet of the input and of the
    /// padded input.
    fn unrolled(&self, w: &Windows, pixels: usize) -> String {
        let Fold { first, step, result } = self;
        let mut text = String::new();
        // Below 0 an index wraps to far beyond the input's size.
        for k in 0..w.y.kernel {
            let _ = writeln!(
                text,
                "    let py{k} = oy * params.rows.stride + {k}u * params.rows.dilation;\n    \
                 let in_y{k} = py{k} - params.rows.before < params.rows.input;\n    \
                 let row{k} = plane * params.in_plane + \
                 min(py{k} - params.rows.before, params.rows.input - 1u) * params.cols.input;"
            );
        }
        let column = |p: usize, k: usize| p * w.x.stride + k * w.x.dilation;
        let columns: BTreeSet<usize> = (0..pixels).flat_map(|p| (0..w.x.kernel).map(move |k| column(p, k))).collect();
        for c in &columns {
            let _ = writeln!(
                text,
                "    let px{c} = ox * params.cols.stride + {c}u;\n    \
                 let in_x{c} = px{c} - params.cols.before < params.cols.input;\n    \
                 let at{c} = min(px{c} - params.cols.before, params.cols.input - 1u);"
            );
            for k in 0..w.y.kernel {
                let _ = writeln!(text, "    let x{k}_{c} = select({first}, x[row{k} + at{c}], in_y{k} && in_x{c});");
            }
        }
        let sum = |count: usize, of: &dyn Fn(usize) -> String| {
            (0..count).map(|k| format!("u32({})", of(k))).collect::<Vec<_>>().join(" + ")
        };
        let _ = writeln!(
            text,
            "    let met_y = {};\n    let padded_y = {};",
            sum(w.y.kernel, &|k| format!("in_y{k}")),
            sum(w.y.kernel, &|k| format!("py{k} < params.rows.end"))
        );
        for p in 0..pixels {
            let _ = writeln!(text, "    if (ox + {p}u < params.cols.output) {{\n        var value = {first};");
            for (ky, kx) in (0..w.y.kernel).flat_map(|ky| (0..w.x.kernel).map(move |kx| (ky, kx))) {
                let step = step.replace("element", &format!("x{ky}_{}", column(p, kx)));
                let _ = writeln!(text, "        value = {step};");
            }
            let met = sum(w.x.kernel, &|k| format!("in_x{}", column(p, k)));
            let padded = sum(w.x.kernel, &|k| format!("px{} < params.cols.end", column(p, k)));
            let _ = writeln!(
                text,
                "        let met = met_y * ({met});\n        let padded = padded_y * ({padded});\n        \
                 y[y_at + {p}u] = {result};\n    }}"
            );
        }
        text
    }

    /// The same for one pixel and a window of any size, as loops.
    fn looped(&self) -> String {
        let named = [("first", self.first), ("step", self.step), ("result", self.result)];
        named.iter().fold(LOOP.to_owned(), |text, (key, value)| text.replace(&format!("${{{key}}}"), value))
    }
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
        let unrolled = w.y.kernel * w.x.kernel <= UNROLLED;
        let waste = |p: &usize| (w.x.output.div_ceil(*p) * (p + 1), usize::MAX - p);
        let pixels = if unrolled { PIXELS.into_iter().min_by_key(waste).unwrap_or(1) } else { 1 };
        let row_tiles = w.x.output.div_ceil(pixels);
        let tiles = w.planes * w.y.output * row_tiles;
        let workgroups = spread(tiles.div_ceil(GROUP))?;
        let mut params = vec![tiles, workgroups[0] as usize, out.plane(x), out.plane(y)];
        for a in [&w.y, &w.x] {
            let end = a.before + a.input + a.after;
            params.extend([a.input, a.output, a.kernel, a.stride, a.dilation, a.before, end, 0]);
        }
        params.push(row_tiles);
        let fold = match (self.average, w.counts_padding) {
            (false, _) => Fold { first: "-3.4028234e38", step: "max(value, element)", result: "value" },
            (true, false) => Fold { first: "0.0", step: "value + element", result: "value / f32(met)" },
            (true, true) => Fold { first: "0.0", step: "value + element", result: "value / f32(padded)" },
        };
        let text = if unrolled { fold.unrolled(&w, pixels) } else { fold.looped() };
        out.dispatch(KernelCall {
            shader: &SHADER,
            snippets: vec![("pixels", pixels.to_string()), ("fold", text)],
            constants: vec![],
            bindings: [x, y].map(|tensor| Binding { tensor, element: Element::F32 }).to_vec(),
            params: params.into_iter().map(word).collect::<Result<_>>()?,
            workgroups,
            flops: (w.planes * w.y.output * w.x.output * w.y.kernel * w.x.kernel) as f64,
            bytes: out.bytes(x) + out.bytes(y),
        });
        Ok(())
    }
}
