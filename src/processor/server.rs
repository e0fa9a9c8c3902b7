//! A processor that answers requests: programs, weights and tensors by their numbers. Knows the messages of [`super::wire`];
//! must never know how they travel, or who asks.

use super::ceilings::{Ceilings, Clock, ceilings, utilisation};
use super::engine::{Arena, Cursor, Whole, advance, feed};
use super::execution::{Execution, Held, Ready, lacks};
use super::store::Store;
use super::team::Team;
use super::warm::Warming;
use super::wire::{Answer, Fed, INLINE_BYTES, Order, Prepared, Request, Run, read, written};
use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, Data, HostTensor, Source};
use crate::program::Residency;
use crate::program::cpu::{build, named};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// An answer in bytes, and the elements that it speaks of.
#[derive(Debug, Default)]
pub struct Reply {
    /// An [`Answer`].
    pub head: Vec<u8>,
    /// Elements, in its order.
    pub parts: Vec<Data>,
}

/// A processor and all that it holds.
#[derive(Debug)]
pub struct Server {
    clock: Clock,
    features: Vec<String>,
    store: Store,
    /// Where programs compute: all threads in the first, or each in its own.
    arenas: Vec<Arena>,
    /// Weights that were brought for programs that are not ready yet.
    brought: BTreeMap<u64, BTreeMap<ContentHash, Arc<HostTensor>>>,
    programs: BTreeMap<u64, Ready>,
    tensors: BTreeMap<u64, HostTensor>,
    ceilings: Ceilings,
    /// What paused, and is to go on.
    paused: Option<Execution>,
    warming: Warming,
    /// The number of the execution that is to end.
    stop: Arc<AtomicU32>,
}

impl Server {
    /// A processor built for `features`, whose clock counts milliseconds.
    pub fn new(clock: Clock, features: Vec<String>) -> Server {
        Server {
            clock,
            features,
            store: Store::default(),
            arenas: vec![Arena::default()],
            brought: BTreeMap::new(),
            programs: BTreeMap::new(),
            tensors: BTreeMap::new(),
            ceilings: Ceilings::default(),
            paused: None,
            warming: Warming::default(),
            stop: Arc::default(),
        }
    }

    /// Does what `head`, a [`Request`], asks with `parts`, on the threads of `team`. What cannot be done is an answer too.
    pub fn answer(&mut self, team: &dyn Team, head: &[u8], parts: Vec<Data>) -> Reply {
        self.begin(team, head, parts, f64::INFINITY).unwrap_or_else(|| Server::reply(Err(lacks("time"))))
    }

    /// As [`Server::answer`], but an execution pauses after so many milliseconds, with no answer yet: it goes on by [`Server::more`], and
    /// nothing else may be asked before it has ended.
    pub fn begin(&mut self, team: &dyn Team, head: &[u8], parts: Vec<Data>, slice_ms: f64) -> Option<Reply> {
        let done = match self.paused {
            Some(_) => Err(Error::new(Kind::Internal, "a processor that paused was asked something else")),
            None => read(head).and_then(|request| self.done(team, request, parts, slice_ms)),
        };
        done.transpose().map(Server::reply)
    }

    /// Spends a moment in which nothing is asked on what makes models fast from their first call on: whether another such moment is of use.
    pub fn warm(&mut self) -> bool {
        // What fails here will say so where somebody asks for it.
        self.paused.is_none() && self.warming.turn(self.clock).unwrap_or(false)
    }

    /// Goes on with what paused, for so many milliseconds: the answer, once there is one.
    pub fn more(&mut self, team: &dyn Team, slice_ms: f64) -> Option<Reply> {
        self.advance(team, slice_ms).transpose().map(Server::reply)
    }

    /// Has the execution of that number end with `Aborted`, when it goes on; any other goes on to its end.
    pub fn stop(&self, number: u32) {
        self.stop.store(number, Ordering::Relaxed);
    }

    /// The word that [`Server::stop`] writes: whoever shares the memory may write it while an execution is under way.
    pub fn stop_word(&self) -> &Arc<AtomicU32> {
        &self.stop
    }

    #[inline(never)]
    fn reply(done: Result<(Answer, Vec<Data>)>) -> Reply {
        let (answer, parts) = done.unwrap_or_else(|error| (Answer::Failed(error), vec![]));
        match written(&answer) {
            Ok(head) => Reply { head, parts },
            // An answer of nothing cannot be read: an error there too.
            Err(_) => Reply::default(),
        }
    }

    /// What was asked, done; nothing where it paused.
    #[inline(never)]
    fn done(
        &mut self,
        team: &dyn Team,
        request: Request,
        parts: Vec<Data>,
        slice_ms: f64,
    ) -> Result<Option<(Answer, Vec<Data>)>> {
        let mut parts = parts.into_iter();
        let mut part =
            |shape: Vec<usize>| parts.next().ok_or_else(|| lacks("part")).and_then(|data| HostTensor::new(shape, data));
        let answer = match request {
            Request::Greet => {
                let (threads, features) = (team.threads(), self.features.clone());
                Answer::Here { threads, features, device: String::new(), takes: None }
            }
            Request::Weight { program, hash, shape } => {
                self.brought.entry(program).or_default().insert(hash, Arc::new(part(shape)?));
                Answer::Done
            }
            Request::Prepare { program, holder, order } => {
                Answer::Prepared(self.prepare(team, program, holder, order)?)
            }
            Request::Execute { number, runs, threads, side_by_side } => {
                self.paused = Some(Execution::new((number, runs), (threads, side_by_side), (self.clock)(), part)?);
                return self.advance(team, slice_ms);
            }
            Request::Profile { run, repeats } => Answer::Profiled(self.profile(team, &run, repeats, part)?),
            Request::Keep { tensor, shape } => {
                self.tensors.insert(tensor, part(shape)?);
                Answer::Done
            }
            Request::Read(tensor) => {
                let tensor = self.tensors.get(&tensor).ok_or_else(|| lacks("tensor"))?;
                return Ok(Some((Answer::Done, vec![tensor.data().clone()])));
            }
            Request::Forget { programs, tensors } => {
                for program in programs {
                    self.programs.remove(&program);
                    self.brought.remove(&program);
                }
                tensors.iter().for_each(|tensor| drop(self.tensors.remove(tensor)));
                Answer::Done
            }
            Request::Release(holder) => {
                self.store.release(holder);
                Answer::Done
            }
            Request::Trim => {
                self.arenas = vec![Arena::default()];
                Answer::Done
            }
            Request::Measure => {
                self.measure(team)?;
                let Ceilings { flops_per_s, bytes_per_s, dispatch_s } = self.ceilings;
                Answer::Ceilings { flops_per_s, bytes_per_s, dispatch_s }
            }
            Request::Utilisation(class) => {
                // One that rested knows no ceilings any more.
                if self.ceilings.flops_per_s == 0.0 {
                    self.measure(team)?;
                }
                Answer::Reached(utilisation(class, &self.ceilings, team, self.clock)?)
            }
        };
        Ok(Some((answer, vec![])))
    }

    #[inline(never)]
    fn measure(&mut self, team: &dyn Team) -> Result<()> {
        self.ceilings = ceilings(team, self.clock)?;
        Ok(())
    }

    #[inline(never)]
    fn prepare(&mut self, team: &dyn Team, number: u64, holder: u64, mut order: Order) -> Result<Prepared> {
        let (mut known, brought) = (vec![], self.brought.remove(&number).unwrap_or_default());
        for tensor in &mut order.special.tensors {
            let Source::Constant(hash, value) = &mut tensor.source else { continue };
            let name = named(*hash, tensor.ty.dtype);
            if value.is_none() {
                *value = brought.get(&name).cloned().or_else(|| self.store.whole(&name));
            }
            if tensor.ty.host_bytes() as usize > INLINE_BYTES {
                known.push(name);
            }
        }
        let graph = order.graph();
        let program = build(&graph, &order.special, &Residency::default())?;
        drop(order);
        let held = program.weights.iter().filter(|(_, weight)| weight.used).map(|(&hash, weight)| (hash, weight.bytes));
        let held = held.chain(program.made.iter().map(|(&hash, made)| (hash, made.bytes))).collect();
        // What nothing reads, in no form, is gone.
        known.retain(|name| program.weights.contains_key(name));
        let prepared = Prepared {
            costs: program.steps.iter().map(|step| step.cost).collect(),
            arena: program.arena_bytes.next_multiple_of(8),
            scratch: Arena::scratch_bytes(&program, team.threads()),
            live: program.live_bytes,
            layout: program.layout.clone(),
            held,
            known,
        };
        let nodes = graph.nodes.into_iter().map(|node| node.name).collect();
        self.programs.insert(number, Ready::new(self.store.load(holder, program)?, nodes));
        Ok(prepared)
    }

    #[inline(never)]
    fn profile(
        &mut self,
        team: &dyn Team,
        run: &Run,
        repeats: usize,
        mut part: impl FnMut(Vec<usize>) -> Result<HostTensor>,
    ) -> Result<Vec<(String, f64)>> {
        let ready = self.programs.get(&run.program).ok_or_else(|| lacks("program"))?;
        let fed = |input: &Fed| match input {
            Fed::Part(shape) => part(shape.clone()),
            Fed::Kept(tensor) => self.tensors.get(tensor).cloned().ok_or_else(|| lacks("tensor")),
        };
        let inputs: Vec<HostTensor> = run.inputs.iter().map(fed).collect::<Result<_>>()?;
        let inputs: Vec<&HostTensor> = inputs.iter().collect();
        let steps = &ready.loaded.program.steps;
        let arena = self.arenas.first_mut().ok_or_else(|| lacks("arena"))?;
        let mut least = vec![f64::INFINITY; steps.len()];
        for _ in 0..repeats {
            feed(&ready.loaded, arena, team, &inputs)?;
            let mut last = (self.clock)();
            let mut watch = Whole(|step: usize| {
                let now = (self.clock)();
                least[step] = least[step].min(now - last);
                last = (self.clock)();
            });
            advance(&ready.loaded, arena, team, &mut Cursor::default(), &|_| String::new(), &mut watch)?;
        }
        let named = steps
            .iter()
            .map(|step| format!("{} {}", step.routine.name(), ready.nodes.get(step.node).map_or("", String::as_str)));
        Ok(named.zip(least).collect())
    }

    /// Goes on with the execution, which is over where it fails.
    #[inline(never)]
    fn advance(&mut self, team: &dyn Team, slice_ms: f64) -> Result<Option<(Answer, Vec<Data>)>> {
        let mut execution = self.paused.take().ok_or_else(|| lacks("execution"))?;
        let (programs, tensors, arenas) = (&mut self.programs, &mut self.tensors, &mut self.arenas);
        let done = execution.advance(&mut Held { programs, tensors, arenas }, team, self.clock, slice_ms, &self.stop);
        team.limit(team.threads());
        if done? {
            return Ok(Some((Answer::Executed(execution.spans, execution.alone), execution.sent)));
        }
        self.paused = Some(execution);
        Ok(None)
    }
}
