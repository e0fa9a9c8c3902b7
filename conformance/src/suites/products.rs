//! Matrix products: MatMul with every broadcast, Gemm with its transpositions and additions.

use super::given::dims;
use crate::case::Case;
use crate::case::Read::{Given, Result};
use fastrand::Rng;

/// Both operators, on shapes of the workload and on ragged ones.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = matmul(rng);
    cases.extend(gemm(rng));
    cases.extend(moved());
    cases
}

/// Heads moved to the front, multiplied, and moved back, as attention does: in place where strides allow.
fn moved() -> Vec<Case> {
    const HEADS: [i64; 4] = [0, 2, 1, 3];
    let heads = |x: &[usize]| Case::new("Transpose").ints("perm", &HEADS).random(x);
    let (x, one, two) = (Result(0), Given(1), Given(2));
    let mut cases = vec![];
    // Batches, tokens, heads, depth, columns: in fours, ragged, one head, one token, one column.
    for [b, s, h, d, n] in
        [[2, 9, 3, 8, 12], [1, 70, 4, 32, 64], [2, 33, 4, 7, 5], [1, 20, 1, 8, 8], [3, 1, 2, 4, 4], [1, 40, 5, 6, 1]]
    {
        let back = |case: Case| case.then("Transpose", &[Result(1)]).with_ints("perm", &HEADS);
        let left = heads(&[b, s, h, d]).random(&[b, h, d, n]).then("MatMul", &[x, one]);
        cases.push(back(left.clone()));
        let right = heads(&[b, d, h, n]).random(&[b, h, s, d]).then("MatMul", &[one, x]);
        cases.push(back(right));
        // Numbers in the epilogue before the move, and an operand after it, which is read in the new order.
        let scaled = left.clone().then("Tanh", &[Result(1)]).then("Transpose", &[Result(2)]).with_ints("perm", &HEADS);
        cases.push(scaled);
        let after = back(left.clone().random(&[b, s, h, n])).then("Add", &[Result(2), two]);
        cases.push(after);
        // Not in place: an operand before the move, columns that do not lie together, a second reader.
        let before = left.clone().random(&[b, h, s, n]).then("Add", &[Result(1), two]);
        cases.push(before.then("Transpose", &[Result(2)]).with_ints("perm", &HEADS));
        let keys = Case::new("Transpose").ints("perm", &[0, 2, 3, 1]).random(&[b, n, h, d]).random(&[b, h, s, d]);
        cases.push(back(keys.then("MatMul", &[one, x])));
        let twice = heads(&[b, s, h, d]).random(&[b, h, d, d]).then("MatMul", &[x, one]).then("Add", &[Result(1), x]);
        cases.push(twice.then("Transpose", &[Result(2)]).with_ints("perm", &HEADS));
        let all = left.then("Transpose", &[Result(1)]).with_ints("perm", &[3, 0, 2, 1]);
        cases.push(all);
    }
    cases
}

fn matmul(rng: &mut Rng) -> Vec<Case> {
    let mut shapes: Vec<(Vec<usize>, Vec<usize>)> = [
        (&[128, 384][..], &[384, 384][..]),
        (&[1, 12, 33, 32], &[1, 12, 32, 33]),
        (&[2, 1, 5, 8], &[3, 8, 9]),
        (&[4, 3, 1, 5, 8], &[4, 1, 2, 8, 3]),
        (&[17, 12], &[3, 12, 5]),
        (&[1, 384], &[384, 1152]),
        (&[5, 1], &[1, 6]),
        (&[1, 1], &[1, 1]),
        (&[8], &[8]),
        (&[8], &[3, 8, 5]),
        (&[3, 5, 8], &[8]),
        (&[2, 0], &[0, 3]),
        (&[197, 64], &[64, 197]),
        (&[100, 64], &[64, 300]),
        (&[2, 70, 36], &[36, 257]),
    ]
    .map(|(a, b)| (a.to_vec(), b.to_vec()))
    .to_vec();
    for _ in 0..12 {
        let (m, k, n) = (rng.usize(1..70), rng.usize(1..90), rng.usize(1..70));
        let batch = dims(rng, 0..3, 1..4);
        let other: Vec<usize> = batch.iter().map(|&d| if rng.bool() { d } else { 1 }).collect();
        shapes.push(([batch, vec![m, k]].concat(), [other, vec![k, n]].concat()));
    }
    let mut cases = vec![];
    for (a, b) in &shapes {
        cases.push(Case::new("MatMul").random(a).random(b));
        cases.push(Case::new("MatMul").random(a).random(b).frozen());
    }
    // Weights of several blocks that lie far from a processor, the last panel of them narrow.
    for rows in [3, 13, 32] {
        cases.push(Case::new("MatMul").random(&[rows, 300]).random(&[300, 514]).frozen());
    }
    cases.push(Case::new("MatMul").random(&[2, 9, 8]).random(&[8, 10]).random(&[10]).string("activation", "Relu"));
    cases
}

fn gemm(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for (ta, tb) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let shape = |t: i64, a: usize, b: usize| if t == 0 { [a, b] } else { [b, a] };
        for (m, k, n) in
            [(1, 1280, 100), (8, 16, 70), (1, 3, 2), (rng.usize(1..40), rng.usize(1..40), rng.usize(1..40))]
        {
            let case =
                Case::new("Gemm").int("transA", ta).int("transB", tb).random(&shape(ta, m, k)).random(&shape(tb, k, n));
            cases.push(case.clone());
            cases.push(case.clone().random(&[n]));
            let case = case.float("alpha", 0.5).float("beta", -2.0);
            cases.extend([&[m, n][..], &[1, n], &[m, 1], &[1], &[]].map(|c| case.clone().random(c)));
        }
        // Large enough for threads that share operands.
        let case = Case::new("Gemm").int("transA", ta).int("transB", tb);
        cases.push(case.clone().random(&shape(ta, 70, 33)).random(&shape(tb, 33, 130)).random(&[130]));
        // With weights, which are moved where that makes them vec4.
        cases.push(case.clone().random(&shape(ta, 21, 36)).random(&shape(tb, 36, 68)).frozen().random(&[68]));
        cases.push(case.random(&shape(ta, 40, 64)).random(&shape(tb, 64, 96)).frozen());
    }
    cases
}

/// What must be refused, with words that its message has.
pub fn refusals() -> Vec<(Case, &'static [&'static str])> {
    vec![
        (Case::new("MatMul").random(&[2, 3]).random(&[4, 5]), &["[2, 3]", "[4, 5]"]),
        (Case::new("MatMul").random(&[2, 3, 4]).random(&[3, 4, 5]), &["[2, 3, 4]", "[3, 4, 5]"]),
        (Case::new("Gemm").random(&[2, 3]).random(&[2, 3]), &["[2, 3]"]),
    ]
}
