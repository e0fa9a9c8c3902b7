//! Operators of two operands with broadcasting: arithmetic, comparison, logic.

use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType, HostTensor, Operand, Operator, TensorId, TensorType};
use crate::kernels::base::map::Map;
use crate::kernels::base::operand::{broadcast, values};
use crate::kernels::base::strides::{Strided, places};
use crate::kernels::base::wgsl::literal;
use crate::kernels::base::{Entry, Kernel, Lowering, Planes};

/// What an operator takes and gives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// Numbers of one type to the same type.
    Arithmetic,
    /// Two of one type to a truth value.
    Compare,
    /// Truth values to a truth value.
    Logic,
}

/// One such operator.
#[derive(Debug)]
pub struct Binary {
    op: &'static str,
    rule: Rule,
    /// WGSL over `u` and `v`.
    wgsl: &'static str,
    functions: &'static str,
    host: fn(f64, f64) -> f64,
}

const fn arithmetic(op: &'static str, wgsl: &'static str, host: fn(f64, f64) -> f64) -> Binary {
    Binary { op, rule: Rule::Arithmetic, wgsl, functions: "", host }
}

const fn compare(op: &'static str, wgsl: &'static str, host: fn(f64, f64) -> f64) -> Binary {
    Binary { op, rule: Rule::Compare, wgsl, functions: "", host }
}

const fn logic(op: &'static str, wgsl: &'static str, host: fn(f64, f64) -> f64) -> Binary {
    Binary { op, rule: Rule::Logic, wgsl, functions: "", host }
}

/// WGSL's own pow is undefined for a base below 0.
const POWER: &str = "
fn power(x: y_t, n: y_t) -> y_t {
    let m = pow(abs(x), n);
    let odd = abs(n - 2.0 * floor(n * 0.5)) == y_t(1.0);
    return select(select(m, -m, (x < y_t(0.0)) & odd), y_t(1.0), n == y_t(0.0));
}
";

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The operators of this family.
pub const OPERATORS: &[&Entry] = &[
    &arithmetic("Add", "u + v", |a, b| a + b),
    &arithmetic("Sub", "u - v", |a, b| a - b),
    &arithmetic("Mul", "u * v", |a, b| a * b),
    &arithmetic("Div", "u / v", |a, b| a / b),
    &arithmetic("Min", "min(u, v)", f64::min),
    &arithmetic("Max", "max(u, v)", f64::max),
    // The slope broadcasts to x; below 0 it scales.
    &arithmetic("PRelu", "max(u, y_t(0)) + min(u, y_t(0)) * v", |a, b| a.max(0.0) + a.min(0.0) * b),
    &Binary { op: "Pow", rule: Rule::Arithmetic, wgsl: "power(u, v)", functions: POWER, host: f64::powf },
    // What is left has the divisor's sign; of whole numbers only.
    &arithmetic("Mod", "(u % v + v) % v", |a, b| a - (a / b).floor() * b),
    &compare("Equal", "select(0u, 1u, u == v)", |a, b| truth(a == b)),
    &compare("Greater", "select(0u, 1u, u > v)", |a, b| truth(a > b)),
    &compare("GreaterOrEqual", "select(0u, 1u, u >= v)", |a, b| truth(a >= b)),
    &compare("Less", "select(0u, 1u, u < v)", |a, b| truth(a < b)),
    &compare("LessOrEqual", "select(0u, 1u, u <= v)", |a, b| truth(a <= b)),
    &logic("And", "u & v", |a, b| truth(a != 0.0 && b != 0.0)),
    &logic("Or", "u | v", |a, b| truth(a != 0.0 || b != 0.0)),
    &logic("Xor", "u ^ v", |a, b| truth((a != 0.0) != (b != 0.0))),
];

impl Binary {
    fn output(&self, call: &Call<'_>) -> Result<TensorType> {
        let (a, b) = (&call.input(0)?.ty, &call.input(1)?.ty);
        let refuse =
            || Error::new(Kind::Unsupported, format!("{} of types {} and {}", self.op, a.dtype.name(), b.dtype.name()));
        if call.inputs.len() > 2 {
            return Err(Error::new(Kind::Unsupported, format!("{} of {} operands", self.op, call.inputs.len())));
        }
        let dtype = match self.rule {
            // The exponent's type is its own.
            Rule::Arithmetic if self.op == "Pow" && matches!(a.dtype, DType::Float32 | DType::Float64) => a.dtype,
            _ if a.dtype != b.dtype => return Err(refuse()),
            _ if self.op == "Mod" && (!a.dtype.is_whole() || call.attributes.int("fmod", 0)? != 0) => {
                return Err(refuse());
            }
            Rule::Arithmetic if a.dtype == DType::Bool || self.op == "Pow" => return Err(refuse()),
            Rule::Arithmetic => a.dtype,
            Rule::Compare if a.dtype == DType::Bool && self.op != "Equal" => return Err(refuse()),
            Rule::Logic if a.dtype != DType::Bool => return Err(refuse()),
            Rule::Compare | Rule::Logic => DType::Bool,
        };
        let shape = broadcast(&a.shape, &b.shape)?;
        if self.op == "PRelu" && shape != a.shape {
            let message =
                format!("PRelu of shape {:?} with a slope of shape {:?}, which does not fit it", a.shape, b.shape);
            return Err(Error::new(Kind::InvalidModel, message));
        }
        Ok(TensorType::new(dtype, shape))
    }
}

impl Operator for Binary {
    fn op_type(&self) -> &'static str {
        self.op
    }

    fn attributes(&self) -> &'static [&'static str] {
        if self.op == "Mod" { &["fmod"] } else { &[] }
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        Ok(vec![self.output(call)?])
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        Some(vec![call.aligned(axes, self.infer(call).ok()?.first()?.shape.len())?])
    }

    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let ty = self.output(call)?;
        let a_at = places(&call.input(0)?.ty.shape, &ty.shape);
        let b_at = places(&call.input(1)?.ty.shape, &ty.shape);
        let exact = |i: usize| inputs.get(i).copied().flatten().and_then(HostTensor::to_i64);
        if let (dtype, Some(a), Some(b)) = (call.input(0)?.ty.dtype, exact(0), exact(1))
            && dtype.is_whole()
            && self.op != "Pow"
        {
            let y = a_at.zip(b_at).map(|(i, j)| whole(self.op, dtype, a[i], b[j])).collect::<Result<Vec<_>>>()?;
            let none = || Error::new(Kind::Internal, format!("{} of whole numbers to floats", self.op));
            return Ok(vec![HostTensor::from_i64(ty.dtype, ty.shape, &y).ok_or_else(none)??]);
        }
        let (a, b) = (values(inputs, 0)?, values(inputs, 1)?);
        let y: Vec<f64> = a_at.zip(b_at).map(|(i, j)| (self.host)(a[i], b[j])).collect();
        Ok(vec![HostTensor::from_f64(ty.dtype, ty.shape, &y)?])
    }
}

/// One result of whole numbers, exact but for what is beyond 64 bits, where it wraps around. Only uint64 needs its own order.
fn whole(op: &str, dtype: DType, a: i64, b: i64) -> Result<i64> {
    let order = if dtype == DType::Uint64 { (a as u64).cmp(&(b as u64)) } else { a.cmp(&b) };
    Ok(match op {
        "Add" => a.wrapping_add(b),
        "Sub" => a.wrapping_sub(b),
        "Mul" => a.wrapping_mul(b),
        "Div" | "Mod" if b == 0 => return Err(Error::new(Kind::InvalidModel, "an integer is divided by 0")),
        "Div" if dtype == DType::Uint64 => (a as u64 / b as u64) as i64,
        "Div" => a.wrapping_div(b),
        "Mod" if dtype == DType::Uint64 => (a as u64 % b as u64) as i64,
        "Mod" => match a.wrapping_rem(b) {
            left if left != 0 && (left < 0) != (b < 0) => left + b,
            left => left,
        },
        "Min" => {
            if order.is_lt() {
                a
            } else {
                b
            }
        }
        "Max" => {
            if order.is_gt() {
                a
            } else {
                b
            }
        }
        "PRelu" => {
            if a < 0 {
                a.wrapping_mul(b)
            } else {
                a
            }
        }
        "Equal" => order.is_eq().into(),
        "Greater" => order.is_gt().into(),
        "GreaterOrEqual" => order.is_ge().into(),
        "Less" => order.is_lt().into(),
        "LessOrEqual" => order.is_le().into(),
        _ => return Err(Error::new(Kind::Unsupported, format!("{op} of type {}", dtype.name()))),
    })
}

impl Kernel for Binary {
    fn planes(&self, _: &Call<'_>) -> Planes {
        Planes::Alike
    }

    fn lower(&self, call: &Call<'_>, out: &mut Lowering<'_>) -> Result<()> {
        let output = out.output(0)?;
        let shape = out.ty(output).shape.clone();
        let mut expression = self.wgsl.to_owned();
        let mut functions = self.functions;
        let (a, b) = (call.input(0)?, call.input(1)?);
        let strided = |id: TensorId, out: &Lowering<'_>| Strided::broadcast(id, &out.ty(id).shape, &shape);
        let mut operands = vec![strided(out.input(0)?, out)];
        match scalar(b).filter(|_| a.ty.dtype == DType::Float32 && self.rule == Rule::Arithmetic) {
            Some(exponent) if self.op == "Pow" && [2.0, 3.0].contains(&exponent) => {
                (expression, functions) = (if exponent == 2.0 { "u * u" } else { "u * u * u" }.to_owned(), "");
            }
            // A number known beforehand is written into the code: then the map may be of vectors.
            Some(value) => expression = expression.replace('v', &format!("y_t({})", literal(value))),
            None => {
                operands.push(strided(out.input(1)?, out));
                if b.ty.dtype != a.ty.dtype {
                    expression = expression.replace('v', "y_t(v)");
                }
            }
        }
        // `power` and `Div` hold the letter v only as the operand.
        Map {
            moves: false,
            expression,
            functions,
            operands,
            output,
            flops: if functions.is_empty() { 1.0 } else { 12.0 },
        }
        .lower(out)
    }
}

/// The one finite element of a constant that broadcasts to anything.
fn scalar(operand: &Operand) -> Option<f32> {
    let value = operand.value.as_ref().filter(|v| v.len() == 1)?;
    let number = value.to_f64()[0] as f32;
    number.is_finite().then_some(number)
}
