//! Sizes of a recurrent node and where its elements lie, in either layout. Knows shapes; must never know a gate.

use super::cells::Cell;
use crate::error::{Error, Kind, Result};
use crate::graph::{Call, DType};
use crate::kernels::base::operand::float_shape;
use std::ops::Range;

/// Sizes, as the node's inputs state them.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub steps: usize,
    pub batch: usize,
    pub input: usize,
    pub hidden: usize,
    pub directions: usize,
    /// Whether the only direction goes from the end.
    reverse: bool,
    /// Whether the batch comes first.
    batch_first: bool,
}

impl Sizes {
    /// Those of `call`, whose shapes agree.
    pub fn of(call: &Call<'_>, cell: Cell) -> Result<Sizes> {
        let (x, w, r) = (float_shape(call, 0)?, float_shape(call, 1)?, float_shape(call, 2)?);
        let refuse = |what: &str| {
            Error::new(Kind::InvalidModel, format!("{what}: input of shape {x:?}, weights of {w:?} and {r:?}"))
        };
        let (&[a, b, input], &[directions, rows, columns], &[_, _, hidden]) = (x, w, r) else {
            return Err(refuse("a recurrent operator takes three axes"));
        };
        let batch_first = call.attributes.int("layout", 0)? != 0;
        let (steps, batch) = if batch_first { (b, a) } else { (a, b) };
        let (reverse, stated) = match call.attributes.string("direction", "forward")? {
            "forward" => (false, 1),
            "reverse" => (true, 1),
            "bidirectional" => (false, 2),
            other => return Err(Error::new(Kind::InvalidModel, format!("a direction '{other}'"))),
        };
        let gates = cell.gates();
        if rows != gates * hidden || columns != input || r[..2] != [directions, rows] || directions != stated {
            return Err(refuse("weights of another size"));
        }
        if call.attributes.int("hidden_size", hidden as i64)? != hidden as i64 {
            return Err(refuse("hidden_size differs from the weights"));
        }
        let sizes = Sizes { steps, batch, input, hidden, directions, reverse, batch_first };
        let others = [
            (3, vec![directions, 2 * gates * hidden]),
            (5, sizes.state_shape()),
            (6, sizes.state_shape()),
            (7, vec![directions, 3 * hidden]),
        ];
        for (i, expected) in others {
            if call.optional(i).is_some() && float_shape(call, i)? != expected {
                return Err(refuse(&format!("input {i} is no {expected:?}")));
            }
        }
        match call.optional(4) {
            Some(lengths) if lengths.ty.dtype != DType::Int32 || lengths.ty.shape != [batch] => {
                Err(refuse("lengths are an int32 for each of the batch"))
            }
            _ => Ok(sizes),
        }
    }

    /// Shape of the results of all steps.
    pub fn sequence_shape(&self) -> Vec<usize> {
        match self.batch_first {
            true => vec![self.batch, self.steps, self.directions, self.hidden],
            false => vec![self.steps, self.directions, self.batch, self.hidden],
        }
    }

    /// Shape of a state.
    pub fn state_shape(&self) -> Vec<usize> {
        match self.batch_first {
            true => vec![self.batch, self.directions, self.hidden],
            false => vec![self.directions, self.batch, self.hidden],
        }
    }

    /// Elements of a state.
    pub fn states(&self) -> usize {
        self.batch * self.directions * self.hidden
    }

    /// Whether a direction goes from the end.
    pub fn reversed(&self, direction: usize) -> bool {
        self.reverse || direction == 1
    }

    /// What is given of a step.
    pub fn given(&self, step: usize, n: usize) -> Range<usize> {
        let at = if self.batch_first { n * self.steps + step } else { step * self.batch + n };
        at * self.input..(at + 1) * self.input
    }

    /// Where the result of a step lies.
    pub fn result(&self, step: usize, direction: usize, n: usize) -> Range<usize> {
        let at = match self.batch_first {
            true => (n * self.steps + step) * self.directions + direction,
            false => (step * self.directions + direction) * self.batch + n,
        };
        at * self.hidden..(at + 1) * self.hidden
    }

    /// Where a state lies.
    pub fn state(&self, direction: usize, n: usize) -> Range<usize> {
        let at = if self.batch_first { n * self.directions + direction } else { direction * self.batch + n };
        at * self.hidden..(at + 1) * self.hidden
    }
}
