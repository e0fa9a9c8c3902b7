//! Elementwise operators in one pass: each block of a result goes through all of them while it lies in the nearest cache,
//! by itself or at the end of a product. Knows registers of floats; must never know an operator.

use super::access::Access;
use super::routine::{Operands, Routine};
use crate::error::Result;
use crate::kernels::base::Class;
use std::ops::Range;

/// Floats of a register.
pub const BLOCK: usize = 512;
/// Most registers: together they stay in a cache of 32 KiB.
pub const REGISTERS: usize = 8;

/// A loop over a register, with parameters: one for each operator, so that the compiler makes vectors of it.
pub type Loop = fn(&[f32], &mut [f32], [f32; 2]);

/// The loops of an operator of two: over registers, or with one number for all of the first or of the second.
#[derive(Clone, Copy, Debug)]
pub struct Loops {
    /// Both are registers.
    pub both: fn(&[f32], &[f32], &mut [f32]),
    /// The first is a number.
    pub left: fn(f32, &[f32], &mut [f32]),
    /// The second is a number.
    pub right: fn(&[f32], f32, &mut [f32]),
}

/// What an operation reads.
#[derive(Clone, Debug)]
pub enum Value {
    /// A register.
    Register(usize),
    /// An operand.
    Given(Access),
}

/// One operation; the register that it writes is none that it reads.
#[derive(Clone, Debug)]
pub enum Op {
    /// Of one value.
    Unary {
        /// The register that is written.
        to: usize,
        /// What is read.
        x: Value,
        /// The loop.
        by: Loop,
        /// Its parameters.
        parameters: [f32; 2],
    },
    /// Of two.
    Binary {
        /// The register that is written.
        to: usize,
        /// The first that is read.
        a: Value,
        /// The second.
        b: Value,
        /// The loops.
        by: Loops,
    },
}

/// What an elementwise operator computes.
#[derive(Clone, Debug)]
pub enum Term {
    /// Of one operand.
    Unary {
        /// The loop.
        by: Loop,
        /// Its parameters.
        parameters: [f32; 2],
        /// Floating-point operations for each element.
        flops: f64,
    },
    /// Of two.
    Binary {
        /// The loops.
        by: Loops,
        /// Floating-point operations for each element.
        flops: f64,
    },
}

/// A value of a chain, before registers are given out.
#[derive(Clone, Debug)]
pub enum Link {
    /// What the chain begins with; the first of all.
    Begun,
    /// An operand.
    Load(Access),
    /// A term of earlier values.
    Term(Term, Vec<usize>),
}

/// Operations in their order. Register 0 is the block of the result itself: where the chain ends another computation it
/// holds what that gave.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The operations.
    pub ops: Vec<Op>,
    /// The register that holds the result at the end.
    pub result: usize,
    /// Floating-point operations for each element.
    pub flops: f64,
}

/// The registers of one thread while a chain runs; the first is none, as the block is that.
#[derive(Debug)]
pub struct Registers {
    all: Vec<Vec<f32>>,
    /// Room for operands that lie neither as the result does nor are one number.
    spare: [Vec<f32>; 2],
}

impl Op {
    fn to(&mut self) -> &mut usize {
        match self {
            Op::Unary { to, .. } | Op::Binary { to, .. } => to,
        }
    }

    fn reads(&mut self) -> Vec<&mut Value> {
        match self {
            Op::Unary { x, .. } => vec![x],
            Op::Binary { a, b, .. } => vec![a, b],
        }
    }
}

/// What a block sees of operands and registers.
struct Seen<'a> {
    on: &'a Operands<'a>,
    /// The block; empty while it is written.
    block: &'a [f32],
    registers: &'a [Vec<f32>],
    at: usize,
    n: usize,
}

impl<'a> Seen<'a> {
    /// The number that a value is for the whole block, if it is one.
    fn one(&self, value: &Value) -> Option<f32> {
        let Value::Given(from) = value else { return None };
        from.one(self.on.read(from.operand), self.at, self.n)
    }

    /// The floats of a value.
    fn floats(&self, value: &Value, spare: &'a mut [f32]) -> &'a [f32] {
        match value {
            Value::Register(0) => self.block,
            Value::Register(r) => &self.registers[*r][..self.n],
            Value::Given(from) if from.alike() && !from.axes.is_empty() => {
                &self.on.read(from.operand)[from.base + self.at..][..self.n]
            }
            Value::Given(from) => {
                from.read(self.on.read(from.operand), self.at, &mut spare[..self.n]);
                &spare[..self.n]
            }
        }
    }
}

impl Chain {
    /// The chain whose result is the last of `links`, each in a register until it was read last; `None` where that takes
    /// more than `most` registers.
    pub fn of(links: &[Link], most: usize) -> Option<Chain> {
        let mut last: Vec<usize> = (0..links.len()).collect();
        for (at, link) in links.iter().enumerate() {
            if let Link::Term(_, of) = link {
                of.iter().for_each(|&i| last[i] = at);
            }
        }
        let mut chain = Chain::default();
        let mut held: Vec<Option<usize>> = vec![None; most];
        let mut values: Vec<Value> = vec![];
        for (at, link) in links.iter().enumerate() {
            if let Link::Load(from) = link {
                values.push(Value::Given(from.clone()));
                continue;
            }
            let to = held.iter().position(Option::is_none)?;
            held[to] = Some(at);
            values.push(Value::Register(to));
            match link {
                Link::Begun | Link::Load(_) => {}
                Link::Term(Term::Unary { by, parameters, flops }, of) => {
                    let &[x] = of.as_slice() else { return None };
                    chain.flops += flops;
                    chain.ops.push(Op::Unary { to, x: values[x].clone(), by: *by, parameters: *parameters });
                }
                Link::Term(Term::Binary { by, flops }, of) => {
                    let &[a, b] = of.as_slice() else { return None };
                    chain.flops += flops;
                    chain.ops.push(Op::Binary { to, a: values[a].clone(), b: values[b].clone(), by: *by });
                }
            }
            chain.result = to;
            // What was read last here makes room; the last value of all is the result.
            let over = |held: &Option<usize>| held.is_some_and(|value| last[value] <= at && value != at);
            held.iter_mut().filter(|held| over(held)).for_each(|held| *held = None);
        }
        // The last writes the result where it belongs, unless it reads from there.
        if let Some(op) = chain.ops.last_mut()
            && op.reads().iter().all(|value| !matches!(value, Value::Register(0)))
        {
            *op.to() = 0;
            chain.result = 0;
        }
        Some(chain)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Its operands lie `by` places further on among what a routine reads.
    pub fn shift(&mut self, by: usize) {
        for value in self.ops.iter_mut().flat_map(Op::reads) {
            if let Value::Given(from) = value {
                from.operand += by;
            }
        }
    }

    /// Registers for it.
    pub fn registers(&self) -> Registers {
        let most = |op: &Op| match op {
            Op::Unary { to, .. } | Op::Binary { to, .. } => *to,
        };
        let count = self.ops.iter().map(most).max().map_or(0, |most| most + 1);
        let room = |i: usize| vec![0.0; if i == 0 { 0 } else { BLOCK }];
        Registers { all: (0..count).map(room).collect(), spare: [room(count.min(1)), room(count.min(1))] }
    }

    /// Runs over `span`, the elements of the result from `start` on, which hold what the chain begins with where there is
    /// such.
    pub fn run(&self, on: &Operands<'_>, registers: &mut Registers, start: usize, span: &mut [f32]) {
        if self.is_empty() {
            return;
        }
        let Registers { all, spare: [first, second] } = registers;
        for (number, block) in span.chunks_mut(BLOCK).enumerate() {
            let (at, n) = (start + number * BLOCK, block.len());
            for op in &self.ops {
                let (Op::Unary { to, .. } | Op::Binary { to, .. }) = op;
                let mut taken = std::mem::take(&mut all[*to]);
                let (y, block): (&mut [f32], &[f32]) =
                    if *to == 0 { (&mut *block, &[]) } else { (&mut taken[..n], &*block) };
                let seen = Seen { on, block, registers: all, at, n };
                match op {
                    Op::Unary { x, by, parameters, .. } => by(seen.floats(x, first), y, *parameters),
                    Op::Binary { a, b, by, .. } => match (seen.one(a), seen.one(b)) {
                        (_, Some(b)) => (by.right)(seen.floats(a, first), b, y),
                        (Some(a), None) => (by.left)(a, seen.floats(b, second), y),
                        (None, None) => (by.both)(seen.floats(a, first), seen.floats(b, second), y),
                    },
                }
                all[*to] = taken;
            }
            if self.result != 0 {
                block.copy_from_slice(&all[self.result][..n]);
            }
        }
    }
}

/// A chain by itself.
#[derive(Debug)]
pub struct Map {
    /// What it computes.
    pub chain: Chain,
    /// Elements of its result.
    pub len: usize,
}

/// Elements that are worth another thread.
const UNIT: usize = 4096;

impl Routine for Map {
    fn units(&self, _: usize) -> usize {
        self.len.div_ceil(UNIT)
    }

    fn run(&self, _: usize, units: Range<usize>, on: &Operands<'_>) -> Result<()> {
        let range = units.start * UNIT..(units.end * UNIT).min(self.len);
        let mut registers = self.chain.registers();
        self.chain.run(on, &mut registers, range.start, on.write(0, range.clone()));
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        self.chain.flops * self.len as f64
    }
}
