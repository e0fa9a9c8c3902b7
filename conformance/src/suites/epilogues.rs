//! Element-wise operators after a product, a convolution or each other: what a dispatch takes into its epilogue.

use super::given::Refusal;
use crate::case::{
    Case,
    Read::{self, Given, Result},
    f32s,
};
use fastrand::Rng;

/// A kernel of every kind that has an epilogue: the shape of what it gives.
fn kernels() -> Vec<(Case, Vec<usize>)> {
    let conv = |x: &[usize], w: &[usize]| Case::new("Conv").random(x).random(w).frozen();
    let product = |a: &[usize], b: &[usize]| Case::new("MatMul").random(a).random(b).frozen();
    vec![
        // Tiles with whole and with ragged edges, one sum to a thread, one row.
        (product(&[2, 33, 24], &[24, 40]), vec![2, 33, 40]),
        (product(&[70, 37], &[37, 35]), vec![70, 35]),
        (product(&[1, 300], &[300, 64]), vec![1, 64]),
        (product(&[3, 9], &[9, 5]), vec![3, 5]),
        // Direct, pointwise, in groups, depthwise, along one axis, by Winograd's transforms.
        (conv(&[1, 12, 30, 57], &[40, 12, 3, 3]).ints("pads", &[1; 4]), vec![1, 40, 30, 57]),
        (conv(&[2, 5, 14, 14], &[9, 5, 3, 3]).ints("pads", &[1; 4]), vec![2, 9, 14, 14]),
        (conv(&[2, 16, 8, 8], &[24, 16, 1, 1]), vec![2, 24, 8, 8]),
        (conv(&[1, 16, 7, 7], &[9, 16, 1, 1]), vec![1, 9, 7, 7]),
        (conv(&[1, 6, 10, 10], &[9, 2, 3, 3]).int("group", 3).ints("pads", &[1; 4]), vec![1, 9, 10, 10]),
        (conv(&[2, 8, 12, 12], &[8, 1, 3, 3]).int("group", 8).ints("pads", &[1; 4]), vec![2, 8, 12, 12]),
        (conv(&[1, 6, 9, 7], &[6, 1, 5, 5]).int("group", 6).ints("strides", &[2, 1]), vec![1, 6, 3, 3]),
        (conv(&[2, 12, 70, 1], &[20, 12, 5, 1]).ints("pads", &[2, 0, 2, 0]), vec![2, 20, 70, 1]),
        (conv(&[2, 32, 30, 31], &[40, 32, 3, 3]).ints("pads", &[1; 4]), vec![2, 40, 30, 31]),
    ]
}

/// The shape of one number for each channel, or for each column of a matrix.
fn of_channels(shape: &[usize]) -> Vec<usize> {
    match shape {
        [_, channels, _, _] => vec![*channels, 1, 1],
        _ => vec![*shape.last().unwrap_or(&1)],
    }
}

/// Every kernel alone and with every chain after it.
pub fn cases(_: &mut Rng) -> Vec<Case> {
    let (y, number) = (Result(0), |value| f32s(&[], vec![value]));
    let mut cases = vec![];
    for (case, shape) in kernels() {
        let (two, channels) = (Given(2), of_channels(&shape));
        // A residual, before and after the activation.
        cases.push(case.clone().random(&shape).then("Add", &[y, two]));
        cases.push(case.clone().random(&shape).then("Sub", &[two, y]).then("Relu", &[Result(1)]));
        cases.push(case.clone().random(&shape).then("Relu", &[y]).then("Add", &[Result(1), two]));
        // A scale and a shift for each channel.
        let scaled = case.clone().random(&channels).frozen().random(&channels).frozen();
        cases.push(scaled.then("Mul", &[y, two]).then("Add", &[Result(1), Given(3)]));
        // One number for each row, and one for each image.
        let rows: Vec<usize> =
            shape.iter().enumerate().map(|(i, &d)| if i + 1 < shape.len() { d } else { 1 }).collect();
        cases.push(case.clone().random(&rows).then("Mul", &[y, two]));
        let images: Vec<usize> = shape.iter().enumerate().map(|(i, &d)| if i == 0 { d } else { 1 }).collect();
        cases.push(case.clone().random(&images).then("Add", &[two, y]));
        // x · sigmoid(x): read twice.
        cases.push(case.clone().then("Sigmoid", &[y]).then("Mul", &[y, Result(1)]));
        // x · min(max(x + 3, 0), 6) / 6, with numbers.
        let numbers = [3.0, 0.0, 6.0].into_iter().fold(case.clone(), |c, n| c.constant(number(n)));
        let bounded = numbers.then("Add", &[y, two]).then("Clip", &[Result(1), Given(3), Given(4)]);
        cases.push(bounded.then("Mul", &[y, Result(2)]).then("Div", &[Result(3), Given(4)]));
        // GELU, by its error function.
        let numbers = [1.25, 1.0, 0.5].into_iter().fold(case.clone(), |c, n| c.constant(number(n)));
        let erf = numbers.then("Div", &[y, two]).then("Erf", &[Result(1)]).then("Add", &[Result(2), Given(3)]);
        cases.push(erf.then("Mul", &[y, Result(3)]).then("Mul", &[Result(4), Given(4)]));
        // The result itself is read elsewhere, too, and an operand is the kernel's own input.
        cases.push(case.clone().then("Tanh", &[y]).then("Neg", &[y]).then("Add", &[Result(1), Result(2)]));
        // What the kernel gives is read by an operator that takes in nothing: it must be there.
        let apart = case.clone().then("Softmax", &[y]).then("Relu", &[y]);
        cases.push(apart.then("Add", &[Result(1), Result(2)]));
        // More operands than one dispatch takes.
        let many = (0..6).fold(case, |c, _| c.random(&shape));
        cases.push((0..6).fold(many, |c, i| c.then("Add", &[Result(i), Given(2 + i)])));
    }
    cases.extend(aliased());
    cases.extend(several());
    cases
}

/// Wide tiles one after the other in one program, each with another ending.
fn several() -> Vec<Case> {
    let (y, two) = (Result(0), Given(2));
    let conv = |x: &[usize], w: &[usize]| Case::new("Conv").random(x).random(w).frozen().random(w).frozen();
    // Nothing, an activation, a residual, a scale for each channel that is a weight: bound in other ways.
    let pointwise = |x: &[usize]| conv(x, &[32, 32, 1, 1]).random(x).random(&[32, 1, 1]).frozen();
    let of = |case: Case| {
        let case = case.then("Relu", &[y]).then("Conv", &[Result(1), two]).then("Add", &[Result(2), Given(3)]);
        let case = case.then("Conv", &[Result(3), two]).then("Conv", &[Result(4), two]).then("Sigmoid", &[Result(5)]);
        case.then("Conv", &[Result(6), two]).then("Mul", &[Result(7), Given(4)])
    };
    let product = Case::new("MatMul").random(&[3, 64, 64]).random(&[64, 64]).frozen().random(&[64, 64]).frozen();
    // The one with a function of its own, twice, and one that is itself a chain with numbers.
    let product = product.random(&[3, 64, 64]).constant(f32s(&[], vec![0.5])).then("Erf", &[y]);
    let product = product.then("MatMul", &[Result(1), two]).then("Mul", &[Result(2), Given(4)]);
    let product = product.then("Add", &[Result(3), Given(3)]).then("MatMul", &[Result(4), two]);
    let product = product.then("Erf", &[Result(5)]).then("Add", &[Result(6), Given(3)]);
    let direct = conv(&[1, 8, 44, 44], &[8, 8, 5, 5]).random(&[8, 1, 1]).frozen().then("Relu", &[y]);
    let direct = direct.then("Conv", &[Result(1), two]).then("Tanh", &[Result(2)]).then("Conv", &[Result(3), two]);
    vec![
        of(pointwise(&[1, 32, 28, 28])),
        of(pointwise(&[2, 32, 27, 29])),
        product,
        direct.then("Mul", &[Result(4), Given(3)]),
    ]
}

/// What reads the kernel's own input, or the same tensor twice.
fn aliased() -> Vec<Case> {
    let of = |reads: &[Read]| {
        let case = Case::new("Conv").random(&[1, 8, 12, 12]).random(&[8, 8, 3, 3]).frozen().ints("pads", &[1; 4]);
        case.random(&[1, 8, 12, 12]).then("Add", reads).then("Mul", &[Result(1), Given(2)])
    };
    vec![of(&[Result(0), Given(2)]), of(&[Result(0), Result(0)])]
}

/// Nothing is refused here: each operator's own suite does.
pub fn refusals() -> Vec<Refusal> {
    vec![]
}
