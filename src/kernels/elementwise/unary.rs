//! Operators of one operand, element by element: activations, roots, signs.

use crate::error::{Error, Kind, Result};
use crate::graph::{Attributes, Call, DType, HostTensor, Operator, TensorType};
use crate::kernels::base::map::Map;
use crate::kernels::base::strides::Strided;
use crate::kernels::base::wgsl::literal;
use crate::kernels::base::{Entry, Kernel, Lowering, Planes};

/// One such operator.
#[derive(Debug)]
pub struct Unary {
    op: &'static str,
    /// Attributes with their defaults; `P0` and `P1` in the expression.
    parameters: &'static [(&'static str, f32)],
    /// WGSL over `u`.
    wgsl: &'static str,
    functions: &'static str,
    host: fn(f64, &[f64]) -> f64,
    /// Whether integers are taken too.
    integers: bool,
}

const NONE: &[(&str, f32)] = &[];

const fn float(op: &'static str, wgsl: &'static str, host: fn(f64, &[f64]) -> f64) -> Unary {
    Unary { op, parameters: NONE, wgsl, functions: "", host, integers: false }
}

const fn with(
    op: &'static str,
    parameters: &'static [(&'static str, f32)],
    wgsl: &'static str,
    host: fn(f64, &[f64]) -> f64,
) -> Unary {
    Unary { op, parameters, wgsl, functions: "", host, integers: false }
}

const fn any(op: &'static str, wgsl: &'static str, host: fn(f64, &[f64]) -> f64) -> Unary {
    Unary { op, parameters: NONE, wgsl, functions: "", host, integers: true }
}

/// Abramowitz and Stegun 7.1.26: at most 1.5e-7 off.
const ERF: &str = "
fn erf_of(x: y_t) -> y_t {
    let z = abs(x);
    let t = y_t(1.0) / (y_t(1.0) + 0.3275911 * z);
    let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let r = y_t(1.0) - p * exp(-z * z);
    return select(r, -r, x < y_t(0.0));
}
";

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &any("Relu", "max(u, y_t(0))", |x, _| x.max(0.0)),
    &any("Neg", "-u", |x, _| -x),
    &any("Abs", "abs(u)", |x, _| x.abs()),
    &any("Sign", "sign(u)", |x, _| if x == 0.0 { 0.0 } else { x.signum() }),
    &float("Sigmoid", "y_t(1.0) / (y_t(1.0) + exp(-u))", |x, _| 1.0 / (1.0 + (-x).exp())),
    // Beyond 15 the result is 1 in f32, and some drivers' tanh overflows.
    &float("Tanh", "tanh(clamp(u, y_t(-15.0), y_t(15.0)))", |x, _| x.tanh()),
    &Unary {
        op: "Erf",
        parameters: NONE,
        wgsl: "erf_of(u)",
        functions: ERF,
        host: |x, _| libm::erf(x),
        integers: false,
    },
    &float("Sqrt", "sqrt(u)", |x, _| x.sqrt()),
    &float("Exp", "exp(u)", |x, _| x.exp()),
    &float("Log", "log(u)", |x, _| x.ln()),
    &float("Reciprocal", "y_t(1.0) / u", |x, _| x.recip()),
    &float("Floor", "floor(u)", |x, _| x.floor()),
    &float("Ceil", "ceil(u)", |x, _| x.ceil()),
    &float("Round", "round(u)", |x, _| x.round_ties_even()),
    &float("Sin", "sin(u)", |x, _| x.sin()),
    &float("Cos", "cos(u)", |x, _| x.cos()),
    &float("Softplus", "max(u, y_t(0.0)) + log(y_t(1.0) + exp(-abs(u)))", |x, _| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    &float("Softsign", "u / (y_t(1.0) + abs(u))", |x, _| x / (1.0 + x.abs())),
    &float("HardSwish", "u * clamp(u / 6.0 + 0.5, y_t(0.0), y_t(1.0))", |x, _| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    &with(
        "LeakyRelu",
        &[("alpha", 0.01)],
        "select(u, P0 * u, u < y_t(0.0))",
        |x, p| if x < 0.0 { p[0] * x } else { x },
    ),
    &with("Elu", &[("alpha", 1.0)], "select(u, P0 * (exp(u) - 1.0), u < y_t(0.0))", |x, p| {
        if x < 0.0 { p[0] * x.exp_m1() } else { x }
    }),
    &with("HardSigmoid", &[("alpha", 0.2), ("beta", 0.5)], "clamp(P0 * u + P1, y_t(0.0), y_t(1.0))", |x, p| {
        (p[0] * x + p[1]).clamp(0.0, 1.0)
    }),
];

impl Unary {
    fn parameters(&self, attributes: &Attributes) -> Result<Vec<f32>> {
        self.parameters.iter().map(|&(name, default)| attributes.float(name, default)).collect()
    }
}

impl Operator for Unary {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        match self.parameters.len() {
            0 => &[],
            1 => &["alpha"],
            _ => &["alpha", "beta"],
        }
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let ty = &call.input(0)?.ty;
        let floats = matches!(ty.dtype, DType::Float32 | DType::Float64);
        let known = floats || (self.integers && ty.dtype.is_whole());
        if !known {
            return Err(Error::new(Kind::Unsupported, format!("{} of type {}", self.op, ty.dtype.name())));
        }
        self.parameters(call.attributes)?;
        Ok(vec![ty.clone()])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.only_first(axes)?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = &call.input(0)?.ty;
        let parameters: Vec<f64> = self.parameters(call.attributes)?.into_iter().map(f64::from).collect();
        if let Some(exact) = inputs.first().copied().flatten().and_then(HostTensor::to_i64) {
            let signed = ty.dtype != DType::Uint64;
            let y: Vec<i64> = exact.into_iter().map(|x| whole(self.op, x, signed)).collect();
            if let Some(tensor) = HostTensor::from_i64(ty.dtype, ty.shape.clone(), &y) {
                return Ok(vec![tensor?]);
            }
        }
        let x = crate::kernels::base::operand::values(inputs, 0)?;
        let y: Vec<f64> = x.into_iter().map(|x| (self.host)(x, &parameters)).collect();
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape.clone(), &y)?])
    }
}

/// A whole number of 64 bits, which f64 need not hold.
fn whole(op: &str, x: i64, signed: bool) -> i64 {
    match op {
        "Neg" => x.wrapping_neg(),
        "Abs" if signed => x.wrapping_abs(),
        "Relu" if signed => x.max(0),
        "Sign" if signed => x.signum(),
        "Sign" => (x != 0).into(),
        _ => x,
    }
}

impl Kernel for Unary {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Alike
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let (x, output) = (out.input(0)?, out.output(0)?);
        let mut expression = self.wgsl.to_owned();
        for (i, value) in self.parameters(call.attributes)?.into_iter().enumerate() {
            expression = expression.replace(&format!("P{i}"), &literal(value));
        }
        let shape = out.ty(output).shape.clone();
        Map {
            moves: false,
            expression,
            functions: self.functions,
            operands: vec![Strided::broadcast(x, &shape, &shape)],
            output,
            flops: if self.functions.is_empty() { 2.0 } else { 16.0 },
        }
        .lower(out)
    }
}
