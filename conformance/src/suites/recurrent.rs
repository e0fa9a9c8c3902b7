//! Sequences step by step: every cell in both directions and layouts, with and without what may be left out.

use crate::case::Case;
use consort::graph::{Attribute, Data, HostTensor};
use fastrand::Rng;

/// Sizes of a node: steps, batch, elements of an input, units.
type Sizes = [usize; 4];

/// Its cell with the count of its gates, its direction with the count of those, and whether the batch comes first.
type Form = ((&'static str, usize), (&'static str, usize), bool);

const CELLS: [(&str, usize); 3] = [("LSTM", 4), ("GRU", 3), ("RNN", 1)];
const DIRECTIONS: [(&str, usize); 3] = [("forward", 1), ("reverse", 1), ("bidirectional", 2)];

/// What a node names of what may be left out.
#[derive(Clone, Copy, Debug)]
struct Given {
    bias: bool,
    lengths: bool,
    states: bool,
    peephole: bool,
}

/// Shapes about the width of a panel and beyond it, each in every form.
pub fn cases(rng: &mut Rng) -> Vec<Case> {
    let mut cases = vec![];
    for size in [[1, 1, 64, 64], [5, 2, 7, 33], [3, 3, 40, 5], [4, 1, 1, 96]] {
        for cell in CELLS {
            for direction in DIRECTIONS {
                let form = (cell, direction, rng.bool());
                let [bias, lengths, states, peephole] = [(); 4].map(|()| rng.bool());
                cases.push(case(size, form, Given { bias, lengths, states, peephole }, rng));
            }
        }
    }
    let all = Given { bias: true, lengths: true, states: true, peephole: true };
    for cell in CELLS {
        let form = (cell, DIRECTIONS[2], false);
        cases.push(case([6, 4, 9, 20], form, all, rng));
        cases.push(case([6, 4, 9, 20], form, all, rng).float("clip", 0.3));
        let names = ["Relu", "Sigmoid", "Tanh"].map(str::to_owned);
        let each = if cell.0 == "LSTM" { 3 } else { cell.1.min(2) };
        let names = Attribute::Strings([&names[..each], &names[..each]].concat());
        cases.push(case([6, 4, 9, 20], form, all, rng).attribute("activations", names));
    }
    let gru = (CELLS[1], DIRECTIONS[0], false);
    cases.push(case([6, 2, 9, 20], gru, all, rng).int("linear_before_reset", 1));
    cases.push(case([6, 2, 9, 40], gru, Given { bias: false, ..all }, rng).int("linear_before_reset", 1));
    cases
}

fn case([steps, batch, input, hidden]: Sizes, form: Form, given: Given, rng: &mut Rng) -> Case {
    let ((cell, gates), (direction, directions), batch_first) = form;
    let weight = |rng: &mut Rng, shape: &[usize]| {
        let floats = (0..shape.iter().product()).map(|_| (rng.f32() - 0.5) * 0.6).collect();
        crate::case::f32s(shape, floats)
    };
    let [x, state] = match batch_first {
        true => [[batch, steps, input], [batch, directions, hidden]],
        false => [[steps, batch, input], [directions, batch, hidden]],
    };
    let case = Case::new(cell).int("hidden_size", hidden as i64).string("direction", direction);
    let case = case.int("layout", batch_first.into()).opset(17).random(&x);
    let case = case.constant(weight(rng, &[directions, gates * hidden, input]));
    let mut case = case.constant(weight(rng, &[directions, gates * hidden, hidden]));
    let or_none = |case: Case, tensor: Option<HostTensor>| match tensor {
        Some(tensor) => case.input(tensor),
        None => case.left_out(),
    };
    case = match given.bias {
        true => case.constant(weight(rng, &[directions, 2 * gates * hidden])),
        false => case.left_out(),
    };
    // One ends before it begins.
    let lengths = (0..batch).map(|n| if n == 2 { 0 } else { rng.i32(1..=steps as i32) }).collect();
    let lengths = given.lengths.then(|| HostTensor::new([batch], Data::Int32(lengths)).ok()).flatten();
    case = or_none(case, lengths);
    case = or_none(case, given.states.then(|| weight(rng, &state)));
    if cell != "LSTM" {
        return case.outputs(2);
    }
    case = or_none(case, given.states.then(|| weight(rng, &state)));
    case = or_none(case, given.peephole.then(|| weight(rng, &[directions, 3 * hidden])));
    case.outputs(3)
}
