//! Elementwise operators in one pass: each block of a result goes through all of them while it lies in the nearest cache,
//! by itself or at the end of a product. Knows strides and registers of floats; must never know an operator.

use super::routine::{Operands, Routine};
use crate::error::Result;
use crate::kernels::base::Class;
use std::ops::Range;

/// Floats of a register.
pub const BLOCK: usize = 512;
/// Most registers: together they stay in a cache of 32 KiB.
pub const REGISTERS: usize = 8;

/// Where the element of an operand lies that belongs to an element of the result: sizes and strides, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The operand, by its place among what the routine reads.
    pub operand: usize,
    /// Its element that belongs to the result's first.
    pub base: usize,
    /// Size of each axis of the result, and what a step along it moves in the operand.
    pub axes: Vec<(usize, i64)>,
}

/// One operation over registers.
#[derive(Clone, Debug)]
pub enum Op {
    /// Reads an operand.
    Load {
        /// The register that is written; of all operations none of those that are read.
        to: usize,
        /// What is read.
        from: Access,
    },
    /// Applies `by` to a whole register: a loop of its own, so that the compiler makes vectors of it.
    Unary {
        /// The register that is written.
        to: usize,
        /// The register that is read.
        x: usize,
        /// The loop.
        by: fn(&[f32], &mut [f32], [f32; 2]),
        /// Its parameters.
        parameters: [f32; 2],
    },
    /// The same of two.
    Binary {
        /// The register that is written.
        to: usize,
        /// The first that is read.
        a: usize,
        /// The second.
        b: usize,
        /// The loop.
        by: fn(&[f32], &[f32], &mut [f32]),
    },
}

/// What an elementwise operator computes.
#[derive(Clone, Debug)]
pub enum Term {
    /// Of one operand.
    Unary {
        /// The loop.
        by: fn(&[f32], &mut [f32], [f32; 2]),
        /// Its parameters.
        parameters: [f32; 2],
        /// Floating-point operations for each element.
        flops: f64,
    },
    /// Of two.
    Binary {
        /// The loop.
        by: fn(&[f32], &[f32], &mut [f32]),
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

/// Operations in their order; the result is what `result` holds at the end.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The operations.
    pub ops: Vec<Op>,
    /// The register of the result; 0 is what the chain begins with where it ends another computation.
    pub result: usize,
    /// Floating-point operations for each element.
    pub flops: f64,
}

impl Access {
    /// Merges axes along which the operand goes on without a gap, and leaves out those of one.
    pub fn merged(operand: usize, base: usize, shape: &[usize], strides: &[i64]) -> Access {
        let mut axes: Vec<(usize, i64)> = vec![];
        for (&size, &stride) in shape.iter().zip(strides).filter(|(size, _)| **size != 1) {
            match axes.last_mut() {
                Some(last) if last.1 == stride * size as i64 => *last = (last.0 * size, stride),
                _ => axes.push((size, stride)),
            }
        }
        Access { operand, base, axes }
    }

    /// Whether the operand lies as the result does.
    pub fn alike(&self) -> bool {
        matches!(self.axes.as_slice(), [] | [(_, 1)])
    }

    /// Copies what belongs to the elements from `start` on.
    pub fn read<T: Copy>(&self, from: &[T], start: usize, to: &mut [T]) {
        let Some(((size, step), outer)) = self.axes.split_last().map(|(&last, outer)| (last, outer)) else {
            return to.fill(from[self.base]);
        };
        if outer.is_empty() && step == 1 {
            return to.copy_from_slice(&from[self.base + start..self.base + start + to.len()]);
        }
        let (mut at, mut done) = (start, 0);
        while done < to.len() {
            let (mut rest, within) = (at / size, at % size);
            let mut place = self.base as i64;
            for &(size, step) in outer.iter().rev() {
                place += (rest % size) as i64 * step;
                rest /= size;
            }
            let first = (place + within as i64 * step) as usize;
            let run = (size - within).min(to.len() - done);
            let part = &mut to[done..done + run];
            match step {
                0 => part.fill(from[first]),
                1 => part.copy_from_slice(&from[first..first + run]),
                _ => {
                    part.iter_mut().enumerate().for_each(|(i, y)| *y = from[(first as i64 + i as i64 * step) as usize])
                }
            }
            (at, done) = (at + run, done + run);
        }
    }
}

/// `registers[to]`, beside which its operands are read: the builder takes care that it is none of them.
fn taken(registers: &mut [Vec<f32>], to: usize) -> Vec<f32> {
    std::mem::take(&mut registers[to])
}

/// The registers of one thread while a chain runs.
#[derive(Debug)]
pub struct Registers(Vec<Vec<f32>>);

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
        let mut register: Vec<usize> = vec![];
        for (at, link) in links.iter().enumerate() {
            let to = held.iter().position(Option::is_none)?;
            held[to] = Some(at);
            register.push(to);
            match link {
                Link::Begun => {}
                Link::Load(from) => chain.ops.push(Op::Load { to, from: from.clone() }),
                Link::Term(Term::Unary { by, parameters, flops }, of) => {
                    let &[x] = of.as_slice() else { return None };
                    chain.flops += flops;
                    chain.ops.push(Op::Unary { to, x: register[x], by: *by, parameters: *parameters });
                }
                Link::Term(Term::Binary { by, flops }, of) => {
                    let &[a, b] = of.as_slice() else { return None };
                    chain.flops += flops;
                    chain.ops.push(Op::Binary { to, a: register[a], b: register[b], by: *by });
                }
            }
            chain.result = to;
            // What was read last here makes room; the last value of all is the result.
            let over = |held: &Option<usize>| held.is_some_and(|value| last[value] <= at && value != at);
            held.iter_mut().filter(|held| over(held)).for_each(|held| *held = None);
        }
        Some(chain)
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Its operands lie `by` places further on among what a routine reads.
    pub fn shift(&mut self, by: usize) {
        for op in &mut self.ops {
            if let Op::Load { from, .. } = op {
                from.operand += by;
            }
        }
    }

    /// Registers for it.
    pub fn registers(&self) -> Registers {
        let most = |op: &Op| match op {
            Op::Load { to, .. } | Op::Unary { to, .. } | Op::Binary { to, .. } => *to,
        };
        let count = self.ops.iter().map(most).max().map_or(0, |most| most + 1);
        Registers(vec![vec![0.0; BLOCK]; if self.is_empty() { 0 } else { count.max(1) }])
    }

    /// Runs over `span`, the elements of the result from `start` on, which hold what the chain begins with where `begun`.
    pub fn run(&self, on: &Operands<'_>, registers: &mut Registers, start: usize, span: &mut [f32], begun: bool) {
        if self.is_empty() {
            return;
        }
        let r = &mut registers.0;
        for (block, part) in span.chunks_mut(BLOCK).enumerate() {
            let (at, n) = (start + block * BLOCK, part.len());
            if begun {
                r[0][..n].copy_from_slice(part);
            }
            for op in &self.ops {
                match op {
                    Op::Load { to, from } => from.read(on.read(from.operand), at, &mut r[*to][..n]),
                    Op::Unary { to, x, by, parameters } => {
                        let mut y = taken(r, *to);
                        by(&r[*x][..n], &mut y[..n], *parameters);
                        r[*to] = y;
                    }
                    Op::Binary { to, a, b, by } => {
                        let mut y = taken(r, *to);
                        by(&r[*a][..n], &r[*b][..n], &mut y[..n]);
                        r[*to] = y;
                    }
                }
            }
            part.copy_from_slice(&r[self.result][..n]);
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
        self.chain.run(on, &mut registers, range.start, on.write(0, range.clone()), false);
        Ok(())
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn flops(&self) -> f64 {
        self.chain.flops * self.len as f64
    }
}
