//! Elementwise operators in one pass: each block of a result goes through all of them while it lies in the nearest cache,
//! by itself or at the end of a product. Knows registers of floats; must never know an operator.

use super::access::Access;
use super::line::{Arithmetic, Line, Number};
use super::links::{Link, Term, joined};
use super::loops::{Loop, Loops, Parameters};
use super::routine::{Operands, Routine};
use crate::error::Result;
use crate::kernels::base::Class;
use std::ops::Range;

/// Floats of a register.
pub const BLOCK: usize = 512;
/// Most registers: together they stay in a cache of 32 KiB.
pub const REGISTERS: usize = 8;

/// What an operation reads.
#[derive(Clone, Debug)]
pub enum Value {
    /// A register.
    Register(usize),
    /// An operand.
    Given(Access),
}

/// One operation; the register that it writes may be one that it reads once.
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
        parameters: Parameters,
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
        /// Whether it is a sum.
        sum: bool,
    },
    /// A line.
    Line {
        /// The register that is written.
        to: usize,
        /// What is read.
        x: Value,
        /// The line.
        line: Line,
    },
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

/// A number for each channel that the channel is multiplied by, and one that is added then, by their operands; and the bounds of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// What is multiplied by.
    pub factor: Option<usize>,
    /// What is added.
    pub offset: Option<usize>,
    /// The least that it may come to.
    pub low: f32,
    /// The most.
    pub high: f32,
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
            Op::Unary { to, .. } | Op::Binary { to, .. } | Op::Line { to, .. } => to,
        }
    }

    fn reads(&mut self) -> Vec<&mut Value> {
        match self {
            Op::Unary { x, .. } | Op::Line { x, .. } => vec![x],
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

    /// A line, in as many parts as its numbers have there.
    fn line(&self, line: &Line, x: &[f32], y: &mut [f32]) {
        let mut done = 0;
        while done < self.n {
            let (at, left) = (self.at + done, self.n - done);
            let n = line.factor.lasts(at, left).min(line.offset.lasts(at, left));
            let (factor, offset) = (self.number(&line.factor, at, n), self.number(&line.offset, at, n));
            line.run(factor, offset, &x[done..done + n], &mut y[done..done + n]);
            done += n;
        }
    }

    /// The same over what `y` holds.
    fn line_within(&self, line: &Line, y: &mut [f32]) {
        let mut done = 0;
        while done < self.n {
            let (at, left) = (self.at + done, self.n - done);
            let n = line.factor.lasts(at, left).min(line.offset.lasts(at, left));
            let (factor, offset) = (self.number(&line.factor, at, n), self.number(&line.offset, at, n));
            line.run_within(factor, offset, &mut y[done..done + n]);
            done += n;
        }
    }

    fn number(&self, number: &Number, at: usize, n: usize) -> f32 {
        match number {
            Number::Known(number) => *number,
            Number::Given(from) => from.one(self.on.read(from.operand), at, n).unwrap_or(f32::NAN),
        }
    }

    /// The floats of a value.
    fn floats(&self, value: &Value, spare: &'a mut [f32]) -> &'a [f32] {
        match value {
            Value::Register(0) => self.block,
            Value::Register(r) => &self.registers[*r][..self.n],
            Value::Given(from) => {
                let all = self.on.read(from.operand);
                if let Some(run) = from.run(all, self.at, self.n) {
                    return run;
                }
                from.read(all, self.at, &mut spare[..self.n]);
                &spare[..self.n]
            }
        }
    }
}

impl Chain {
    /// The chain whose result is the last of `links`, each in a register until it was read last; `None` where that takes
    /// more than `most` registers.
    pub fn of(links: &[Link], most: usize) -> Option<Chain> {
        let links = &joined(links);
        let mut last: Vec<usize> = (0..links.len()).collect();
        for (at, link) in links.iter().enumerate() {
            match link {
                Link::Term(_, of) => of.iter().for_each(|&i| last[i] = at),
                Link::Line(_, x, _) => last[*x] = at,
                _ => {}
            }
        }
        let mut chain = Chain::default();
        let mut held: Vec<Option<usize>> = vec![None; most];
        let mut values: Vec<Value> = vec![];
        for (at, link) in links.iter().enumerate() {
            if let Link::Load(from, _) = link {
                values.push(Value::Given(from.clone()));
                continue;
            }
            if matches!(link, Link::Gone) {
                // Nobody reads it.
                values.push(Value::Register(0));
                continue;
            }
            let reads: &[usize] = match link {
                Link::Term(_, of) => of,
                Link::Line(_, x, _) => std::slice::from_ref(x),
                _ => &[],
            };
            // What is read last here, and once, makes room for the result.
            let over = |&&x: &&usize| last[x] == at && reads.iter().filter(|&&other| other == x).count() == 1;
            let within = reads.iter().filter(over).find_map(|&x| match values[x] {
                Value::Register(r) if held[r] == Some(x) => Some(r),
                _ => None,
            });
            let to = within.or_else(|| held.iter().position(Option::is_none))?;
            held[to] = Some(at);
            values.push(Value::Register(to));
            match link {
                Link::Begun | Link::Load(..) | Link::Gone => {}
                Link::Line(line, x, flops) => {
                    chain.flops += flops;
                    chain.ops.push(Op::Line { to, x: values[*x].clone(), line: line.clone() });
                }
                Link::Term(Term::Unary { by, parameters, flops, .. }, of) => {
                    let &[x] = of.as_slice() else { return None };
                    chain.flops += flops;
                    chain.ops.push(Op::Unary { to, x: values[x].clone(), by: *by, parameters: *parameters });
                }
                Link::Term(Term::Binary { by, flops, arithmetic }, of) => {
                    let &[a, b] = of.as_slice() else { return None };
                    let (a, b, sum) = (values[a].clone(), values[b].clone(), *arithmetic == Some(Arithmetic::Add));
                    chain.flops += flops;
                    chain.ops.push(Op::Binary { to, a, b, by: *by, sum });
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

    /// Takes out the sum that it begins with where that adds one element to each of the `columns` of a row, the same for every
    /// row: where these lie.
    pub fn take_sum(&mut self, columns: usize) -> Option<Access> {
        let begins = |value: &Value| matches!(value, Value::Register(0));
        let given = |value: &Value| match value {
            Value::Given(from) if matches!(from.axes[..], [(n, 1)] | [(_, 0), (n, 1)] if n == columns) => {
                Some(from.clone())
            }
            _ => None,
        };
        let Some(Op::Binary { to: 0, a, b, sum: true, .. }) = self.ops.first() else { return None };
        let from = if begins(a) { given(b) } else { given(a).filter(|_| begins(b)) }?;
        self.ops.remove(0);
        Some(from)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Whether rows of the result that lie next to each other may be one: no operand has a number for a row, or lies otherwise.
    pub fn is_flat(&self) -> bool {
        let value = |value: &Value| !matches!(value, Value::Given(from) if !from.alike());
        let number = |number: &Number| !matches!(number, Number::Given(from) if !from.axes.is_empty());
        self.ops.iter().all(|op| match op {
            Op::Unary { x, .. } => value(x),
            Op::Binary { a, b, .. } => value(a) && value(b),
            Op::Line { x, line, .. } => value(x) && number(&line.factor) && number(&line.offset),
        })
    }

    /// Takes out the line that it begins with where that is by `channels` numbers, one for each channel of an image of so many elements
    /// each, or adds such.
    pub fn take_affine(&mut self, channels: usize, plane: usize) -> Option<Affine> {
        let Some(Op::Line { to: 0, x: Value::Register(0), line }) = self.ops.first() else { return None };
        let of = |access: &Access| {
            let axes = match access.axes.as_slice() {
                [(_, 0), axes @ ..] => axes,
                axes => axes,
            };
            (matches!(axes, [(n, 1), (each, 0)] if (*n, *each) == (channels, plane)) && access.base == 0)
                .then_some(access.operand)
        };
        let (factor, offset) = match (&line.factor, &line.offset) {
            (Number::Given(factor), Number::Given(offset)) => (Some(of(factor)?), Some(of(offset)?)),
            (Number::Given(factor), Number::Known(0.0)) => (Some(of(factor)?), None),
            (Number::Known(1.0), Number::Given(offset)) => (None, Some(of(offset)?)),
            _ => return None,
        };
        let affine = Affine { factor, offset, low: line.low, high: line.high };
        let steps = [factor.is_some(), offset.is_some(), line.is_bounded()];
        self.flops -= steps.into_iter().filter(|&step| step).count() as f64;
        self.ops.remove(0);
        Some(affine)
    }

    /// What its operations read of operands.
    pub fn accesses(&mut self) -> Vec<&mut Access> {
        let mut all = vec![];
        for op in &mut self.ops {
            let (values, numbers) = match op {
                Op::Unary { x, .. } => ([Some(x), None], [None, None]),
                Op::Binary { a, b, .. } => ([Some(a), Some(b)], [None, None]),
                Op::Line { x, line, .. } => ([Some(x), None], [Some(&mut line.factor), Some(&mut line.offset)]),
            };
            all.extend(values.into_iter().flatten().filter_map(|value| match value {
                Value::Given(from) => Some(from),
                Value::Register(_) => None,
            }));
            all.extend(numbers.into_iter().flatten().filter_map(|number| match number {
                Number::Given(from) => Some(from),
                Number::Known(_) => None,
            }));
        }
        all
    }

    /// Its operands lie `by` places further on among what a routine reads.
    pub fn shift(&mut self, by: usize) {
        self.accesses().into_iter().for_each(|from| from.operand += by);
    }

    /// Registers for it.
    pub fn registers(&self) -> Registers {
        let most = |op: &Op| match op {
            Op::Unary { to, .. } | Op::Binary { to, .. } | Op::Line { to, .. } => *to,
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
                let (Op::Unary { to, .. } | Op::Binary { to, .. } | Op::Line { to, .. }) = op;
                let mut taken = std::mem::take(&mut all[*to]);
                let (y, block): (&mut [f32], &[f32]) =
                    if *to == 0 { (&mut *block, &[]) } else { (&mut taken[..n], &*block) };
                let seen = Seen { on, block, registers: all, at, n };
                let here = |value: &Value| matches!(value, Value::Register(from) if from == to);
                match op {
                    Op::Line { x, line, .. } if here(x) => seen.line_within(line, y),
                    Op::Line { x, line, .. } => seen.line(line, seen.floats(x, first), y),
                    Op::Unary { x, by, parameters, .. } if here(x) => (by.within)(y, *parameters),
                    Op::Unary { x, by, parameters, .. } => (by.apart)(seen.floats(x, first), y, *parameters),
                    Op::Binary { a, b, by, .. } if here(a) => match seen.one(b) {
                        Some(b) => (by.onto_one)(y, b),
                        None => (by.onto)(y, seen.floats(b, second)),
                    },
                    Op::Binary { a, b, by, .. } if here(b) => match seen.one(a) {
                        Some(a) => (by.under_one)(a, y),
                        None => (by.under)(seen.floats(a, first), y),
                    },
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
