//! Runs side by side: each by one thread, in an arena of that thread's own. Knows programs and threads; must never know messages.

use super::ceilings::Clock;
use super::engine::{Arena, Cursor, advance, feed, results};
use super::slice::{Slice, Stop, stopped};
use super::store::Loaded;
use super::team::{Alone, Team};
use crate::error::{Error, Kind, Result};
use crate::graph::HostTensor;
use std::sync::{Mutex, PoisonError};

/// A program with what it is fed.
#[derive(Debug)]
pub struct Beside<'a> {
    /// What is executed.
    pub loaded: &'a Loaded,
    /// The names of its nodes, for errors.
    pub nodes: &'a [String],
    /// Its inputs, in the model's order.
    pub inputs: Vec<&'a HostTensor>,
    /// What it took lately, in milliseconds, and the weights of its steps.
    pub known: (f64, f64),
}

/// What a run gave, when it began and ended.
pub type Done = (Vec<HostTensor>, (f64, f64));

/// The results of `runs`, which `team` shares out; `arenas` has one for each of its threads afterwards, as far as there are runs for
/// them. Times are milliseconds from the beginning of the arena that it ran in: clocks of threads need not agree. All end where `stop`
/// says so.
pub fn side_by_side(
    runs: &[Beside<'_>],
    arenas: &mut Vec<Arena>,
    team: &dyn Team,
    clock: Clock,
    stop: Stop<'_>,
) -> Result<Vec<Done>> {
    let threads = team.threads().min(runs.len());
    arenas.resize_with(arenas.len().max(threads), Arena::default);
    // Whoever runs which: what is held is the same, and known before.
    for arena in &mut arenas[..threads] {
        runs.iter().for_each(|run| arena.grow(&run.loaded.program, 1));
    }
    // Of more threads than runs any may come first.
    let free: Mutex<Vec<(&mut Arena, f64)>> = Mutex::new(arenas[..threads].iter_mut().map(|a| (a, 0.0)).collect());
    let taken = || free.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let done: Vec<Mutex<Option<Done>>> = runs.iter().map(|_| Mutex::new(None)).collect();
    team.run(runs.len(), &|_, units| {
        let none = || Error::new(Kind::Internal, "a thread without an arena");
        let (arena, mut spent) = taken().ok_or_else(none)?;
        for unit in units {
            let run = &runs[unit];
            let name = |node: usize| run.nodes.get(node).cloned().unwrap_or_default();
            let began = clock();
            feed(run.loaded, arena, &Alone, &run.inputs)?;
            let mut watch = Slice::new(clock, (f64::INFINITY, f64::INFINITY), run.known, stop);
            if !advance(run.loaded, arena, &Alone, &mut Cursor::default(), &name, &mut watch)? {
                return Err(stopped());
            }
            let results = results(run.loaded, arena)?;
            let span = (spent, spent + clock() - began);
            spent = span.1;
            *done[unit].lock().unwrap_or_else(PoisonError::into_inner) = Some((results, span));
        }
        free.lock().unwrap_or_else(PoisonError::into_inner).push((arena, spent));
        Ok(())
    })?;
    let missing = || Error::new(Kind::Internal, "a run of several was left out");
    let told = |done: Mutex<Option<Done>>| done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().map(|done| told(done).ok_or_else(missing)).collect()
}
