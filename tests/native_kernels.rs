//! Every kernel on the system's Vulkan device against its CPU reference.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Case;

#[test]
fn matrix_products() {
    let cases: &[(&[usize], &[usize])] = &[
        (&[128, 384], &[384, 384]),
        (&[1, 12, 33, 32], &[1, 12, 32, 33]),
        (&[2, 3, 5, 7], &[2, 3, 7, 9]),
        (&[2, 1, 5, 8], &[3, 8, 9]),
        (&[4, 3, 1, 5, 8], &[4, 1, 2, 8, 3]),
        (&[3, 17, 12], &[12, 5]),
        (&[17, 12], &[3, 12, 5]),
        (&[1, 384], &[384, 1152]),
        (&[5, 1], &[1, 6]),
        (&[1, 1], &[1, 1]),
        (&[8], &[8]),
        (&[8], &[3, 8, 5]),
        (&[3, 5, 8], &[8]),
        (&[50, 77], &[77, 50]),
        (&[2, 0], &[0, 3]),
        (&[197, 64], &[64, 197]),
    ];
    for (a, b) in cases {
        Case::new("MatMul").random(a).random(b).check();
        Case::new("MatMul").random(a).random(b).frozen().check();
    }
    Case::new("MatMul").random(&[2, 9, 8]).random(&[8, 10]).random(&[10]).string("activation", "Relu").check();
    let refusal = Case::new("MatMul").random(&[2, 3]).random(&[4, 5]).refusal();
    assert!(refusal.contains("[2, 3]") && refusal.contains("[4, 5]"), "{refusal}");
}

#[test]
fn gemm() {
    for (ta, tb) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let shape = |t: i64, a: usize, b: usize| if t == 0 { [a, b] } else { [b, a] };
        for (m, k, n) in [(1, 1280, 100), (8, 16, 70), (13, 16, 11), (9, 7, 5), (1, 3, 2)] {
            let case =
                Case::new("Gemm").int("transA", ta).int("transB", tb).random(&shape(ta, m, k)).random(&shape(tb, k, n));
            case.clone().check();
            case.clone().random(&[n]).check();
            let case = case.float("alpha", 0.5).float("beta", -2.0);
            for c in [&[m, n][..], &[1, n], &[m, 1], &[1], &[]] {
                case.clone().random(c).check();
            }
        }
    }
}

/// A Conv of input and weight shapes, with its attributes.
fn conv(x: &[usize], w: &[usize]) -> Case {
    Case::new("Conv").random(x).random(w).frozen()
}

#[test]
fn convolution() {
    let cases = [
        conv(&[1, 3, 23, 23], &[16, 3, 3, 3]).ints("strides", &[2, 2]),
        conv(&[1, 3, 32, 32], &[20, 3, 7, 7]).ints("strides", &[2, 2]).ints("pads", &[3; 4]),
        conv(&[2, 5, 14, 14], &[9, 5, 3, 3]).ints("pads", &[1; 4]).ints("kernel_shape", &[3, 3]),
        conv(&[2, 16, 7, 7], &[33, 16, 3, 3]).ints("pads", &[1; 4]),
        conv(&[1, 4, 9, 11], &[3, 4, 3, 5]).ints("pads", &[0, 1, 2, 3]),
        conv(&[1, 4, 13, 13], &[8, 4, 3, 3]).ints("dilations", &[2, 3]).ints("pads", &[2, 3, 2, 3]),
        conv(&[1, 4, 15, 13], &[8, 4, 2, 2]).ints("strides", &[3, 2]).ints("pads", &[1, 0, 0, 1]),
        conv(&[1, 6, 10, 10], &[9, 2, 3, 3]).int("group", 3).ints("pads", &[1; 4]),
        conv(&[1, 3, 64, 64], &[12, 3, 16, 16]).ints("strides", &[16, 16]),
        conv(&[1, 2, 20, 20], &[3, 2, 9, 9]).ints("pads", &[4; 4]).ints("strides", &[2, 1]),
        conv(&[1, 4, 8, 8], &[6, 4, 1, 1]).ints("strides", &[2, 2]),
        conv(&[1, 4, 8, 8], &[6, 4, 1, 1]).ints("pads", &[1, 0, 0, 2]),
        conv(&[1, 4, 5, 4], &[3, 4, 3, 3]).string("auto_pad", "SAME_UPPER").ints("strides", &[2, 2]),
        conv(&[1, 4, 5, 4], &[3, 4, 2, 4]).string("auto_pad", "SAME_LOWER"),
        conv(&[1, 4, 5, 6], &[3, 4, 3, 3]).string("auto_pad", "VALID"),
        conv(&[1, 1, 3, 3], &[1, 1, 3, 3]),
    ];
    for case in cases {
        case.clone().check();
        let filters = case.clone().reference()[0].shape()[1];
        case.clone().random(&[filters]).check();
        case.random(&[filters]).frozen().string("activation", "Relu").check();
    }
}

#[test]
fn pointwise_convolution() {
    for (x, w) in [
        ([1, 24, 56, 56], [16, 24, 1, 1]),
        ([2, 16, 7, 7], [40, 16, 1, 1]),
        ([3, 5, 4, 4], [7, 5, 1, 1]),
        ([1, 3, 27, 27], [9, 3, 1, 1]),
        ([2, 1, 1, 1], [3, 1, 1, 1]),
    ] {
        conv(&x, &w).check();
        conv(&x, &w).random(&[w[0]]).check();
    }
}

#[test]
fn convolution_along_one_axis() {
    conv(&[1, 8, 50], &[12, 8, 3]).ints("pads", &[1, 1]).random(&[12]).check();
    conv(&[2, 8, 51], &[12, 8, 3]).ints("pads", &[1, 1]).ints("strides", &[2]).random(&[12]).check();
    conv(&[2, 8, 51], &[8, 1, 5]).ints("dilations", &[2]).int("group", 8).check();
    conv(&[2, 8, 20], &[3, 8, 1]).check();
}

#[test]
fn depthwise_convolution() {
    for size in [7, 14, 15, 28] {
        for stride in [1, 2] {
            let case = conv(&[1, 6, size, size], &[6, 1, 3, 3]).int("group", 6).ints("pads", &[1; 4]);
            let case = case.ints("strides", &[stride, stride]).random(&[6]);
            case.clone().check();
            case.int("group", 6)
                .string("activation", "Clip")
                .attribute("activation_params", consort::graph::Attribute::Floats(vec![0.0, 0.5]))
                .check();
        }
    }
    conv(&[2, 5, 11, 9], &[15, 1, 3, 3]).int("group", 5).check();
    conv(&[1, 5, 11, 9], &[5, 1, 5, 5]).int("group", 5).ints("pads", &[2; 4]).ints("strides", &[1, 3]).check();
    conv(&[1, 4, 19, 19], &[8, 1, 7, 7]).int("group", 4).ints("pads", &[3; 4]).check();
    conv(&[1, 4, 19, 19], &[8, 1, 3, 3]).int("group", 4).ints("dilations", &[3, 2]).check();
}

#[test]
fn softmax() {
    for op in ["Softmax", "LogSoftmax"] {
        for shape in [&[3, 5, 7][..], &[12, 50, 50], &[2, 1500], &[1, 1], &[70, 80, 3]] {
            for axis in -1..shape.len() as i64 {
                Case::new(op).int("axis", axis).random(shape).check();
                Case::new(op).int("axis", axis).opset(11).random(shape).check();
            }
            Case::new(op).random(shape).check();
            Case::new(op).opset(9).random(shape).check();
        }
    }
}
