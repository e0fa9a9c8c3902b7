//! Tensors between two operators whose planes lie apart: each kernel that reads or writes such, and those that cannot.

use crate::case::{
    Case,
    Read::{Given, Result},
    f32s,
};
use fastrand::Rng;

/// A 1×1 convolution of `from` to `to` channels at `size`, batch first, of which nobody but what follows sees the result.
fn first(batch: usize, from: usize, to: usize, size: &[usize]) -> Case {
    let (x, ones) = ([&[batch, from], size].concat(), vec![1; size.len()]);
    Case::new("Conv").random(&x).random(&[&[to, from], &ones[..]].concat()).frozen()
}

/// One operator after another, each between pointwise convolutions.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let y = Result(0);
    let mut cases = vec![];
    for size in [[7, 7], [13, 13], [5, 5], [9, 31], [1, 29]] {
        let batch = rng.usize(1..3);
        let between = first(batch, 5, 12, &size);
        // Read in vec4, by one that is seen and by one that is not.
        let twice = between.clone().random(&[20, 12, 1, 1]).frozen().random(&[9, 20, 1, 1]).frozen();
        cases.push(twice.then("Conv", &[y, Given(2)]).then("Conv", &[Result(1), Given(3)]));
        // Shared by what is joined again.
        let fire = first(1, 5, 12, &size).random(&[16, 12, 1, 1]).frozen().random(&[16, 12, 3, 3]).frozen();
        let fire = fire.random(&[7, 32, 1, 1]).frozen();
        let fire = fire.then("Conv", &[y, Given(2)]).then("Conv", &[y, Given(3)]).with_ints("pads", &[1; 4]);
        let fire = fire.then("Concat", &[Result(1), Result(2)]).with_int("axis", 1);
        cases.push(fire.then("Conv", &[Result(3), Given(4)]));
        // Element by element: alone, with one number for each channel, with a residual.
        let gated = between.clone().random(&[10, 12, 1, 1]).frozen().then("Sigmoid", &[y]).then("Mul", &[Result(1), y]);
        cases.push(gated.then("Conv", &[Result(2), Given(2)]));
        let scaled = between.clone().random(&[12, 1, 1]).random(&[10, 12, 1, 1]).frozen();
        cases.push(scaled.clone().then("PRelu", &[y, Given(2)]).then("Conv", &[Result(1), Given(3)]));
        cases.push(scaled.then("Mul", &[Given(2), y]).then("Clip", &[Result(1)]).then("Conv", &[Result(2), Given(3)]));
        let residual = between.clone().random(&[12, 12, 1, 1]).frozen().random(&[10, 12, 1, 1]).frozen();
        let residual = residual.then("Conv", &[y, Given(2)]).then("Add", &[y, Result(1)]).then("Relu", &[Result(2)]);
        cases.push(residual.then("Conv", &[Result(3), Given(3)]));
        let mut normal = between.clone();
        for _ in 0..3 {
            normal = normal.random(&[12]).frozen();
        }
        let normal = normal.constant(f32s(&[12], vec![0.5; 12])).random(&[10, 12, 1, 1]).frozen();
        let normal = normal.then("BatchNormalization", &[y, Given(2), Given(3), Given(4), Given(5)]);
        cases.push(normal.then("Conv", &[Result(1), Given(6)]));
        // Each number of a plane its own: what is added lies as ONNX says, and so does the sum.
        let own = between.clone().random(&size).random(&[10, 12, 1, 1]).frozen();
        cases.push(own.then("Add", &[y, Given(2)]).then("Conv", &[Result(1), Given(3)]));
        // What knows nothing of planes.
        let moved = between.clone().random(&[10, 12, 1, 1]).frozen();
        let moved = moved.then("Transpose", &[y]).with_ints("perm", &[0, 1, 3, 2]);
        cases.push(moved.then("Conv", &[Result(1), Given(2)]));
        cases.push(between.then("GlobalAveragePool", &[y]));
    }
    cases.extend(windows());
    cases
}

/// Windows over planes that lie apart, and of whose results the planes do.
fn windows() -> Vec<Case> {
    let (y, last) = (Result(0), |case: Case, at: usize| case.then("Conv", &[Result(1), Given(at)]));
    let mut cases = vec![];
    for size in [[13, 13], [11, 15]] {
        let to = |channels: usize| [7, channels, 1, 1];
        let between = first(2, 3, 12, &size);
        for pool in ["MaxPool", "AveragePool"] {
            for kernel in [3, 7] {
                let pooled = between.clone().random(&to(12)).frozen().then(pool, &[y]);
                let pooled = pooled.with_ints("kernel_shape", &[kernel; 2]).with_ints("pads", &[1; 4]);
                cases.push(last(pooled, 2));
            }
        }
        let conv = |w: &[usize], group: i64, stride: i64, pad: i64| {
            let case = between.clone().random(w).frozen().random(&to(w[0])).frozen();
            let case = case.then("Conv", &[y, Given(2)]).with_int("group", group);
            last(case.with_ints("strides", &[stride; 2]).with_ints("pads", &[pad; 4]), 3)
        };
        // Depthwise, in groups, direct with a stride, wide.
        cases.push(conv(&[12, 1, 3, 3], 12, 1, 1));
        cases.push(conv(&[24, 1, 5, 5], 12, 2, 2));
        cases.push(conv(&[9, 4, 3, 3], 3, 1, 1));
        cases.push(conv(&[16, 12, 3, 3], 1, 2, 1));
        cases.push(conv(&[16, 12, 1, 9], 1, 1, 0));
        // Unfolded.
        cases.push(conv(&[48, 12, 3, 3], 1, 1, 1));
        cases.push(conv(&[52, 12, 5, 5], 1, 2, 4));
    }
    // Large enough for Winograd's transforms, and for operands that a workgroup shares.
    let large = first(2, 8, 40, &[31, 29]).random(&[48, 40, 3, 3]).frozen().random(&[33, 48, 1, 1]).frozen();
    cases.push(last(large.then("Conv", &[y, Given(2)]).with_ints("pads", &[1; 4]), 3));
    let strided = first(1, 8, 40, &[31, 29]).random(&[48, 40, 3, 3]).frozen().random(&[33, 48, 1, 1]).frozen();
    cases.push(last(strided.then("Conv", &[y, Given(2)]).with_ints("strides", &[2; 2]), 3));
    // One spatial axis.
    let line = first(2, 6, 12, &[37]).random(&[10, 12, 3]).frozen().random(&[9, 10, 1]).frozen();
    cases.push(last(line.then("Conv", &[y, Given(2)]), 3));
    cases
}
