//! What looks at windows or places of planes: pooling, resizing.

use super::given::Refusal;
use crate::case::{Case, f32s};
use fastrand::Rng;

/// Both kinds, with pads, dilations, ceil_mode, and random windows.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let pool = |op, x: &[usize], kernel: &[i64]| Case::new(op).ints("kernel_shape", kernel).random(x);
    let mut cases = vec![
        pool("MaxPool", &[1, 64, 55, 55], &[3, 3]).ints("strides", &[2, 2]).int("ceil_mode", 1),
        pool("MaxPool", &[1, 8, 112, 112], &[3, 3]).ints("strides", &[2, 2]).ints("pads", &[1; 4]),
        pool("MaxPool", &[2, 3, 17, 13], &[2, 3]).ints("dilations", &[2, 2]),
        pool("MaxPool", &[2, 3, 40], &[4]).ints("strides", &[3]),
        pool("AveragePool", &[1, 5, 10, 10], &[3, 3]).ints("pads", &[1; 4]).int("count_include_pad", 1),
        pool("AveragePool", &[1, 5, 9, 9], &[2, 2]).ints("strides", &[2, 2]).string("auto_pad", "SAME_UPPER"),
    ];
    cases.extend(resizes(rng));
    for _ in 0..12 {
        let op = ["MaxPool", "AveragePool"][rng.usize(0..2)];
        let mut case = Case::new(op);
        let (mut kernel, mut strides, mut begin, mut end) = (vec![], vec![], vec![], vec![]);
        let mut shape = vec![rng.usize(1..3), rng.usize(1..6)];
        for _ in 0..2 {
            let k = rng.i64(1..5);
            shape.push(k as usize + rng.usize(0..15));
            kernel.push(k);
            strides.push(rng.i64(1..4));
            begin.push(rng.i64(0..k));
            end.push(rng.i64(0..k));
        }
        case = case.ints("kernel_shape", &kernel).ints("strides", &strides).ints("pads", &[begin, end].concat());
        cases.push(case.int("ceil_mode", i64::from(rng.bool())).random(&shape));
    }
    cases
}

fn resizes(rng: &mut Rng) -> Vec<Case> {
    let resize = |mode: &str, coordinates: &str| {
        Case::new("Resize").string("mode", mode).string("coordinate_transformation_mode", coordinates)
    };
    let mut cases = vec![];
    for coordinates in ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"] {
        let (h, w) = (rng.usize(1..20), rng.usize(2..20));
        let scales = |y: f32, x: f32| f32s(&[4], vec![1.0, 1.0, y, x]);
        for nearest in ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"] {
            let case = resize("nearest", coordinates).string("nearest_mode", nearest).random(&[2, 3, h, w]);
            cases.push(case.clone().left_out().constant(scales(2.0, 3.0)));
            let sizes = [2, 3, rng.i64(1..40), rng.i64(1..40)];
            cases.push(case.left_out().left_out().constant_i64(&sizes));
        }
        let case = resize("linear", coordinates).random(&[2, 3, h, w]);
        cases.push(case.clone().left_out().constant(scales(2.0, 1.5)));
        cases.push(case.left_out().left_out().constant_i64(&[2, 3, rng.i64(1..40), rng.i64(1..40)]));
    }
    cases
}

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    let cubic = Case::new("Resize").string("mode", "cubic").random(&[1, 1, 4, 4]).left_out();
    let empty = Case::new("Resize").random(&[1, 1, 0, 4]).left_out().left_out();
    vec![
        (empty.constant_i64(&[1, 1, 2, 4]), &["empty axis", "2"]),
        (cubic.constant(f32s(&[4], vec![1.0, 1.0, 2.0, 2.0])), &["cubic"]),
        (Case::new("MaxPool").ints("kernel_shape", &[5, 5]).random(&[1, 1, 3, 3]), &["5", "3"]),
    ]
}
