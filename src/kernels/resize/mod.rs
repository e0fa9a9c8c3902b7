//! Resize along the last two axes, to the nearest element or linearly.
//! Knows scales and places; must never know another family.

pub mod cpu;
mod gpu;

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operator, TensorType};
use crate::kernels::base::Entry;
use crate::kernels::base::operand::{float_shape, optional_values, real, result, values};

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] = &[&[&Resize]];

/// Elements taken at other places than they were.
#[derive(Debug)]
pub struct Resize;

/// Along one axis: output element `i` lies at `(scale · i + shift) / parts` of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    input: i64,
    output: i64,
    scale: i64,
    shift: i64,
    parts: i64,
}

/// How a place between two elements becomes one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Floor,
    Ceil,
    /// To the nearest, halves down.
    PreferFloor,
    /// To the nearest, halves up.
    PreferCeil,
    Linear,
}

#[derive(Debug)]
struct Rule {
    shape: Vec<usize>,
    /// The last two axes.
    y: Axis,
    x: Axis,
    mode: Mode,
}

fn unsupported(message: String) -> Error {
    Error::new(Kind::Unsupported, message)
}

/// `value` as a fraction of small integers: output over input size where that is it, else by continued fractions.
fn fraction(value: f64, output: i64, input: i64) -> (i64, i64) {
    if input > 0 && (value * input as f64 / output.max(1) as f64 - 1.0).abs() < 1e-6 {
        return (output, input);
    }
    let (mut above, mut below, mut before, mut under) = (1i64, 0i64, 0i64, 1i64);
    let mut rest = value;
    for _ in 0..12 {
        let whole = rest.floor();
        let next = (whole as i64 * above + before, whole as i64 * below + under);
        if next.1 > 4096 {
            break;
        }
        (before, under, above, below) = (above, below, next.0, next.1);
        if (rest - whole).abs() < 1e-9 || (above as f64 / below as f64 / value - 1.0).abs() < 1e-9 {
            break;
        }
        rest = 1.0 / (rest - whole);
    }
    (above.max(1), below.max(1))
}

impl Axis {
    /// With `scale` = output over input, as the model or its sizes state it.
    fn new(coordinates: &str, input: usize, output: usize, scale: f64) -> Result<Axis> {
        let (input, output) = (input as i64, output as i64);
        if input == 0 && output > 0 {
            return Err(Error::new(Kind::InvalidModel, format!("a resize of an empty axis to {output} elements")));
        }
        let (p, q) = fraction(scale, output, input);
        // The middle of an output element: ((i + ½) · q / p) − ½.
        let half = (2 * q, q - p, 2 * p);
        let (scale, shift, parts) = match coordinates {
            "asymmetric" => (q, 0, p),
            "half_pixel" => half,
            "pytorch_half_pixel" if output > 1 => half,
            "align_corners" if output > 1 => (input - 1, 0, output - 1),
            "pytorch_half_pixel" | "align_corners" => (0, 0, 1),
            other => return Err(unsupported(format!("coordinate_transformation_mode '{other}'"))),
        };
        // The kernel computes twice this in 32 bits.
        if (scale * output + shift.abs()).max(parts) >= 1 << 29 {
            return Err(unsupported(format!("a resize of {input} elements to {output} by {p}/{q}")));
        }
        Ok(Axis { input, output, scale, shift, parts })
    }

    /// The element that output element `i` is.
    fn nearest(self, i: i64, mode: Mode) -> usize {
        let (n, d) = (self.scale * i + self.shift, self.parts);
        let at = match mode {
            Mode::Floor | Mode::Linear => n.div_euclid(d),
            Mode::Ceil => -(-n).div_euclid(d),
            Mode::PreferFloor => -(d - 2 * n).div_euclid(2 * d),
            Mode::PreferCeil => (2 * n + d).div_euclid(2 * d),
        };
        at.clamp(0, self.input - 1) as usize
    }

    /// The two elements that output element `i` lies between, and its distance from the first.
    fn between(self, i: i64) -> (usize, usize, f64) {
        let (n, d) = (self.scale * i + self.shift, self.parts);
        let floor = n.div_euclid(d);
        let inside = |at: i64| at.clamp(0, self.input - 1) as usize;
        (inside(floor), inside(floor + 1), n.rem_euclid(d) as f64 / d as f64)
    }
}

fn mode(call: &Call<'_>) -> Result<Mode> {
    match call.attributes.string("mode", "nearest")? {
        "linear" => return Ok(Mode::Linear),
        "nearest" => {}
        other => return Err(unsupported(format!("mode '{other}'"))),
    }
    match call.attributes.string("nearest_mode", "round_prefer_floor")? {
        // Until opset 11 there was one way.
        _ if call.opset < 11 => Ok(Mode::Floor),
        "floor" => Ok(Mode::Floor),
        "ceil" => Ok(Mode::Ceil),
        "round_prefer_floor" => Ok(Mode::PreferFloor),
        "round_prefer_ceil" => Ok(Mode::PreferCeil),
        other => Err(unsupported(format!("nearest_mode '{other}'"))),
    }
}

fn rule(call: &Call<'_>) -> Result<Rule> {
    let from = float_shape(call, 0)?;
    if from.len() < 2 {
        return Err(unsupported(format!("a resize of shape {from:?}: fewer than two axes")));
    }
    if call.attributes.int("exclude_outside", 0)? != 0 || call.attributes.int("antialias", 0)? != 0 {
        return Err(unsupported("exclude_outside or antialias".to_owned()));
    }
    // What only cubic interpolation and cropping read.
    call.attributes.float("cubic_coeff_a", -0.75)?;
    call.attributes.float("extrapolation_value", 0.0)?;
    let known = |i: usize| {
        let operand = call.optional(i).filter(|o| !o.ty.is_empty());
        let elements = |o: &crate::graph::Operand| {
            let value = o
                .value
                .as_deref()
                .ok_or_else(|| unsupported(format!("input {i} decides a shape but is only known while running")))?;
            optional_values(&[Some(value)], 0).ok_or_else(|| unsupported(format!("input {i}")))
        };
        operand.map(elements).transpose()
    };
    let (scales, sizes) = if call.opset < 11 { (known(1)?, None) } else { (known(2)?, known(3)?) };
    let wrong = |given: &[f64]| {
        let message = format!("{} scales or sizes, {given:?}, for shape {from:?}", given.len());
        Error::new(Kind::InvalidModel, message)
    };
    let (shape, scales): (Vec<usize>, Vec<f64>) = match (scales, sizes) {
        (_, Some(sizes)) if sizes.len() == from.len() && sizes.iter().all(|&s| (1.0..1e9).contains(&s)) => {
            let shape: Vec<usize> = sizes.iter().map(|&s| s as usize).collect();
            let scales = sizes.iter().zip(from).map(|(&s, &d)| s / d.max(1) as f64).collect();
            (shape, scales)
        }
        (Some(scales), None) if scales.len() == from.len() && scales.iter().all(|&s| s > 0.0 && s < 1e6) => {
            // The scale is a float32: what it nearly makes whole is whole.
            let shape = scales.iter().zip(from).map(|(&s, &d)| (s * d as f64 + 1e-5).floor() as usize).collect();
            (shape, scales)
        }
        (_, Some(given)) | (Some(given), None) => return Err(wrong(&given)),
        (None, None) => return Err(Error::new(Kind::InvalidModel, "neither scales nor sizes")),
    };
    let last = from.len() - 2;
    if shape[..last] != from[..last] {
        return Err(unsupported(format!("a resize of {from:?} to {shape:?}: other axes than the last two")));
    }
    let default = if call.opset < 11 { "asymmetric" } else { "half_pixel" };
    let coordinates = call.attributes.string("coordinate_transformation_mode", default)?;
    let axis = |i: usize| Axis::new(coordinates, from[i], shape[i], scales[i]);
    Ok(Rule { y: axis(last)?, x: axis(last + 1)?, mode: mode(call)?, shape })
}

impl Operator for Resize {
    fn op_type(&self) -> &'static str {
        "Resize"
    }

    fn attributes(&self) -> &'static [&'static str] {
        &[
            "mode",
            "nearest_mode",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "extrapolation_value",
            "exclude_outside",
            "antialias",
        ]
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![real(call, rule(call)?.shape)])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (from, to) = (&call.input(0).ok()?.ty.shape, rule(call).ok()?.shape);
        call.only_first(axes).filter(|&axis| axis == 0 && from[0] == to[0]).map(|axis| vec![axis])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let Rule { shape, y, x, mode } = rule(call)?;
        let from = values(inputs, 0)?;
        let planes: usize = shape[..shape.len() - 2].iter().product();
        let mut out = Vec::with_capacity(shape.iter().product());
        for plane in 0..planes {
            let at = |row: usize, column: usize| from[(plane * y.input as usize + row) * x.input as usize + column];
            for i in 0..y.output {
                for j in 0..x.output {
                    out.push(if mode == Mode::Linear {
                        let ((y0, y1, wy), (x0, x1, wx)) = (y.between(i), x.between(j));
                        let row = |r: usize| at(r, x0) * (1.0 - wx) + at(r, x1) * wx;
                        row(y0) * (1.0 - wy) + row(y1) * wy
                    } else {
                        at(y.nearest(i, mode), x.nearest(j, mode))
                    });
                }
            }
        }
        Ok(vec![result(call, shape, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::fraction;

    #[test]
    fn scales_are_exact_fractions() {
        assert_eq!(fraction(2.0, 8, 4), (8, 4));
        assert_eq!(fraction(f64::from(2.0f32 / 3.0), 6, 10), (2, 3));
        assert_eq!(fraction(1.5, 7, 5), (3, 2));
    }
}
