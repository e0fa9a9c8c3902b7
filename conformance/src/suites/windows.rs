//! Pooling over windows.

use super::Refusal;
use crate::case::Case;
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

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    vec![(Case::new("MaxPool").ints("kernel_shape", &[5, 5]).random(&[1, 1, 3, 3]), &["5", "3"])]
}
