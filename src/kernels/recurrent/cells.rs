//! One step of a cell, as ONNX writes it. Knows gates in their order; must never know a sequence.

use crate::error::{Error, Kind, Result};

/// What a recurrent operator repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Lstm,
    Gru,
    Rnn,
}

/// What a gate's sum goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Sigmoid,
    Tanh,
    Relu,
}

impl Activation {
    /// The one of that name.
    pub fn parse(name: &str) -> Result<Activation> {
        match name {
            "Sigmoid" => Ok(Activation::Sigmoid),
            "Tanh" => Ok(Activation::Tanh),
            "Relu" => Ok(Activation::Relu),
            other => Err(Error::new(Kind::Unsupported, format!("the activation {other} of a gate"))),
        }
    }

    fn of(self, x: f64) -> f64 {
        match self {
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
            Activation::Relu => x.max(0.0),
        }
    }
}

impl Cell {
    /// How many gates there are.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        }
    }

    /// What its gates go through where the node does not say.
    pub fn activations(self) -> &'static [Activation] {
        match self {
            Cell::Lstm => &[Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
            Cell::Gru => &[Activation::Sigmoid, Activation::Tanh],
            Cell::Rnn => &[Activation::Tanh],
        }
    }
}

/// The weights of all directions, as they are given.
#[derive(Debug)]
pub struct All {
    pub w: Vec<f64>,
    pub r: Vec<f64>,
    pub bias: Option<Vec<f64>>,
    pub peephole: Option<Vec<f64>>,
}

/// The weights of one direction.
#[derive(Debug)]
pub struct Weights<'a> {
    cell: Cell,
    input: usize,
    hidden: usize,
    w: &'a [f64],
    r: &'a [f64],
    bias: Option<&'a [f64]>,
    peephole: Option<&'a [f64]>,
}

/// The part of `all` that is a direction's, of so many elements each.
fn part(all: &[f64], direction: usize, size: usize) -> &[f64] {
    &all[direction * size..(direction + 1) * size]
}

impl<'a> Weights<'a> {
    /// Those of `direction`, of what is given for all.
    pub fn of(cell: Cell, (input, hidden): (usize, usize), direction: usize, all: &'a All) -> Weights<'a> {
        let rows = cell.gates() * hidden;
        Weights {
            cell,
            input,
            hidden,
            w: part(&all.w, direction, rows * input),
            r: part(&all.r, direction, rows * hidden),
            bias: all.bias.as_ref().map(|bias| part(bias, direction, 2 * rows)),
            peephole: all.peephole.as_ref().map(|peephole| part(peephole, direction, 3 * hidden)),
        }
    }

    /// What `x` adds to unit `i` of a gate, with its bias.
    fn given(&self, gate: usize, i: usize, x: &[f64]) -> f64 {
        let row = gate * self.hidden + i;
        let sum: f64 = self.w[row * self.input..][..self.input].iter().zip(x).map(|(w, x)| w * x).sum();
        sum + self.bias.map_or(0.0, |bias| bias[row])
    }

    /// What the state adds, with its bias.
    fn kept(&self, gate: usize, i: usize, h: &[f64]) -> f64 {
        let row = gate * self.hidden + i;
        let sum: f64 = self.r[row * self.hidden..][..self.hidden].iter().zip(h).map(|(r, h)| r * h).sum();
        sum + self.bias.map_or(0.0, |bias| bias[self.cell.gates() * self.hidden + row])
    }

    /// One step: `h` and, of an LSTM, `c` become the next.
    pub fn step(
        &self,
        x: &[f64],
        (h, c): (&mut Vec<f64>, &mut Vec<f64>),
        activations: &[Activation],
        clip: Option<f64>,
        linear_before_reset: bool,
    ) {
        let bound = |v: f64| clip.map_or(v, |clip| v.max(-clip.abs()).min(clip.abs()));
        let units = 0..self.hidden;
        match self.cell {
            Cell::Rnn => {
                let next = units.map(|i| activations[0].of(bound(self.given(0, i, x) + self.kept(0, i, h))));
                *h = next.collect();
            }
            Cell::Gru => {
                let gate =
                    |gate: usize, i: usize| activations[0].of(bound(self.given(gate, i, x) + self.kept(gate, i, h)));
                let reset: Vec<f64> = units.clone().map(|i| gate(1, i)).collect();
                let turned: Vec<f64> = reset.iter().zip(h.iter()).map(|(r, h)| r * h).collect();
                let next = units.map(|i| {
                    let kept =
                        if linear_before_reset { reset[i] * self.kept(2, i, h) } else { self.kept(2, i, &turned) };
                    let z = gate(0, i);
                    (1.0 - z) * activations[1].of(bound(self.given(2, i, x) + kept)) + z * h[i]
                });
                *h = next.collect();
            }
            Cell::Lstm => {
                let sum = |gate: usize, i: usize| self.given(gate, i, x) + self.kept(gate, i, h);
                let seen = |gate: usize, i: usize, c: f64| self.peephole.map_or(0.0, |p| p[gate * self.hidden + i] * c);
                let next: Vec<(f64, f64)> = units
                    .map(|i| {
                        // In ONNX's order input, output, forget, cell; peepholes are of input, output, forget.
                        let input = activations[0].of(bound(sum(0, i) + seen(0, i, c[i])));
                        let forget = activations[0].of(bound(sum(2, i) + seen(2, i, c[i])));
                        let inner = forget * c[i] + input * activations[1].of(bound(sum(3, i)));
                        let output = activations[0].of(bound(sum(1, i) + seen(1, i, inner)));
                        (output * activations[2].of(inner), inner)
                    })
                    .collect();
                (*h, *c) = next.into_iter().unzip();
            }
        }
    }
}
