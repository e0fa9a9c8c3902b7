//! The runs of a request, one after another, which may pause between parts of steps, so that a page breathes that has no worker for
//! them and a worker hears that they are to end; and which end there once nobody wants them. Knows programs and tensors by their
//! numbers; must never know messages.

use super::beside::{Beside, side_by_side};
use super::ceilings::Clock;
use super::engine::{Arena, Cursor, advance, feed, results};
use super::pace::Pace;
use super::slice::{Slice, Stop, stopped, weight};
use super::store::Loaded;
use super::team::Team;
use super::wire::{Fed, Run};
use crate::error::{Error, Kind, Result};
use crate::graph::{Data, HostTensor};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

/// That something was asked for which is not there.
pub fn lacks(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the processor has no such {what}"))
}

/// A program with the names of its nodes, for errors.
#[derive(Debug)]
pub struct Ready {
    /// What is executed.
    pub loaded: Loaded,
    /// The names of its nodes.
    pub nodes: Vec<String>,
    /// Whether one thread is better.
    pub pace: Pace,
    /// What its last run took in milliseconds; infinite before the first.
    pub took_ms: f64,
}

impl Ready {
    /// A program that did not run yet.
    pub fn new(loaded: Loaded, nodes: Vec<String>) -> Ready {
        Ready { loaded, nodes, pace: Pace::default(), took_ms: f64::INFINITY }
    }

    /// What its last run took, and the weights of its steps.
    fn known(&self) -> (f64, f64) {
        (self.took_ms, self.loaded.program.steps.iter().map(|step| weight(&step.cost)).sum())
    }
}

/// What executions work on.
pub struct Held<'a> {
    /// Programs by their numbers.
    pub programs: &'a mut BTreeMap<u64, Ready>,
    /// Tensors that were kept.
    pub tensors: &'a mut BTreeMap<u64, HostTensor>,
    /// Where they compute: one after another in the first.
    pub arenas: &'a mut Vec<Arena>,
}

/// The run that is being executed.
#[derive(Debug)]
struct Under {
    cursor: Cursor,
    threads: usize,
    /// What its program took before, and the weights of its steps.
    known: (f64, f64),
    start: f64,
    /// What it took, without its pauses.
    spent: f64,
}

/// Runs that were begun.
#[derive(Debug)]
pub struct Execution {
    /// Its number, by which it is stopped.
    number: u32,
    runs: Vec<Run>,
    /// Elements that came with each, by its inputs.
    given: Vec<Vec<Option<HostTensor>>>,
    most: usize,
    side_by_side: bool,
    began: f64,
    under: Option<Under>,
    /// When each run began and ended, in milliseconds from the beginning.
    pub spans: Vec<(f64, f64)>,
    /// How many times as long each takes by one thread as it is run best, where that is known.
    pub alone: Vec<Option<f64>>,
    /// Results that are not kept, in order.
    pub sent: Vec<Data>,
}

impl Execution {
    /// That of `runs`, of that number, on `most` threads, side by side or not, which began at `now`; each tensor that is not there yet is the next `part` of that shape.
    #[inline(never)]
    pub fn new(
        (number, runs): (u32, Vec<Run>),
        (most, side_by_side): (usize, bool),
        now: f64,
        mut part: impl FnMut(Vec<usize>) -> Result<HostTensor>,
    ) -> Result<Execution> {
        let mut fed = |input: &Fed| match input {
            Fed::Part(shape) => part(shape.clone()).map(Some),
            Fed::Kept(_) => Ok(None),
        };
        let given = runs.iter().map(|run| run.inputs.iter().map(&mut fed).collect::<Result<_>>());
        let given = given.collect::<Result<_>>()?;
        let (spans, alone, sent) = (vec![], vec![], vec![]);
        Ok(Execution { number, runs, given, most, side_by_side, began: now, under: None, spans, alone, sent })
    }

    /// Goes on for `slice_ms`, or to the end where that has none: whether all runs are done. `Aborted` once `word` has its number.
    #[inline(never)]
    pub fn advance(
        &mut self,
        on: &mut Held<'_>,
        team: &dyn Team,
        clock: Clock,
        slice_ms: f64,
        word: &AtomicU32,
    ) -> Result<bool> {
        let stop = Stop { word, number: self.number };
        let (slice, before) = ((clock() + slice_ms, slice_ms), self.spans.len());
        let most = self.most.clamp(1, team.threads());
        // Several threads share out whole runs, which do not pause.
        if self.side_by_side && most > 1 && self.runs.len() > 1 {
            team.limit(most);
            self.beside(on, team, clock, stop)?;
            return Ok(true);
        }
        while self.spans.len() < self.runs.len() {
            // Between runs, too, one may pause: each may be too short for that.
            if stop.is_set() {
                return Err(stopped());
            }
            if self.spans.len() > before && slice_ms.is_finite() && clock() >= slice.0 {
                return Ok(false);
            }
            if !self.step(on, team, clock, slice, stop)? {
                return if stop.is_set() { Err(stopped()) } else { Ok(false) };
            }
        }
        Ok(true)
    }

    /// Goes on with the run that is next: whether it is done.
    #[inline(never)]
    fn step(
        &mut self,
        on: &mut Held<'_>,
        team: &dyn Team,
        clock: Clock,
        slice: (f64, f64),
        stop: Stop<'_>,
    ) -> Result<bool> {
        let number = self.spans.len();
        let run = &self.runs[number];
        let ready = on.programs.get_mut(&run.program).ok_or_else(|| lacks("program"))?;
        let resumed = clock();
        if on.arenas.is_empty() {
            on.arenas.push(Arena::default());
        }
        let arena = on.arenas.first_mut().ok_or_else(|| lacks("arena"))?;
        let under = match &mut self.under {
            Some(under) => under,
            none => {
                let inputs = inputs(run, &self.given[number], on.tensors)?;
                feed(&ready.loaded, arena, team, &inputs)?;
                let threads = ready.pace.threads(self.most.clamp(1, team.threads()));
                let (known, start) = (ready.known(), resumed - self.began);
                none.insert(Under { cursor: Cursor::default(), threads, known, start, spent: 0.0 })
            }
        };
        team.limit(under.threads);
        let name = |node: usize| ready.nodes.get(node).cloned().unwrap_or_default();
        let (loaded, cursor) = (&ready.loaded, &mut under.cursor);
        let mut watch = Slice::new(clock, slice, under.known, stop);
        let done = advance(loaded, arena, team, cursor, &name, &mut watch)?;
        let now = clock();
        under.spent += now - resumed;
        if !done {
            return Ok(false);
        }
        ready.pace.took(under.threads, under.spent);
        ready.took_ms = under.spent;
        self.spans.push((under.start, now - self.began));
        // One of one thread runs it best by that.
        self.alone.push(if team.threads() > 1 { ready.pace.alone() } else { Some(1.0) });
        let results = results(&ready.loaded, arena)?;
        keep(run, results, on.tensors, &mut self.sent);
        // Its inputs are not needed any more.
        self.given[number].clear();
        self.under = None;
        Ok(true)
    }

    /// Does all runs, several at once.
    #[inline(never)]
    fn beside(&mut self, on: &mut Held<'_>, team: &dyn Team, clock: Clock, stop: Stop<'_>) -> Result<()> {
        let mut all = vec![];
        for (run, given) in self.runs.iter().zip(&self.given) {
            let ready = on.programs.get(&run.program).ok_or_else(|| lacks("program"))?;
            let (loaded, nodes, known) = (&ready.loaded, &ready.nodes[..], ready.known());
            all.push(Beside { loaded, nodes, inputs: inputs(run, given, on.tensors)?, known });
        }
        let done = side_by_side(&all, on.arenas, team, clock, stop)?;
        for (run, (results, span)) in self.runs.iter().zip(done) {
            self.spans.push(span);
            keep(run, results, on.tensors, &mut self.sent);
        }
        Ok(())
    }
}

/// What a run is fed: what came with it, and what was kept.
fn inputs<'a>(
    run: &Run,
    given: &'a [Option<HostTensor>],
    tensors: &'a BTreeMap<u64, HostTensor>,
) -> Result<Vec<&'a HostTensor>> {
    let input = |(input, given): (&Fed, &'a Option<HostTensor>)| match (input, given) {
        (_, Some(tensor)) => Ok(tensor),
        (Fed::Kept(tensor), None) => tensors.get(tensor).ok_or_else(|| lacks("tensor")),
        (Fed::Part(_), None) => Err(lacks("part")),
    };
    run.inputs.iter().zip(given).map(input).collect()
}

/// Keeps those results of a run that stay, and adds the others to what is sent.
fn keep(run: &Run, results: Vec<HostTensor>, tensors: &mut BTreeMap<u64, HostTensor>, sent: &mut Vec<Data>) {
    for (i, tensor) in results.into_iter().enumerate() {
        match run.kept.get(i).copied().flatten() {
            Some(number) => drop(tensors.insert(number, tensor)),
            None => sent.push(tensor.into_data()),
        }
    }
}
