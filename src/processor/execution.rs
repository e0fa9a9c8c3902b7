//! The runs of a request, one after another, which may pause between parts of steps: where a processor has no worker of its own, the
//! page must breathe. Knows programs and tensors by their numbers; must never know messages.

use super::beside::{Beside, side_by_side};
use super::ceilings::Clock;
use super::engine::{Arena, Cursor, Watch, Whole, advance, feed, results};
use super::pace::Pace;
use super::store::Loaded;
use super::team::Team;
use super::wire::{Fed, Run};
use crate::error::{Error, Kind, Result};
use crate::graph::{Data, HostTensor};
use std::collections::BTreeMap;

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

/// A slice of time: an execution pauses when it is over.
struct Slice {
    clock: Clock,
    end: f64,
}

impl Watch for Slice {
    const PARTS: usize = 32;

    fn pauses(&mut self) -> bool {
        (self.clock)() >= self.end
    }
}

/// The run that is being executed.
#[derive(Debug)]
struct Under {
    cursor: Cursor,
    threads: usize,
    start: f64,
    /// What it took, without its pauses.
    spent: f64,
}

/// Runs that were begun.
#[derive(Debug)]
pub struct Execution {
    runs: Vec<Run>,
    /// Elements that came with each, by its inputs.
    given: Vec<Vec<Option<HostTensor>>>,
    most: usize,
    side_by_side: bool,
    began: f64,
    under: Option<Under>,
    /// When each run began and ended, in milliseconds from the beginning.
    pub spans: Vec<(f64, f64)>,
    /// Results that are not kept, in order.
    pub sent: Vec<Data>,
}

impl Execution {
    /// That of `runs` on `most` threads, side by side or not, which began at `now`; each tensor that is not there yet is the next `part` of that shape.
    pub fn new(
        runs: Vec<Run>,
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
        Ok(Execution { runs, given, most, side_by_side, began: now, under: None, spans: vec![], sent: vec![] })
    }

    /// Goes on for `slice_ms`, or to the end where that has none: whether all runs are done.
    pub fn advance(&mut self, on: &mut Held<'_>, team: &dyn Team, clock: Clock, slice_ms: f64) -> Result<bool> {
        let end = clock() + slice_ms;
        // What pauses has one thread only.
        let most = self.most.clamp(1, team.threads());
        if self.side_by_side && !end.is_finite() && most > 1 && self.runs.len() > 1 {
            team.limit(most);
            self.beside(on, team, clock)?;
            return Ok(true);
        }
        while self.spans.len() < self.runs.len() {
            if !self.step(on, team, clock, end)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on with the run that is next: whether it is done.
    fn step(&mut self, on: &mut Held<'_>, team: &dyn Team, clock: Clock, end: f64) -> Result<bool> {
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
                none.insert(Under { cursor: Cursor::default(), threads, start: resumed - self.began, spent: 0.0 })
            }
        };
        team.limit(under.threads);
        let name = |node: usize| ready.nodes.get(node).cloned().unwrap_or_default();
        let (loaded, cursor) = (&ready.loaded, &mut under.cursor);
        let done = match end.is_finite() {
            true => advance(loaded, arena, team, cursor, &name, &mut Slice { clock, end })?,
            false => advance(loaded, arena, team, cursor, &name, &mut Whole(|_| {}))?,
        };
        let now = clock();
        under.spent += now - resumed;
        if !done {
            return Ok(false);
        }
        ready.pace.took(under.threads, under.spent);
        self.spans.push((under.start, now - self.began));
        let results = results(&ready.loaded, arena)?;
        keep(run, results, on.tensors, &mut self.sent);
        // Its inputs are not needed any more.
        self.given[number].clear();
        self.under = None;
        Ok(true)
    }

    /// Does all runs, several at once.
    fn beside(&mut self, on: &mut Held<'_>, team: &dyn Team, clock: Clock) -> Result<()> {
        let mut all = vec![];
        for (run, given) in self.runs.iter().zip(&self.given) {
            let Ready { loaded, nodes, .. } = on.programs.get(&run.program).ok_or_else(|| lacks("program"))?;
            all.push(Beside { loaded, nodes, inputs: inputs(run, given, on.tensors)? });
        }
        let done = side_by_side(&all, on.arenas, team, clock)?;
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
