//! Element-wise operators: arithmetic, comparison and logic with every broadcast, functions of one input, selection.

use super::given::{Refusal, dims, narrowed};
use crate::case::{Case, f32s, i64s, random};
use consort::graph::{Attribute, Data, HostTensor};
use fastrand::Rng;

const ARITHMETIC: [&str; 6] = ["Add", "Sub", "Mul", "Div", "Min", "Max"];
const COMPARISONS: [&str; 5] = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];
/// Operators of one input, with the least and greatest element to try them on.
const FUNCTIONS: [(&str, f32, f32); 21] = [
    ("Relu", -2.0, 2.0),
    ("Neg", -2.0, 2.0),
    ("Abs", -2.0, 2.0),
    ("Sign", -2.0, 2.0),
    ("Sigmoid", -20.0, 20.0),
    ("Tanh", -30.0, 30.0),
    ("Erf", -4.0, 4.0),
    ("Sqrt", 0.0, 9.0),
    ("Exp", -9.0, 9.0),
    ("Log", 0.1, 9.0),
    ("Reciprocal", 0.1, 9.0),
    ("Floor", -9.0, 9.0),
    ("Ceil", -9.0, 9.0),
    ("Round", -9.0, 9.0),
    ("Sin", -3.0, 3.0),
    ("Cos", -3.0, 3.0),
    ("Softplus", -9.0, 9.0),
    ("Softsign", -9.0, 9.0),
    ("HardSwish", -5.0, 5.0),
    ("Elu", -3.0, 3.0),
    ("HardSigmoid", -4.0, 4.0),
];

fn between(shape: &[usize], least: f32, most: f32, seed: u64) -> HostTensor {
    let data = random(shape.iter().product(), seed);
    f32s(shape, data.into_iter().map(|x| least + (x + 1.0) / 2.0 * (most - least)).collect())
}

fn ints(rng: &mut Rng, shape: &[usize]) -> HostTensor {
    let data: Vec<i64> = (0..shape.iter().product()).map(|_| rng.i64(-9..10)).collect();
    i64s(shape, &data)
}

#[allow(clippy::panic, reason = "a case that is written wrong must stop at once")]
fn bools(rng: &mut Rng, shape: &[usize]) -> HostTensor {
    let data = (0..shape.iter().product()).map(|_| u8::from(rng.bool())).collect();
    HostTensor::new(shape.to_vec(), Data::Bool(data)).unwrap_or_else(|e| panic!("{e}"))
}

/// A shape, and two that broadcast to it.
fn pair(rng: &mut Rng) -> (Vec<usize>, Vec<usize>) {
    let whole = dims(rng, 0..5, 1..12);
    if rng.bool() { (whole.clone(), narrowed(rng, &whole)) } else { (narrowed(rng, &whole), whole) }
}

/// All of them.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for op in ARITHMETIC {
        for _ in 0..4 {
            let (a, b) = pair(rng);
            cases.push(Case::new(op).input(between(&a, -3.0, 3.0, 1)).input(between(&b, 0.5, 3.0, 2)));
            let (a, b) = pair(rng);
            let divisor = i64s(&b, &vec![rng.i64(1..5); b.iter().product()]);
            let second = if op == "Div" { divisor } else { ints(rng, &b) };
            cases.push(Case::new(op).input(ints(rng, &a)).input(second));
        }
    }
    for _ in 0..4 {
        let (a, b) = pair(rng);
        let divisors: Vec<i64> =
            (0..b.iter().product()).map(|_| rng.i64(1..6) * if rng.bool() { 1 } else { -1 }).collect();
        cases.push(Case::new("Mod").input(ints(rng, &a)).input(i64s(&b, &divisors)));
    }
    for _ in 0..3 {
        let (a, b) = pair(rng);
        cases.push(Case::new("Pow").input(between(&a, 0.1, 3.0, 1)).input(between(&b, -2.0, 3.0, 2)).tolerance(1e-4));
    }
    for slope in [&[7][..], &[1], &[4, 1, 1], &[4, 5, 7]] {
        cases.push(Case::new("PRelu").random(&[2, 4, 5, 7]).random(slope).frozen());
    }
    cases.push(Case::new("Pow").random(&[3, 50]).constant(f32s(&[], vec![2.0])).tolerance(1e-4));
    for op in COMPARISONS {
        for _ in 0..3 {
            let (a, b) = pair(rng);
            cases.push(Case::new(op).input(ints(rng, &a)).input(ints(rng, &b)));
            cases.push(Case::new(op).random(&a).random(&b));
        }
    }
    for op in ["And", "Or", "Xor"] {
        let (a, b) = pair(rng);
        cases.push(Case::new(op).input(bools(rng, &a)).input(bools(rng, &b)));
    }
    cases.push(Case::new("Not").input(bools(rng, &[3, 7])));
    for (op, least, most) in FUNCTIONS {
        // WGSL grants sin and cos an absolute error of 2⁻¹¹, and exp and log a few units more than arithmetic.
        let tolerance = match op {
            "Sin" | "Cos" => 1e-3,
            "Log" | "Erf" | "Exp" => 1e-4,
            _ => 2e-5,
        };
        for shape in [vec![1025], dims(rng, 0..5, 1..12)] {
            cases.push(Case::new(op).input(between(&shape, least, most, 3)).tolerance(tolerance));
        }
    }
    cases.push(Case::new("Elu").float("alpha", 0.3).random(&[77]));
    cases.push(Case::new("HardSigmoid").float("alpha", 0.3).float("beta", 0.4).random(&[77]));
    cases.extend(selections(rng));
    cases
}

fn selections(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for _ in 0..5 {
        let whole = dims(rng, 0..5, 1..10);
        let (c, x, y) = (narrowed(rng, &whole), narrowed(rng, &whole), whole);
        cases.push(Case::new("Where").input(bools(rng, &c)).random(&x).random(&y));
        cases.push(Case::new("Where").input(bools(rng, &c)).input(ints(rng, &x)).input(ints(rng, &y)));
    }
    let scalar = |x: f32| f32s(&[], vec![x]);
    cases.push(Case::new("Clip").random(&[5, 33]).constant(scalar(-0.3)).constant(scalar(0.4)));
    cases.push(Case::new("Clip").random(&[5, 33]).left_out().constant(scalar(0.4)));
    cases.push(Case::new("Clip").opset(6).float("min", 0.0).float("max", 0.5).random(&[100]));
    // ONNX's numbers of types: 1 float32, 6 int32, 7 int64, 9 bool.
    for to in [1, 6, 7, 9] {
        cases.push(Case::new("Cast").int("to", to).input(between(&[4, 9], -5.0, 5.0, 4)));
        cases.push(Case::new("Cast").int("to", to).input(ints(rng, &[7, 3])));
        cases.push(Case::new("Cast").int("to", to).input(bools(rng, &[11])));
    }
    cases
}

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    vec![
        (Case::new("Add").random(&[2, 3]).random(&[4]), &["[2, 3]", "[4]"]),
        (Case::new("PRelu").random(&[3]).random(&[2, 3]), &["[3]", "[2, 3]"]),
        (Case::new("Add").random(&[2]).input(i64s(&[2], &[1, 2])), &["float32", "int64"]),
        (Case::new("Cast").attribute("to", Attribute::Int(8)).random(&[2]), &["8"]),
    ]
}
