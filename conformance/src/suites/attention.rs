//! Attention as models write it, of products and a softmax: streamed where the lane does, by its nodes otherwise.

use crate::case::Case;
use crate::case::Read::{Given, Result};
use fastrand::Rng;

/// Batch, heads, queries, keys, depth, width.
type Sizes = [usize; 6];

/// Shapes of the workload and ragged ones, with factors, masks and moves before and after.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    let mut sizes: Vec<Sizes> = vec![
        [1, 12, 128, 128, 32, 32],
        [1, 12, 99, 99, 64, 64],
        [2, 6, 70, 150, 64, 64],
        [1, 4, 300, 33, 8, 80],
        [1, 8, 130, 7, 5, 3],
        [3, 2, 90, 1, 4, 4],
        [4, 4, 64, 66, 12, 7],
        [4, 4, 64, 68, 7, 12],
        [1, 3, 70, 10, 16, 140],
        [1, 2, 260, 5, 1, 1],
    ];
    for _ in 0..3 {
        let four = if rng.bool() { 4 } else { 1 };
        let [d, w] = [0; 2].map(|_| four * rng.usize(1..12));
        sizes.push([rng.usize(1..4), rng.usize(3..6), rng.usize(100..200), rng.usize(1..100), d, w]);
    }
    for (i, &size) in sizes.iter().enumerate() {
        cases.push(if i % 3 == 0 { plain(size) } else { scaled(size, ["Mul", "Div"][i % 2]) });
        let [b, h, q, k, ..] = size;
        let masks: [&[usize]; 6] = [&[b, 1, 1, k], &[1, 1, q, k], &[b, h, q, k], &[k], &[q, 1], &[h, 1, k]];
        // Each compiles wide kernels: one of the two.
        cases.push(if i % 5 < 3 { masked(size, masks[i % 6], i % 4) } else { moved(size) });
    }
    cases
}

fn product([b, h, q, k, d, _]: Sizes) -> Case {
    Case::new("MatMul").random(&[b, h, q, d]).random(&[b, h, d, k])
}

fn values([b, h, _, k, _, w]: Sizes) -> [usize; 4] {
    [b, h, k, w]
}

fn plain(size: Sizes) -> Case {
    let case = product(size).random(&values(size));
    case.then("Softmax", &[Result(0)]).then("MatMul", &[Result(1), Given(2)])
}

fn scaled(size: Sizes, op: &'static str) -> Case {
    let case = product(size).constant(crate::case::f32s(&[], vec![3.7])).random(&values(size));
    case.then(op, &[Result(0), Given(2)]).then("Softmax", &[Result(1)]).then("MatMul", &[Result(2), Given(3)])
}

/// With a factor and what is added: random, far below zero for most keys, infinitely so, and a constant.
fn masked(size: Sizes, mask: &[usize], kind: usize) -> Case {
    let count: usize = mask.iter().product();
    let low = [-1e4, f32::NEG_INFINITY][kind % 2];
    // The last key is open to every query.
    let hidden = |i: usize| if i.is_multiple_of(3) || (i + 1).is_multiple_of(mask[mask.len() - 1]) { 0.5 } else { low };
    let data = crate::case::f32s(mask, (0..count).map(hidden).collect());
    let case = product(size).constant(crate::case::f32s(&[1], vec![0.3])).random(&values(size));
    let case = match kind {
        0 => case.random(mask),
        1 => case.constant(data),
        _ => case.input(data),
    };
    let adds = if kind.is_multiple_of(2) { [Result(1), Given(4)] } else { [Given(4), Result(1)] };
    let case = case.then("Mul", &[Given(2), Result(0)]).then("Add", &adds);
    case.then("Softmax", &[Result(2)]).then("MatMul", &[Result(3), Given(3)])
}

/// Heads of one row beside each other, as projections give them, and moved back in the end.
fn moved([b, h, q, k, d, w]: Sizes) -> Case {
    let case = Case::new("Transpose").ints("perm", &[0, 2, 1, 3]).random(&[b, q, h, d]);
    let case = case.random(&[b, k, h, d]).random(&[b, k, h, w]);
    let case = case.then("Transpose", &[Given(1)]).with_ints("perm", &[0, 2, 3, 1]);
    let case = case.then("Transpose", &[Given(2)]).with_ints("perm", &[0, 2, 1, 3]);
    let case = case.then("MatMul", &[Result(0), Result(1)]).then("Softmax", &[Result(3)]);
    case.then("MatMul", &[Result(4), Result(2)]).then("Transpose", &[Result(5)]).with_ints("perm", &[0, 2, 1, 3])
}
