//! LSTM, GRU and RNN: a sequence step by step. Knows gates and states; must never know another family. They run on a processor; no GPU
//! has a kernel for them.

mod cells;
pub mod cpu;
mod sizes;

use self::cells::{Activation, All, Cell, Weights};
use self::sizes::Sizes;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, HostTensor, Operand, Operator, TensorType, even};
use crate::kernels::base::operand::{optional_values, real, result, values};
use crate::kernels::base::{Entry, Kernel, Lowering};

/// The operators of this family.
pub const OPERATORS: &[&[&Entry]] =
    &[&[&Recurrent { cell: Cell::Lstm }, &Recurrent { cell: Cell::Gru }, &Recurrent { cell: Cell::Rnn }]];

/// One of them, by its cell.
#[derive(Debug)]
pub struct Recurrent {
    cell: Cell,
}

/// The attributes that decide how a step computes.
#[derive(Debug)]
struct Steps {
    /// For each direction one for each of the cell's activations.
    activations: Vec<Vec<Activation>>,
    clip: Option<f64>,
    /// GRU: whether the state is multiplied before it is reset.
    linear_before_reset: bool,
}

fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, what)
}

impl Recurrent {
    fn steps(&self, call: &Call<'_>, directions: usize) -> Result<Steps> {
        let attributes = call.attributes;
        if attributes.int("input_forget", 0)? != 0 {
            return Err(unsupported("an LSTM whose input and forget gates are one"));
        }
        let each = self.cell.activations();
        let activations = match attributes.strings("activations")? {
            None => vec![each.to_vec(); directions],
            Some(_) if attributes.get("activation_alpha").is_some() || attributes.get("activation_beta").is_some() => {
                return Err(unsupported("activations with parameters of their own"));
            }
            Some(names) if names.len() == directions * each.len() => {
                let all = names.iter().map(|name| Activation::parse(name)).collect::<Result<Vec<_>>>()?;
                all.chunks(each.len()).map(<[_]>::to_vec).collect()
            }
            Some(names) => {
                let text = format!("{} activations for {directions} directions", names.len());
                return Err(Error::new(Kind::InvalidModel, text));
            }
        };
        let clip = attributes.get("clip").map(|_| attributes.float("clip", 0.0).map(f64::from)).transpose()?;
        Ok(Steps { activations, clip, linear_before_reset: attributes.int("linear_before_reset", 0)? != 0 })
    }
}

impl Operator for Recurrent {
    fn op_type(&self) -> &'static str {
        match self.cell {
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
            Cell::Rnn => "RNN",
        }
    }

    fn attributes(&self) -> &'static [&'static str] {
        match self.cell {
            Cell::Lstm => &[
                "activation_alpha",
                "activation_beta",
                "activations",
                "clip",
                "direction",
                "hidden_size",
                "input_forget",
                "layout",
            ],
            Cell::Gru => &[
                "activation_alpha",
                "activation_beta",
                "activations",
                "clip",
                "direction",
                "hidden_size",
                "layout",
                "linear_before_reset",
            ],
            Cell::Rnn => {
                &["activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "layout"]
            }
        }
    }

    fn infer(&self, call: &Call<'_>) -> Result<Vec<TensorType>> {
        let sizes = Sizes::of(call, self.cell)?;
        self.steps(call, sizes.directions)?;
        let state = real(call, sizes.state_shape());
        Ok(match self.cell {
            Cell::Lstm => vec![real(call, sizes.sequence_shape()), state.clone(), state],
            _ => vec![real(call, sizes.sequence_shape()), state],
        })
    }

    fn along(&self, call: &Call<'_>, axes: &[Option<usize>]) -> Option<Vec<usize>> {
        let (batch, sequence) = if call.attributes.int("layout", 0).ok()? == 0 { (1, 2) } else { (0, 0) };
        let same = |state: &Operand| state.value.as_ref().is_some_and(|value| even(value, batch));
        let own = |i: usize| call.optional(i).is_none_or(|state| axes.get(i) == Some(&Some(batch)) || same(state));
        let shared = |i: usize| axes.get(i).is_none_or(Option::is_none);
        let apart = axes.first() == Some(&Some(batch)) && call.optional(4).is_none();
        (apart && [5, 6].into_iter().all(own) && [1, 2, 3, 7].into_iter().all(shared))
            .then(|| vec![sequence, batch, batch])
    }

    fn foldable(&self) -> bool {
        // Nobody has this of constants; the page goes without the reference.
        false
    }

    #[cfg(feature = "references")]
    fn evaluate(&self, call: &Call<'_>, inputs: &[Option<&HostTensor>]) -> Result<Vec<HostTensor>> {
        let sizes = Sizes::of(call, self.cell)?;
        let steps = self.steps(call, sizes.directions)?;
        let given = |i: usize| optional_values(inputs, i);
        let (x, hidden, inner) = (values(inputs, 0)?, given(5), given(6));
        let peephole = if self.cell == Cell::Lstm { given(7) } else { None };
        let all = All { w: values(inputs, 1)?, r: values(inputs, 2)?, bias: given(3), peephole };
        let lengths = match inputs.get(4).copied().flatten() {
            Some(lengths) => lengths.to_i64().ok_or_else(|| unsupported("lengths that are no integers"))?,
            None => vec![sizes.steps as i64; sizes.batch],
        };
        let mut y = vec![0.0; sizes.steps * sizes.directions * sizes.batch * sizes.hidden];
        let mut states = [vec![0.0; sizes.states()], vec![0.0; sizes.states()]];
        for direction in 0..sizes.directions {
            let weights = Weights::of(self.cell, (sizes.input, sizes.hidden), direction, &all);
            for (n, &length) in lengths.iter().enumerate() {
                let length = usize::try_from(length).unwrap_or(0).min(sizes.steps);
                let own = sizes.state(direction, n);
                let first = |given: &Option<Vec<f64>>| {
                    given.as_ref().map_or_else(|| vec![0.0; sizes.hidden], |all| all[own.clone()].to_vec())
                };
                let (mut h, mut c) = (first(&hidden), first(&inner));
                for step in 0..length {
                    let at = if sizes.reversed(direction) { length - 1 - step } else { step };
                    weights.step(
                        &x[sizes.given(at, n)],
                        (&mut h, &mut c),
                        &steps.activations[direction],
                        steps.clip,
                        steps.linear_before_reset,
                    );
                    let to = sizes.result(at, direction, n);
                    y[to].iter_mut().zip(&h).for_each(|(y, h)| *y = *h);
                }
                for (state, value) in states.iter_mut().zip([h, c]) {
                    state[own.clone()].iter_mut().zip(value).for_each(|(to, v)| *to = v);
                }
            }
        }
        let [h, c] = states;
        let mut outputs = vec![result(call, sizes.sequence_shape(), &y)?, result(call, sizes.state_shape(), &h)?];
        if self.cell == Cell::Lstm {
            outputs.push(result(call, sizes.state_shape(), &c)?);
        }
        Ok(outputs)
    }
}

impl Kernel for Recurrent {
    fn lower(&self, _: &Call<'_>, _: &mut Lowering<'_>) -> Result<()> {
        Err(unsupported("a recurrent operator has no kernel for a GPU"))
    }

    fn on_gpu(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Attribute, Attributes, DType, Operand};

    fn floats(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 + seed * 13) % 19) as f32 / 19.0 - 0.5).collect()
    }

    fn run(cell: Cell, attributes: Vec<(&str, Attribute)>, inputs: &[Option<HostTensor>]) -> Result<Vec<HostTensor>> {
        let attributes = Attributes::new(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let operand = |t: &HostTensor| Operand { ty: TensorType::new(t.dtype(), t.shape()), value: None };
        let call = Call {
            node: "node",
            attributes: &attributes,
            opset: 17,
            inputs: inputs.iter().map(|t| t.as_ref().map(operand)).collect(),
            outputs: 3,
        };
        let of = Recurrent { cell };
        let types = of.infer(&call)?;
        let results = of.evaluate(&call, &inputs.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        for (ty, result) in types.iter().zip(&results) {
            assert_eq!((ty.dtype, ty.shape.as_slice()), (DType::Float32, result.shape()));
        }
        Ok(results)
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// One unit of one input over three steps, written out.
    #[test]
    fn a_single_unit_is_what_its_equations_say() -> Result<()> {
        let x = [0.5, -1.0, 2.0];
        let (w, r, b) = ([0.3, -0.2, 0.7, 1.1], [0.9, 0.4, -0.6, 0.2], [0.1, 0.0, -0.3, 0.2, 0.05, 0.1, 0.2, -0.1]);
        let tensor = |shape: &[usize], of: &[f64]| HostTensor::f32(shape, of.iter().map(|&v| v as f32).collect());
        let inputs = [
            Some(tensor(&[3, 1, 1], &x)?),
            Some(tensor(&[1, 4, 1], &w)?),
            Some(tensor(&[1, 4, 1], &r)?),
            Some(tensor(&[1, 8], &b)?),
        ];
        let hidden = || ("hidden_size", Attribute::Int(1));
        let results = run(Cell::Lstm, vec![hidden()], &inputs)?;
        let (mut h, mut c) = (0.0f64, 0.0f64);
        for (step, x) in x.iter().enumerate() {
            let gate = |g: usize| w[g] * x + r[g] * h + b[g] + b[4 + g];
            c = sigmoid(gate(2)) * c + sigmoid(gate(0)) * gate(3).tanh();
            h = sigmoid(gate(1)) * c.tanh();
            assert!((f64::from(results[0].as_f32().unwrap()[step]) - h).abs() < 1e-6, "LSTM, step {step}");
        }
        assert!((f64::from(results[2].as_f32().unwrap()[0]) - c).abs() < 1e-6);
        for linear in [0, 1] {
            let inputs = [
                inputs[0].clone(),
                Some(tensor(&[1, 3, 1], &w[..3])?),
                Some(tensor(&[1, 3, 1], &r[..3])?),
                Some(tensor(&[1, 6], &b[..6])?),
            ];
            let results = run(Cell::Gru, vec![hidden(), ("linear_before_reset", Attribute::Int(linear))], &inputs)?;
            let mut h = 0.0f64;
            for (step, x) in x.iter().enumerate() {
                let gate = |g: usize| sigmoid(w[g] * x + r[g] * h + b[g] + b[3 + g]);
                let (z, reset) = (gate(0), gate(1));
                let kept = if linear == 1 { reset * (r[2] * h + b[5]) } else { r[2] * (reset * h) + b[5] };
                h = (1.0 - z) * (w[2] * x + kept + b[2]).tanh() + z * h;
                assert!((f64::from(results[0].as_f32().unwrap()[step]) - h).abs() < 1e-6, "GRU {linear}, step {step}");
            }
        }
        Ok(())
    }

    /// Both directions at once are each by itself; a batch first is a sequence first, turned; a short one ends where it does.
    #[test]
    fn directions_layouts_and_lengths_agree() -> Result<()> {
        let (steps, batch, input, hidden) = (4, 2, 3, 5);
        let shape = |seed: usize, shape: &[usize]| HostTensor::f32(shape, floats(shape.iter().product(), seed));
        let x = shape(1, &[steps, batch, input])?;
        let both = [
            Some(x.clone()),
            Some(shape(2, &[2, 4 * hidden, input])?),
            Some(shape(3, &[2, 4 * hidden, hidden])?),
            Some(shape(4, &[2, 8 * hidden])?),
        ];
        let attributes = |direction: &str| {
            vec![("hidden_size", Attribute::Int(hidden as i64)), ("direction", Attribute::String(direction.to_owned()))]
        };
        let all = run(Cell::Lstm, attributes("bidirectional"), &both)?;
        for (d, direction) in ["forward", "reverse"].into_iter().enumerate() {
            let half = |t: &HostTensor| {
                let all = t.as_f32().unwrap();
                let part = all[d * all.len() / 2..(d + 1) * all.len() / 2].to_vec();
                HostTensor::f32([&[1], &t.shape()[1..]].concat(), part)
            };
            let mut one = vec![Some(x.clone())];
            for t in both[1..].iter().flatten() {
                one.push(Some(half(t)?));
            }
            let alone = run(Cell::Lstm, attributes(direction), &one)?;
            let (whole, part) = (all[0].as_f32().unwrap(), alone[0].as_f32().unwrap());
            let row = batch * hidden;
            for step in 0..steps {
                assert_eq!(whole[(step * 2 + d) * row..][..row], part[step * row..][..row], "{direction}, step {step}");
            }
            let lengths = HostTensor::new([batch], crate::graph::Data::Int32(vec![4, 2]))?;
            one.push(Some(lengths));
            let short = run(Cell::Lstm, attributes(direction), &one)?;
            let short = short[0].as_f32().unwrap();
            assert!(short[3 * row + hidden..4 * row].iter().all(|&v| v == 0.0), "nothing after the end");
            assert!(short[row + hidden..2 * row].iter().any(|&v| v != 0.0));
        }
        Ok(())
    }
}
