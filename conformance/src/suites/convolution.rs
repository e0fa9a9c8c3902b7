//! Convolutions: general, pointwise, depthwise, grouped, along one axis, transposed.

use super::given::Refusal;
use crate::case::Case;
use consort::graph::Attribute;
use fastrand::Rng;

/// A Conv of input and weight shapes.
fn conv(x: &[usize], w: &[usize]) -> Case {
    Case::new("Conv").random(x).random(w).frozen()
}

/// Every way of convolving, plain, with a bias, and with an activation folded in.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for (case, filters) in general().into_iter().chain(random(rng)) {
        cases.push(case.clone());
        cases.push(case.clone().random(&[filters]));
        cases.push(case.random(&[filters]).frozen().string("activation", "Relu"));
    }
    cases.extend(pointwise());
    cases.extend(one_axis());
    cases.extend(depthwise());
    cases.extend(transposed(rng));
    cases
}

fn general() -> Vec<(Case, usize)> {
    vec![
        (conv(&[1, 3, 23, 23], &[16, 3, 3, 3]).ints("strides", &[2, 2]), 16),
        (conv(&[1, 3, 32, 32], &[20, 3, 7, 7]).ints("strides", &[2, 2]).ints("pads", &[3; 4]), 20),
        (conv(&[2, 5, 14, 14], &[9, 5, 3, 3]).ints("pads", &[1; 4]).ints("kernel_shape", &[3, 3]), 9),
        (conv(&[2, 16, 7, 7], &[33, 16, 3, 3]).ints("pads", &[1; 4]), 33),
        (conv(&[1, 4, 9, 11], &[3, 4, 3, 5]).ints("pads", &[0, 1, 2, 3]), 3),
        (conv(&[1, 4, 13, 13], &[8, 4, 3, 3]).ints("dilations", &[2, 3]).ints("pads", &[2, 3, 2, 3]), 8),
        (conv(&[1, 6, 10, 10], &[9, 2, 3, 3]).int("group", 3).ints("pads", &[1; 4]), 9),
        (conv(&[1, 3, 64, 64], &[12, 3, 16, 16]).ints("strides", &[16, 16]), 12),
        (conv(&[1, 2, 20, 20], &[3, 2, 9, 9]).ints("pads", &[4; 4]).ints("strides", &[2, 1]), 3),
        (conv(&[1, 4, 8, 8], &[6, 4, 1, 1]).ints("strides", &[2, 2]), 6),
        (conv(&[1, 4, 8, 8], &[6, 4, 1, 1]).ints("pads", &[1, 0, 0, 2]), 6),
        (conv(&[1, 4, 5, 4], &[3, 4, 3, 3]).string("auto_pad", "SAME_UPPER").ints("strides", &[2, 2]), 3),
        (conv(&[1, 4, 5, 4], &[3, 4, 2, 4]).string("auto_pad", "SAME_LOWER"), 3),
        (conv(&[1, 4, 5, 6], &[3, 4, 3, 3]).string("auto_pad", "VALID"), 3),
        (conv(&[1, 1, 3, 3], &[1, 1, 3, 3]), 1),
        (conv(&[2, 12, 70, 1], &[20, 12, 5, 1]).ints("pads", &[2, 0, 1, 0]).ints("strides", &[2, 1]), 20),
        // Large enough for Winograd's transforms to pay.
        // Unfolded: with a stride, dilated, with edges all around, wide, of one axis, thin.
        (conv(&[2, 8, 24, 24], &[48, 8, 3, 3]).ints("strides", &[2, 2]).ints("pads", &[1; 4]), 48),
        (conv(&[1, 8, 21, 20], &[56, 8, 3, 3]).ints("dilations", &[2, 3]).ints("pads", &[3, 0, 0, 2]), 56),
        (conv(&[1, 4, 9, 16], &[50, 4, 5, 5]).ints("strides", &[1, 3]).ints("pads", &[4, 4, 3, 3]), 50),
        (conv(&[1, 4, 12, 38], &[48, 4, 2, 9]).ints("strides", &[2, 1]).ints("pads", &[0, 1, 0, 1]), 48),
        (conv(&[2, 12, 42], &[64, 12, 3]), 64),
        (conv(&[1, 16, 70, 1], &[52, 16, 5, 1]).ints("pads", &[2, 0, 0, 0]), 52),
        (conv(&[1, 32, 30, 31], &[40, 32, 3, 3]).ints("pads", &[1; 4]), 40),
        (conv(&[3, 48, 18, 9], &[33, 48, 3, 3]).ints("pads", &[0, 2, 1, 0]), 33),
        (conv(&[1, 64, 56, 56], &[64, 64, 3, 3]).ints("pads", &[1; 4]), 64),
        // Tiles of four by four: several images, edges on all sides, more filters than a unit has, one row of tiles, a wide one.
        (conv(&[2, 16, 21, 19], &[38, 16, 3, 3]).ints("pads", &[1, 2, 0, 1]), 38),
        (conv(&[1, 24, 4, 40], &[24, 24, 3, 3]).ints("pads", &[1; 4]), 24),
        (conv(&[1, 20, 9, 150], &[16, 20, 3, 3]).ints("pads", &[2; 4]), 16),
        // So many blocks of rows of tiles that a processor's threads take whole ones.
        (conv(&[2, 16, 70, 50], &[38, 16, 3, 3]).ints("pads", &[1, 0, 1, 2]), 38),
        // Wide and many enough for the largest tiles, with ragged edges.
        (conv(&[1, 12, 30, 57], &[40, 12, 3, 3]).ints("pads", &[1; 4]), 40),
        (conv(&[1, 8, 33, 42], &[24, 8, 3, 3]), 24),
        (conv(&[1, 16, 14, 13], &[65, 16, 3, 3]).ints("pads", &[1; 4]), 65),
    ]
}

fn random(rng: &mut Rng) -> Vec<(Case, usize)> {
    (0..10)
        .map(|_| {
            let group = [1, 1, 2, 3][rng.usize(0..4)];
            let (channels, filters) = (group * rng.usize(1..9), group * rng.usize(1..12));
            let mut side = || (rng.usize(1..5), rng.usize(1..3), rng.usize(1..3), rng.usize(0..3), rng.usize(0..3));
            let ((kh, sh, dh, top, bottom), (kw, sw, dw, left, right)) = (side(), side());
            let fits = |k: usize, d: usize, rng: &mut Rng| (k - 1) * d + 1 + rng.usize(0..14);
            let (h, w) = (fits(kh, dh, rng), fits(kw, dw, rng));
            let ints = |v: [usize; 2]| v.map(|x| x as i64);
            let case = conv(&[rng.usize(1..3), channels, h, w], &[filters, channels / group, kh, kw])
                .int("group", group as i64)
                .ints("strides", &ints([sh, sw]))
                .ints("dilations", &ints([dh, dw]))
                .ints("pads", &[top as i64, left as i64, bottom as i64, right as i64]);
            (case, filters)
        })
        .collect()
}

fn pointwise() -> Vec<Case> {
    let shapes = [
        ([1, 24, 56, 56], [16, 24, 1, 1]),
        ([2, 16, 7, 7], [40, 16, 1, 1]),
        ([3, 5, 4, 4], [7, 5, 1, 1]),
        ([1, 3, 27, 27], [9, 3, 1, 1]),
        ([2, 1, 1, 1], [3, 1, 1, 1]),
        ([1, 20, 30, 33], [50, 20, 1, 1]),
        // Few results of many channels: split where an adapter has many cores.
        ([1, 256, 5, 7], [6, 256, 1, 1]),
        ([2, 192, 3, 3], [9, 192, 1, 1]),
    ];
    shapes.iter().flat_map(|(x, w)| [conv(x, w), conv(x, w).random(&[w[0]])]).collect()
}

fn one_axis() -> Vec<Case> {
    vec![
        conv(&[1, 8, 50], &[12, 8, 3]).ints("pads", &[1, 1]).random(&[12]),
        conv(&[2, 8, 51], &[12, 8, 3]).ints("pads", &[1, 1]).ints("strides", &[2]).random(&[12]),
        conv(&[2, 8, 51], &[8, 1, 5]).ints("dilations", &[2]).int("group", 8),
        conv(&[2, 8, 20], &[3, 8, 1]),
    ]
}

fn depthwise() -> Vec<Case> {
    let mut cases = vec![];
    for (size, stride) in [(7, 1), (7, 2), (14, 1), (15, 2), (28, 1), (28, 2)] {
        let case = conv(&[1, 6, size, size], &[6, 1, 3, 3]).int("group", 6).ints("pads", &[1; 4]);
        let case = case.ints("strides", &[stride, stride]).random(&[6]);
        cases.push(case.clone());
        let bounds = Attribute::Floats(vec![0.0, 0.5]);
        cases.push(case.string("activation", "Clip").attribute("activation_params", bounds));
    }
    // Tall planes, which go in bands and parts; some rows see padding only.
    for (stride, c, pads) in [(1, 16, [1, 1, 1, 1]), (2, 16, [1, 1, 1, 1]), (2, 2, [0, 0, 1, 1]), (1, 2, [2, 0, 3, 3])]
    {
        let case = conv(&[1, c, 131, 70], &[c, 1, 3, 3]).int("group", c as i64).ints("pads", &pads);
        cases.push(case.ints("strides", &[stride; 2]).random(&[c]));
    }
    // Groups of one filter over several channels, and a row by itself.
    cases.push(conv(&[2, 3, 70, 21], &[1, 3, 5, 5]).ints("pads", &[2; 4]).random(&[1]));
    cases.push(conv(&[1, 8, 40, 18], &[2, 4, 7, 3]).int("group", 2).ints("pads", &[3, 1, 3, 1]));
    cases.push(conv(&[1, 1, 500], &[1, 1, 65]).ints("strides", &[2]));
    cases.push(conv(&[2, 5, 11, 9], &[15, 1, 3, 3]).int("group", 5));
    cases.push(conv(&[1, 5, 31, 1], &[5, 1, 3, 1]).int("group", 5).ints("pads", &[1, 0, 1, 0]));
    cases.push(conv(&[1, 5, 11, 9], &[5, 1, 5, 5]).int("group", 5).ints("pads", &[2; 4]).ints("strides", &[1, 3]));
    cases.push(conv(&[1, 4, 19, 19], &[8, 1, 7, 7]).int("group", 4).ints("pads", &[3; 4]));
    cases.push(conv(&[1, 4, 19, 19], &[8, 1, 3, 3]).int("group", 4).ints("dilations", &[3, 2]));
    cases
}

fn transposed(rng: &mut Rng) -> Vec<Case> {
    let case = |x: &[usize], w: &[usize]| Case::new("ConvTranspose").random(x).random(w).frozen();
    let mut cases = vec![
        case(&[1, 24, 12, 16], &[24, 24, 2, 2]).ints("strides", &[2, 2]).random(&[24]).frozen(),
        case(&[2, 4, 9], &[4, 3, 5]).ints("strides", &[3]).ints("pads", &[1, 2]).ints("output_padding", &[1]),
        case(&[1, 3, 5, 5], &[3, 4, 3, 3]).ints("pads", &[1; 4]).ints("kernel_shape", &[3, 3]),
    ];
    for _ in 0..8 {
        let group = [1, 1, 2, 3][rng.usize(0..4)];
        let (channels, filters) = (rng.usize(1..6), rng.usize(1..6));
        let (kh, kw) = (rng.usize(1..5), rng.usize(1..5));
        let mut two = |most: i64| [rng.i64(1..most), rng.i64(1..most)];
        let (strides, dilations) = (two(4), two(3));
        let x = [rng.usize(1..3), channels * group, rng.usize(2..9), rng.usize(2..9)];
        let case = case(&x, &[channels * group, filters, kh, kw]).int("group", group as i64);
        let case = case.ints("strides", &strides).ints("dilations", &dilations);
        let case = case.ints("pads", &[rng.i64(0..2), 0, 0, rng.i64(0..2)]);
        cases.push(case.random(&[filters * group]));
    }
    cases
}

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    let transposed = Case::new("ConvTranspose").random(&[1, 3, 4, 4]).random(&[4, 2, 2, 2]);
    vec![
        (Case::new("ConvTranspose").random(&[1, 4, 0]).random(&[4, 2, 2]), &["[1, 4, 0]", "empty"]),
        (transposed, &["[1, 3, 4, 4]", "[4, 2, 2, 2]"]),
        (conv(&[1, 4, 8, 8], &[6, 3, 3, 3]), &["[1, 4, 8, 8]", "[6, 3, 3, 3]"]),
        (conv(&[1, 4, 2, 2], &[6, 4, 3, 3]), &["3", "2"]),
    ]
}
