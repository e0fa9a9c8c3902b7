//! Elementwise operators on a processor: the loop of each over registers of floats. Other types are `typed`'s.
//! Knows numbers; must never know where operands lie.

use super::typed::{cast, not, pair};
use crate::error::Result;
use crate::graph::{Call, DType};
use crate::kernels::base::cpu::line::{Arithmetic, Gate, Line};
use crate::kernels::base::cpu::links::Term;
use crate::kernels::base::cpu::loops::{
    Loop, Loops, Parameters, clamp, each, each_four, each_four_within, each_of_two, each_onto, each_within,
};
use crate::kernels::base::cpu::math::Floats;
use crate::kernels::base::cpu::{Routines, math};

/// What computes those of this family that are no terms.
pub const ROUTINES: Routines = &[
    ("Cast", cast),
    ("Not", not),
    ("Equal", |call, steps| pair("Equal", call, steps)),
    ("Greater", |call, steps| pair("Greater", call, steps)),
    ("GreaterOrEqual", |call, steps| pair("GreaterOrEqual", call, steps)),
    ("Less", |call, steps| pair("Less", call, steps)),
    ("LessOrEqual", |call, steps| pair("LessOrEqual", call, steps)),
    ("And", |call, steps| pair("And", call, steps)),
    ("Or", |call, steps| pair("Or", call, steps)),
    ("Xor", |call, steps| pair("Xor", call, steps)),
    ("Add", |call, steps| pair("Add", call, steps)),
    ("Sub", |call, steps| pair("Sub", call, steps)),
    ("Mul", |call, steps| pair("Mul", call, steps)),
    ("Min", |call, steps| pair("Min", call, steps)),
    ("Max", |call, steps| pair("Max", call, steps)),
];

macro_rules! unary {
    (|$x:ident, $p:pat_param| $y:expr) => {
        Loop { apart: |x, y, $p| each(x, y, |$x| $y), within: |y, $p| each_within(y, |$x| $y) }
    };
}

/// A function of floats of which there are four at once.
macro_rules! four {
    ($by:path) => {
        Loop { apart: |x, y, _| each_four(x, y, $by, $by), within: |y, _| each_four_within(y, $by, $by) }
    };
}

macro_rules! gated {
    ($by:path) => {
        Gate {
            by: Loop {
                apart: |x, y, p| each_four(x, y, |x| gated(x, p, $by), |x| gated(x, p, $by)),
                within: |y, p| each_four_within(y, |x| gated(x, p, $by), |x| gated(x, p, $by)),
            },
            of: (1.0, 0.0),
            bounds: [0.0; 2],
        }
    };
}

/// As [`Gate`] says.
#[inline(always)]
fn gated<T: Floats>(x: T, p: Parameters, by: impl Fn(T) -> T) -> T {
    let of = T::all(p[1]).madd(x, T::all(p[0]));
    x.times(T::all(p[3]).madd(by(of), T::all(p[2])))
}

macro_rules! binary {
    (|$a:ident, $b:ident| $y:expr) => {
        Loops {
            both: |a, b, y| each_of_two(a, b, y, |$a, $b| $y),
            left: |$a, b, y| each(b, y, |$b| $y),
            right: |a, $b, y| each(a, y, |$a| $y),
            onto: |y, b| each_onto(y, b, |$a, $b| $y),
            under: |a, y| each_onto(y, a, |$b, $a| $y),
            onto_one: |y, $b| each_within(y, |$a| $y),
            under_one: |$a, y| each_within(y, |$b| $y),
        }
    };
}

/// What a node computes of floats, element by element; `None` where it is no such operator, or of another type.
pub fn term(op_type: &str, call: &Call<'_>) -> Result<Option<Term>> {
    let given = call.inputs.iter().flatten();
    if given.clone().any(|o| o.ty.dtype != DType::Float32) {
        return Ok(None);
    }
    let attribute = |name: &str, default: f32| call.attributes.float(name, default);
    let (mut parameters, mut flops, mut line, mut gate) = ([0.0; 6], 1.0, None, None);
    let by: Loop = match op_type {
        "Relu" => {
            line = Some(Line::within(0.0, f32::INFINITY));
            unary!(|x, _| if x < 0.0 { 0.0 } else { x })
        }
        "Neg" => unary!(|x, _| -x),
        "Abs" => unary!(|x, _| x.abs()),
        "Sign" => unary!(|x, _| if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            x
        }),
        "Sqrt" => unary!(|x, _| x.sqrt()),
        "Reciprocal" => unary!(|x, _| 1.0 / x),
        "Floor" => unary!(|x, _| x.floor()),
        "Ceil" => unary!(|x, _| x.ceil()),
        "Round" => unary!(|x, _| math::round(x)),
        "Softsign" => unary!(|x, _| x / (1.0 + x.abs())),
        "HardSwish" => unary!(|x, _| x * clamp(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)),
        "Sigmoid" | "Tanh" | "Erf" | "Exp" | "Log" => {
            flops = 16.0;
            match op_type {
                "Sigmoid" => {
                    gate = Some(gated!(math::sigmoid));
                    four!(math::sigmoid)
                }
                "Tanh" => {
                    gate = Some(gated!(math::tanh));
                    four!(math::tanh)
                }
                "Erf" => {
                    gate = Some(gated!(math::erf));
                    four!(math::erf)
                }
                "Log" => unary!(|x, _| math::ln(x)),
                _ => four!(math::exp),
            }
        }
        "LeakyRelu" => {
            parameters[0] = attribute("alpha", 0.01)?;
            unary!(|x, p| if x < 0.0 { p[0] * x } else { x })
        }
        "HardSigmoid" => {
            [parameters[0], parameters[1]] = [attribute("alpha", 0.2)?, attribute("beta", 0.5)?];
            line = Some(Line::of(parameters[0], parameters[1], 0.0, 1.0));
            unary!(|x, p| clamp(p[0] * x + p[1], 0.0, 1.0))
        }
        "Clip" => {
            for (i, (name, default)) in [("min", f32::MIN), ("max", f32::MAX)].into_iter().enumerate() {
                parameters[i] = match call.optional(i + 1) {
                    None => attribute(name, default)?,
                    Some(bound) => match bound.value.as_ref().and_then(|v| v.as_f32()?.first().copied()) {
                        Some(value) => value,
                        None => return Ok(None),
                    },
                };
            }
            line = Some(Line::within(parameters[0], parameters[1]));
            unary!(|x, p| clamp(x, p[0], p[1]))
        }
        "Pow" => {
            let exponent = call.optional(1).and_then(|o| o.value.clone()).filter(|v| v.shape().iter().all(|&d| d == 1));
            let rank = |i: usize| call.optional(i).map_or(0, |o| o.ty.shape.len());
            let Some(exponent) = exponent.filter(|_| rank(1) <= rank(0)).and_then(|v| v.as_f32().map(|v| v[0])) else {
                return Ok(None);
            };
            parameters[0] = exponent;
            match exponent {
                2.0 => unary!(|x, _| x * x),
                0.5 => unary!(|x, _| x.sqrt()),
                _ => unary!(|x, p| x.powf(p[0])),
            }
        }
        _ => {
            let by = of_two(op_type).filter(|_| call.inputs.len() == 2);
            return Ok(by.map(|by| Term::Binary { by, flops, arithmetic: Arithmetic::of(op_type) }));
        }
    };
    Ok(Some(Term::Unary { by, parameters, flops, line, gate }))
}

fn of_two(op_type: &str) -> Option<Loops> {
    Some(match op_type {
        "Add" => binary!(|a, b| a + b),
        "Sub" => binary!(|a, b| a - b),
        "Mul" => binary!(|a, b| a * b),
        "Div" => binary!(|a, b| a / b),
        "Min" => binary!(|a, b| if b < a { b } else { a }),
        "Max" => binary!(|a, b| if b > a { b } else { a }),
        "PRelu" => binary!(|a, b| if a < 0.0 { a * b } else { a }),
        _ => return None,
    })
}
