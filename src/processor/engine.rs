//! Executes a program on the threads of a team. Knows steps and where their operands lie; must never know what a routine computes.

use super::store::{Elements, Loaded};
use super::team::Team;
use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, Data, HostTensor};
use crate::kernels::base::cpu::{Operands, Span};
use crate::program::cpu::{Operand, Program, Step};
use crate::program::{DispatchCost, Place, Port};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words from one thread's scratch to the next: none shares a line of any cache with another.
fn apart(program: &Program) -> usize {
    program.scratch.div_ceil(2).next_multiple_of(16)
}

/// Memory that programs compute in, one after another.
#[derive(Debug, Default)]
pub struct Arena {
    /// Words, so that every element type lies at its own multiple.
    words: Vec<u64>,
    scratch: Vec<u64>,
}

impl Arena {
    /// Makes it large enough for `program` on so many threads.
    pub(super) fn grow(&mut self, program: &Program, threads: usize) {
        let words = (program.arena_bytes as usize).div_ceil(8);
        let scratch = apart(program) * threads;
        self.words.resize(words.max(self.words.len()), 0);
        self.scratch.resize(scratch.max(self.scratch.len()), 0);
    }

    /// Fills it, large enough for `program` on so many threads, with what no result may be made of.
    pub fn poison(&mut self, program: &Program, threads: usize) {
        self.grow(program, threads);
        self.words.fill(u64::MAX);
        self.scratch.fill(u64::MAX);
    }

    /// Bytes that so many threads need for `program` beside its tensors.
    pub fn scratch_bytes(program: &Program, threads: usize) -> u64 {
        (8 * apart(program) * threads) as u64
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        8 * (self.words.len() + self.scratch.len()) as u64
    }
}

/// The spans of a program while it runs.
struct Spans<'a> {
    arena: Span<'a>,
    weights: &'a BTreeMap<ContentHash, Arc<Elements>>,
}

impl<'a> Spans<'a> {
    fn of(&self, operand: Operand, writes: bool) -> Result<Span<'a>> {
        match operand.place {
            None => Ok(Span::EMPTY),
            Some(Place::Arena(offset)) => self.arena.part(offset, operand.bytes, writes),
            Some(Place::Weight(hash)) => {
                let missing = || Error::new(Kind::Internal, "a weight is not on the lane");
                let elements = self.weights.get(&hash).ok_or_else(missing)?;
                Span::read(elements.bytes()).part(0, operand.bytes, writes)
            }
            Some(Place::Own(_)) => Err(Error::new(Kind::Unsupported, "tensors that stay on a processor")),
        }
    }
}

fn operand(port: &Port) -> Operand {
    Operand { place: port.place, bytes: port.ty.host_bytes() }
}

/// The results of `loaded` for `inputs`, both in the model's order. Errors name the node by `name`.
pub fn execute(
    loaded: &Loaded,
    arena: &mut Arena,
    team: &dyn Team,
    inputs: &[&HostTensor],
    name: &dyn Fn(usize) -> String,
) -> Result<Vec<HostTensor>> {
    feed(loaded, arena, team, inputs)?;
    advance(loaded, arena, team, &mut Cursor::default(), name, &mut Whole(|_| {}))?;
    results(loaded, arena)
}

/// How far an execution came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    step: usize,
    phase: usize,
    unit: usize,
}

/// Who looks on while an execution goes on.
pub trait Watch {
    /// Parts that the units of each phase of a step are taken in, if not all at once.
    fn parts(&self, _cost: &DispatchCost) -> usize {
        1
    }

    /// The step of that number is done.
    fn done(&mut self, _step: usize) {}

    /// Asked after each part: whether to pause, or end, here.
    fn pauses(&mut self) -> bool {
        false
    }
}

/// Lets an execution go on to its end, and is told of each step.
pub struct Whole<F>(pub F);

impl<F: FnMut(usize)> Watch for Whole<F> {
    fn done(&mut self, step: usize) {
        (self.0)(step);
    }
}

/// Puts `inputs` where the steps of `loaded` read them.
#[inline(never)]
pub fn feed(loaded: &Loaded, arena: &mut Arena, team: &dyn Team, inputs: &[&HostTensor]) -> Result<()> {
    let program = &loaded.program;
    arena.grow(program, team.threads());
    let spans = Spans { arena: Span::write(bytemuck::cast_slice_mut(&mut arena.words)), weights: &loaded.weights };
    for (port, &tensor) in program.inputs.iter().zip(inputs) {
        if tensor.dtype() != port.ty.dtype || tensor.shape() != port.ty.shape {
            let text = format!("input '{}' is {:?}, not {:?}", port.name, tensor.shape(), port.ty);
            return Err(Error::new(Kind::InvalidInput, text));
        }
        let to = [spans.of(operand(port), true)?];
        // An input that nothing reads has no place.
        if port.place.is_some() {
            let from = tensor.bytes();
            Operands::new(&to, 0, Span::EMPTY, Span::EMPTY)?.write(0, 0..from.len()).copy_from_slice(from);
        }
    }
    Ok(())
}

/// Goes on from `at` until all steps are done, or `watch` pauses: whether they are. The arena must be left alone meanwhile.
pub fn advance<W: Watch>(
    loaded: &Loaded,
    arena: &mut Arena,
    team: &dyn Team,
    at: &mut Cursor,
    name: &dyn Fn(usize) -> String,
    watch: &mut W,
) -> Result<bool> {
    let program = &loaded.program;
    let Arena { words, scratch } = arena;
    let scratch = Span::write(bytemuck::cast_slice_mut(scratch));
    let spans = Spans { arena: Span::write(bytemuck::cast_slice_mut(words)), weights: &loaded.weights };
    // What writes nothing has nothing to compute.
    let busy = |step: &Step| step.operands[step.reads..].iter().any(|operand| operand.bytes > 0);
    while let Some(step) = program.steps.get(at.step) {
        if busy(step) {
            let paused = run(step, &spans, team, (scratch, apart(program)), at, watch);
            if paused.map_err(|e| e.in_node(&name(step.node)))? {
                return Ok(false);
            }
        }
        watch.done(at.step);
        *at = Cursor { step: at.step + 1, ..Cursor::default() };
    }
    Ok(true)
}

/// What `loaded` computed, once all its steps are done.
#[inline(never)]
pub fn results(loaded: &Loaded, arena: &mut Arena) -> Result<Vec<HostTensor>> {
    let spans = Spans { arena: Span::write(bytemuck::cast_slice_mut(&mut arena.words)), weights: &loaded.weights };
    loaded.program.outputs.iter().map(|port| taken(&spans, port)).collect()
}

/// Goes on with one step; whether `watch` paused before its end.
fn run<W: Watch>(
    step: &Step,
    spans: &Spans<'_>,
    team: &dyn Team,
    (scratch, apart): (Span<'_>, usize),
    at: &mut Cursor,
    watch: &mut W,
) -> Result<bool> {
    let each = step.operands.iter().enumerate();
    let operands = each.map(|(i, &operand)| spans.of(operand, i >= step.reads)).collect::<Result<Vec<_>>>()?;
    let shared = spans.of(step.shared, true)?;
    // Seen once for all threads: what is written overlaps nothing.
    Operands::new(&operands, step.reads, Span::EMPTY, shared)?;
    while at.phase < step.routine.phases() {
        let units = step.routine.units(at.phase);
        let most = units.div_ceil(watch.parts(&step.cost)).max(1);
        while at.unit < units {
            let (phase, first, count) = (at.phase, at.unit, most.min(units - at.unit));
            team.run(count, &|thread, units| {
                let own = scratch.part((thread * apart * 8) as u64, (step.routine.scratch() * 4) as u64, true)?;
                let units = units.start + first..units.end + first;
                step.routine.run(phase, units, &Operands::new(&operands, step.reads, own, shared)?)
            })?;
            at.unit += count;
            if watch.pauses() {
                return Ok(true);
            }
        }
        (at.phase, at.unit) = (at.phase + 1, 0);
    }
    Ok(false)
}

/// What an output holds at the end.
fn taken(spans: &Spans<'_>, port: &Port) -> Result<HostTensor> {
    let (shape, span) = (port.ty.shape.clone(), [spans.of(operand(port), false)?]);
    let from = Operands::new(&span, 1, Span::EMPTY, Span::EMPTY)?;
    if port.ty.is_empty() {
        return HostTensor::new(shape, Data::empty(port.ty.dtype));
    }
    let data = from.taken(0, port.ty.dtype)?;
    HostTensor::new(shape, data)
}
