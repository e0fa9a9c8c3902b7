//! Moves without arithmetic: Transpose, Slice, Split, Expand, Concat, Gather, and the views that move nothing.

use super::given::{Refusal, dims, narrowed};
use crate::case::{Case, f32s, i64s};
use fastrand::Rng;

/// All of them, on random shapes.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for _ in 0..8 {
        let shape = dims(rng, 1..6, 1..9);
        let rank = shape.len();
        let mut perm: Vec<i64> = (0..rank as i64).collect();
        rng.shuffle(&mut perm);
        cases.push(Case::new("Transpose").ints("perm", &perm).random(&shape));
        cases.push(slice(rng, &shape));
        cases.push(gather(rng, &shape));
        cases.push(concat(rng, &shape));
        let narrow = narrowed(rng, &shape);
        let target: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        cases.push(Case::new("Expand").random(&narrow).constant_i64(&target));
        cases.push(split(rng, &shape));
        cases.push(trilu(rng));
        cases.push(pad(rng, &shape));
        cases.extend(indexed(rng));
    }
    let pads: &[i64] = &[0, 0, 1, 2, 0, 0, 3, 1];
    cases.push(Case::new("Pad").random(&[2, 3, 17, 40]).constant_i64(pads));
    cases
        .push(Case::new("Pad").string("mode", "reflect").random(&[2, 3, 5, 6]).constant_i64(&[0, 0, 2, 5, 0, 1, 4, 0]));
    cases.push(Case::new("Pad").string("mode", "edge").random(&[4, 1]).constant_i64(&[1, 7, 2, 3]));
    cases.push(Case::new("Pad").string("mode", "wrap").random(&[4, 3]).constant_i64(&[1, 3, 4, 2]));
    cases.push(
        Case::new("Pad")
            .random(&[5, 6, 7])
            .constant_i64(&[-1, 2, 1, -2])
            .constant(f32s(&[], vec![-1.5]))
            .constant_i64(&[0, -1]),
    );
    cases.push(
        Case::new("Pad").input(i64s(&[2, 2], &[1, -2, 3, 4])).constant_i64(&[0, 1, 1, 0]).constant(i64s(&[], &[-7])),
    );
    cases.push(Case::new("Trilu").random(&[2, 5, 5]));
    cases.push(Case::new("Trilu").input(i64s(&[4, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])).constant_i64(&[1]));
    cases.push(Case::new("Trilu").int("upper", 0).random(&[3, 4]).constant(i64s(&[], &[-1_000_000])));
    cases.push(Case::new("Transpose").random(&[3, 4, 5]));
    cases.push(Case::new("Transpose").ints("perm", &[0, 2, 1, 3]).random(&[1, 197, 3, 64]));
    cases.push(
        Case::new("Gather")
            .random(&[1000, 32])
            .input(i64s(&[2, 7], &[5, 999, 0, -1, 3, 3, 17, 1, 2, 3, 4, 5, 6, -1000])),
    );
    cases.push(Case::new("Reshape").random(&[2, 3, 4]).constant_i64(&[0, -1]));
    cases.push(Case::new("Flatten").int("axis", 2).random(&[2, 3, 4, 5]));
    cases.push(Case::new("Unsqueeze").random(&[3, 4]).constant_i64(&[0, -1]));
    cases.push(Case::new("Squeeze").random(&[1, 3, 1]).constant_i64(&[0]));
    cases
}

fn slice(rng: &mut Rng, shape: &[usize]) -> Case {
    let axis = rng.usize(0..shape.len());
    let size = shape[axis] as i64;
    let (mut start, mut end) = (rng.i64(0..size), rng.i64(1..=size));
    let backwards = rng.u8(0..3) == 0;
    let mut step = rng.i64(1..4);
    if backwards {
        (start, end, step) = (size - 1, if rng.bool() { 0 } else { -size - 1 }, -step);
        if size == 1 {
            end = -2;
        }
    } else if end <= start {
        end = size + rng.i64(0..5);
    }
    let negative = axis as i64 - if rng.bool() { shape.len() as i64 } else { 0 };
    let case = Case::new("Slice").random(shape).constant_i64(&[start]).constant_i64(&[end]);
    case.constant_i64(&[negative]).constant_i64(&[step])
}

/// Parts along an axis: of sizes that are given, one of them perhaps of nothing, or as equal as can be.
fn split(rng: &mut Rng, shape: &[usize]) -> Case {
    let axis = rng.usize(0..shape.len());
    let case = Case::new("Split").int("axis", axis as i64).opset(18).random(shape);
    if rng.bool() {
        let count = rng.usize(1..=shape[axis]);
        return case.int("num_outputs", count as i64).outputs(count);
    }
    let first = rng.i64(0..=shape[axis] as i64);
    let second = rng.i64(0..=shape[axis] as i64 - first);
    case.constant_i64(&[first, second, shape[axis] as i64 - first - second]).outputs(3)
}

/// A triangle whose diagonal is known, or computed while running, or left out; inside the matrix and beyond.
fn trilu(rng: &mut Rng) -> Case {
    let shape = dims(rng, 2..5, 1..9);
    let case = Case::new("Trilu").int("upper", i64::from(rng.bool())).random(&shape);
    let k = i64s(&[], &[rng.i64(-10..11)]);
    match rng.u8(0..3) {
        0 => case,
        1 => case.constant(k),
        _ => case.input(k),
    }
}

/// Pads before and after each axis, some of them negative, by a value or what the tensor has.
fn pad(rng: &mut Rng, shape: &[usize]) -> Case {
    let mode = ["constant", "edge", "reflect", "wrap"][rng.usize(0..4)];
    let mut side = || -> Vec<i64> {
        let most = |&d: &usize| if mode == "reflect" { d as i64 - 1 } else { d as i64 };
        shape.iter().map(|d| rng.i64(-(most(d) / 3)..=most(d))).collect()
    };
    let pads: Vec<i64> = [side(), side()].concat();
    Case::new("Pad").string("mode", mode).random(shape).constant_i64(&pads)
}

fn gather(rng: &mut Rng, shape: &[usize]) -> Case {
    let axis = rng.usize(0..shape.len());
    let size = shape[axis] as i64;
    let at = dims(rng, 0..3, 1..6);
    let indices: Vec<i64> = (0..at.iter().product()).map(|_| rng.i64(-size..size)).collect();
    Case::new("Gather").int("axis", axis as i64).random(shape).input(i64s(&at, &indices))
}

fn concat(rng: &mut Rng, shape: &[usize]) -> Case {
    let axis = rng.usize(0..shape.len());
    let mut case = Case::new("Concat").int("axis", axis as i64 - if rng.bool() { shape.len() as i64 } else { 0 });
    for _ in 0..rng.usize(1..5) {
        let mut part = shape.to_vec();
        part[axis] = rng.usize(1..7);
        case = case.random(&part);
    }
    case
}

/// By places: what is taken from some and put at others, each once, and sums along an axis.
fn indexed(rng: &mut Rng) -> Vec<Case> {
    let shape = dims(rng, 1..5, 1..7);
    let along = rng.usize(0..shape.len());
    let signed = |rng: &mut Rng, i: usize, size: usize| i as i64 - if rng.bool() { size as i64 } else { 0 };
    // One order along the axis for all lines, of which some elements are left out.
    let mut order: Vec<usize> = (0..shape[along]).collect();
    rng.shuffle(&mut order);
    let mut few: Vec<usize> = shape.iter().map(|&size| rng.usize(1..=size)).collect();
    if rng.bool() {
        few.clone_from(&shape);
    }
    let inner: usize = few[along + 1..].iter().product();
    let count = few.iter().product::<usize>();
    let elements: Vec<i64> = (0..count).map(|i| signed(rng, order[i / inner % few[along]], shape[along])).collect();
    let axis = signed(rng, along, shape.len());
    // Places in the first axes, each once.
    let depth = rng.usize(1..=shape.len());
    let mut places: Vec<usize> = (0..shape[..depth].iter().product()).collect();
    rng.shuffle(&mut places);
    places.truncate(rng.usize(1..=places.len()));
    let tuple = |rng: &mut Rng, place: usize| -> Vec<i64> {
        let at = |i: usize| place / shape[i + 1..depth].iter().product::<usize>() % shape[i];
        (0..depth).map(|i| signed(rng, at(i), shape[i])).collect()
    };
    let tuples: Vec<i64> = places.iter().flat_map(|&place| tuple(rng, place)).collect();
    let slices = i64s(&[places.len(), depth], &tuples);
    let updates = [&[places.len()], &shape[depth..]].concat();
    let sum = Case::new("CumSum").int("exclusive", i64::from(rng.bool())).int("reverse", i64::from(rng.bool()));
    vec![
        Case::new("GatherElements").int("axis", axis).random(&shape).input(i64s(&few, &elements)),
        Case::new("ScatterElements").int("axis", axis).random(&shape).input(i64s(&few, &elements)).random(&few),
        Case::new("GatherND").random(&shape).input(slices.clone()),
        Case::new("ScatterND").random(&shape).input(slices).random(&updates),
        sum.random(&shape).constant(i64s(&[], &[axis])),
    ]
}

/// What must be refused.
pub fn refusals() -> Vec<Refusal> {
    vec![
        (Case::new("Trilu").random(&[3]), &["[3]", "matrices"]),
        (Case::new("Trilu").random(&[3, 3]).constant_i64(&[0, 1]), &["diagonal", "[2]"]),
        (Case::new("Pad").random(&[3, 3]).constant_i64(&[0, 1, 1]), &["3 pads", "2 axes"]),
        (
            Case::new("Pad").string("mode", "reflect").random(&[3, 3]).constant_i64(&[0, 3, 0, 0]),
            &["[3, 3]", "Reflect"],
        ),
        (Case::new("Transpose").ints("perm", &[0, 0]).random(&[2, 3]), &["[0, 0]"]),
        (Case::new("Concat").int("axis", 0).random(&[2, 3]).random(&[2, 4]), &["[2, 3]", "[2, 4]"]),
        (Case::new("Reshape").random(&[2, 3]).constant_i64(&[4, -1]), &["[2, 3]"]),
        (Case::new("Expand").random(&[2, 3]).constant_i64(&[4, 3]), &["[2, 3]"]),
    ]
}
