//! What works along rows: softmax, normalisations, reductions.

use super::given::{Refusal, dims};
use crate::case::{Case, i64s};
use fastrand::Rng;

/// Softmax, normalisations and reductions over every axis of ragged shapes.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = softmax();
    cases.extend(normalisation(rng));
    cases.extend(reductions(rng));
    cases.extend(arguments(rng));
    cases
}

fn softmax() -> Vec<Case> {
    let mut cases = vec![];
    for op in ["Softmax", "LogSoftmax"] {
        for shape in [&[3, 5, 7][..], &[12, 50, 50], &[2, 1500], &[1, 1], &[7, 80, 3]] {
            for axis in -1..shape.len() as i64 {
                cases.push(Case::new(op).int("axis", axis).random(shape));
                cases.push(Case::new(op).int("axis", axis).opset(11).random(shape));
            }
            cases.push(Case::new(op).random(shape));
        }
        // In registers, alone and shared; then so long that a row is shared even where that is dear.
        for shape in [[9, 4], [70, 64], [9, 128], [3, 256], [3, 1024], [2, 9000], [2, 9001]] {
            cases.push(Case::new(op).random(&shape));
        }
    }
    cases
}

fn normalisation(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for shape in [vec![2, 7, 384], vec![1, 197, 192], vec![3, 5], dims(rng, 2..5, 1..40)] {
        let last = shape[shape.len() - 1];
        let case = Case::new("LayerNormalization").random(&shape).random(&[last]).frozen().tolerance(1e-4);
        cases.push(case.clone());
        cases.push(case.float("epsilon", 1e-3).random(&[last]).frozen());
        let from = rng.usize(0..shape.len());
        let tail = &shape[from..];
        let case = Case::new("LayerNormalization").int("axis", from as i64).random(&shape).random(tail).random(tail);
        // The variance of few elements may be near nothing.
        cases.push(case.float("epsilon", 1e-2).tolerance(1e-4));
    }
    for shape in [&[2, 5, 7, 3][..], &[1, 16, 9], &[4, 6]] {
        let c = &[shape[1]];
        let positive = crate::case::f32s(c, (0..shape[1]).map(|i| 0.5 + i as f32 / 8.0).collect());
        let case = Case::new("BatchNormalization").random(shape).random(c).frozen().random(c).frozen();
        cases.push(case.random(c).frozen().constant(positive).float("epsilon", 1e-3));
    }
    // Whole and ragged fours of vec4, with threads that have none, and rows that are shared even where that is dear.
    for shape in [[70, 384], [3, 1024], [600, 20], [2, 9000], [2, 9001]] {
        let tail = &shape[1..];
        cases.push(Case::new("LayerNormalization").random(&shape).random(tail).random(tail).tolerance(1e-4));
    }
    cases
}

fn reductions(rng: &mut Rng) -> Vec<Case> {
    let names = ["ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMin"];
    let mut cases = vec![];
    for op in names {
        for _ in 0..4 {
            let shape = dims(rng, 1..5, 1..30);
            let keep = i64::from(rng.bool());
            let axis = rng.usize(0..shape.len()) as i64 - if rng.bool() { shape.len() as i64 } else { 0 };
            let case = Case::new(op).int("keepdims", keep).random(&shape).tolerance(1e-4);
            // Axes became an input with opset 13 for sums, with 18 for the others.
            cases.push(if op == "ReduceSum" { case.constant_i64(&[axis]) } else { case.ints("axes", &[axis]) });
            cases.push(
                Case::new(op).opset(18).int("keepdims", keep).random(&shape).constant_i64(&[axis]).tolerance(1e-4),
            );
            cases.push(Case::new(op).int("keepdims", keep).random(&shape).tolerance(1e-4));
        }
    }
    cases.push(Case::new("ReduceMean").random(&[3, 4, 5, 6]).ints("axes", &[1, 2]));
    // Rows without elements have a sum, too.
    for op in ["ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2"] {
        cases.push(Case::new(op).opset(18).random(&[2, 0, 4]).constant_i64(&[1]));
        cases.push(Case::new(op).opset(18).random(&[2, 0]).constant_i64(&[1]));
    }
    cases.push(Case::new("GlobalAveragePool").random(&[1, 1280, 7, 7]));
    cases.push(Case::new("GlobalAveragePool").random(&[2, 5, 9]));
    cases.push(Case::new("GlobalMaxPool").random(&[2, 5, 9]));
    cases.push(Case::new("GlobalMaxPool").random(&[1, 40, 7, 6]));
    cases
}

fn arguments(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for op in ["ArgMax", "ArgMin"] {
        for (keep, last) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let case = || Case::new(op).int("keepdims", keep).int("select_last_index", last);
            let shape = dims(rng, 1..5, 1..20);
            let axis = rng.usize(0..shape.len()) as i64;
            cases.push(case().int("axis", axis).random(&shape));
            // Few numbers, so that many are equal.
            let data: Vec<i64> = (0..shape.iter().product()).map(|_| rng.i64(-2..3)).collect();
            cases.push(case().int("axis", axis - shape.len() as i64).input(i64s(&shape, &data)));
        }
    }
    cases
}

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    vec![
        (Case::new("ArgMax").random(&[2, 0]).int("axis", 1), &["[2, 0]"]),
        (Case::new("Softmax").int("axis", 2).random(&[2, 3]), &["2"]),
        (Case::new("LayerNormalization").random(&[2, 8]).random(&[3]), &["[3]"]),
    ]
}
