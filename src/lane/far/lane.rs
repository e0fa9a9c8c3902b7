//! A lane whose programs run elsewhere, by messages. Knows what was asked; must never know who answers, or how it computes.

use super::held::{Held, Kept, Program, Room, unexpected};
use super::measuring::{PASSES, measured};
use crate::error::{Error, Kind, Result};
use crate::graph::{Constant, FOLDED_ELEMENTS, Graph, HostTensor, Source, TensorType};
use crate::kernels::{Class, Tuning};
use crate::lane::host::{Task, now_ms};
use crate::lane::interface::{Lane, Turn};
use crate::lane::measured::{Counts, Facts, Measured, Precision};
use crate::lane::tensor::{Input, Output, Resident, opening};
use crate::lane::traffic::{Traffic, TrafficCounts};
use crate::lane::work::{Compiled, Footprint, Order, Outcome, Progress, SubmitSpan, Work};
use crate::lane::workers::Far;
use crate::memory::{SlotPlan, weight_bytes};
use crate::processor::wire::{Answer, Fed, Large, Order as Ordered, Request, Run, Takes};
use crate::program::cpu::named;
use crate::program::{Command, Extent, ProgramCost, Schedule};
use futures_util::lock::Mutex;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Bytes of weights that are on their way at once, beside one that may be larger: small ones are there sooner together.
const COMING: u64 = 1 << 20;

/// The lane.
#[derive(Debug)]
pub struct FarLane {
    name: &'static str,
    held: Rc<Held>,
    opening: u64,
    threads: usize,
    facts: Facts,
    takes: Option<Takes>,
    budget: Option<u64>,
    measured: Cell<Measured>,
    traffic: Traffic,
    turn: Mutex<()>,
}

impl FarLane {
    /// The lane of that name of what answers as a processor does, which may hold at most `budget` bytes.
    pub async fn open(name: &'static str, far: Box<dyn Far>, budget: Option<u64>) -> Result<FarLane> {
        let held = Rc::new(Held::new(far));
        let (Answer::Here { threads, features, device, takes }, _) = held.ask(&Request::Greet, &[]).await? else {
            return Err(unexpected());
        };
        let facts = Facts {
            description: match device.as_str() {
                "" => format!("processor, {threads} thread{}", if threads == 1 { "" } else { "s" }),
                _ => device,
            },
            features,
            ..Facts::default()
        };
        let measured = Cell::default();
        Ok(FarLane {
            name,
            takes,
            held,
            opening: opening(),
            threads,
            facts,
            budget,
            measured,
            traffic: Traffic::default(),
            turn: Mutex::default(),
        })
    }

    /// Bytes of what executing `programs` touches: each weight once, and what all of them compute in, as it is or will be.
    fn needed<'a>(&self, programs: impl Iterator<Item = &'a Rc<Compiled>>, slots: &SlotPlan) -> u64 {
        let programs: Vec<&Program> = programs.filter_map(|compiled| own(compiled).ok()).collect();
        let mut weights = BTreeMap::new();
        programs.iter().for_each(|program| weights.extend(program.prepared.held.iter().copied()));
        let (room, arenas) = self.rooms(programs.iter().copied(), slots);
        weights.values().map(|&bytes| weight_bytes(bytes)).sum::<u64>() + self.held.arena_bytes_with(room, arenas)
    }

    /// The room that `programs` need, and in how many arenas: where they have slots of their own, each thread that runs some of them
    /// has one.
    fn rooms<'a>(&self, programs: impl Iterator<Item = &'a Program>, slots: &SlotPlan) -> (Room, usize) {
        let arenas = slots.bytes.len().clamp(1, self.threads);
        let threads = if arenas > 1 { self.threads as u64 } else { 1 };
        let room = |p: &Program| Room { arena: p.prepared.arena, scratch: p.prepared.scratch / threads };
        (programs.map(room).fold(Room::default(), Room::and), arenas)
    }

    /// Refuses `more` bytes that the budget has no room for.
    fn room(&self, more: u64) -> Result<()> {
        let held = self.held.bytes();
        match self.budget {
            Some(budget) if held + more > budget => {
                let text = format!("{more} bytes more would pass the memory budget of {budget} ({held} are held)");
                Err(Error::new(Kind::OutOfMemory, text))
            }
            _ => Ok(()),
        }
    }

    /// `tensor` as what is left there.
    fn resident(&self, ty: TensorType) -> (Resident, u64) {
        let bytes = ty.host_bytes();
        let kept = Kept::new(&self.held, bytes);
        let number = kept.number;
        (Resident { ty, lane: self.name, opening: self.opening, bytes, own: Box::new(kept) }, number)
    }

    /// Brings what an order needs and is not there, then asks for it: also what it took from then on, in milliseconds.
    async fn prepared(
        &self,
        holder: u64,
        order: Ordered,
        large: Large,
        mut program: Program,
        progress: &Progress<'_>,
    ) -> Result<(Program, f64)> {
        let bytes = |tensor: &HostTensor| tensor.bytes().len() as u64;
        let constants = order.special.tensors.iter().filter(|t| matches!(t.source, Source::Constant(..)));
        let total: u64 = constants.map(|t| t.ty.host_bytes()).sum();
        let (mut sent, mut done) = (BTreeSet::new(), 0);
        let name = |hash| {
            let tensor = order.special.tensors.iter().find(|t| match t.source {
                Source::Constant(of, _) => named(of, t.ty.dtype) == hash,
                _ => false,
            });
            tensor.map(|t| t.name.clone()).unwrap_or_default()
        };
        let mut coming = VecDeque::new();
        // What is there may go while another is on its way: the last look and the order are of one turn.
        loop {
            let next = large.iter().find(|(hash, _)| !sent.contains(*hash) && !self.held.knows(hash));
            if next.is_none() || coming.iter().map(|(_, bytes)| bytes).sum::<u64>() > COMING {
                let Some((answer, bytes)) = coming.pop_front() else { break };
                answer.await?;
                done += bytes;
                (progress.upload)(done, total);
                continue;
            }
            let Some((&hash, tensor)) = next else { break };
            let missing = || Error::new(Kind::Internal, format!("the weight '{}' is held by nobody", name(hash)));
            let tensor = tensor.as_ref().ok_or_else(missing)?;
            if !sent.is_empty() || self.budget.is_some() {
                self.room(weight_bytes(bytes(tensor)))?;
            }
            let request = Request::Weight { program: program.number, hash, shape: tensor.shape().to_vec() };
            coming.push_back((self.held.ask(&request, &[tensor]), bytes(tensor)));
            sent.insert(hash);
        }
        drop(large);
        let began = now_ms();
        let request = Request::Prepare { program: program.number, holder, order };
        let (Answer::Prepared(prepared), _) = self.held.ask(&request, &[]).await? else { return Err(unexpected()) };
        (progress.upload)(total, total);
        let steps = prepared.costs.len();
        (progress.compile)(steps, steps);
        self.held.hold(holder, &prepared);
        if let Err(error) = self.room(0) {
            self.held.release(holder);
            return Err(error);
        }
        program.prepared = prepared;
        Ok((program, now_ms() - began))
    }

    /// Which requests `schedule` runs, in its order.
    fn order(works: usize, schedule: &Schedule) -> Vec<usize> {
        let mut order = vec![];
        for command in &schedule.commands {
            if let Command::Download { program } = command
                && !order.contains(program)
            {
                order.push(*program);
            }
        }
        order.extend((0..works).filter(|work| !order.contains(work)).collect::<Vec<_>>());
        order
    }
}

/// What this lane made of a program.
fn own(compiled: &Compiled) -> Result<&Program> {
    compiled.own.downcast_ref::<Program>().ok_or_else(|| Error::new(Kind::Internal, "a program of another lane"))
}

fn kept(tensor: &Resident) -> Result<&Kept> {
    tensor.own.downcast_ref::<Kept>().ok_or_else(|| Error::new(Kind::Internal, "a tensor of another lane"))
}

impl Lane for FarLane {
    fn name(&self) -> &'static str {
        self.name
    }

    fn opening(&self) -> u64 {
        self.opening
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn bits(&self) -> Option<u32> {
        if self.takes.is_none() {
            return Some(Precision::FLOAT32);
        }
        // As `pkg/webnn/precision.js` tells of each kind of product.
        let bits = |feature: &String| match feature.split_once('-')?.1 {
            "float32" => Some(Precision::FLOAT32),
            bits => bits.strip_suffix("-bits")?.parse().ok(),
        };
        self.facts.features.iter().filter_map(bits).min()
    }

    fn refuses(&self, graph: &Graph) -> Option<Error> {
        self.takes.as_ref()?.refuses(graph, &self.facts.description)
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn adds_up(&self) -> bool {
        // What takes everything is a processor, and there are several.
        self.takes.is_none()
    }

    fn holds(&self, graph: &Graph) -> bool {
        graph.values.iter().any(|value| {
            let large = |c: &&Constant| c.shape.iter().product::<usize>() > FOLDED_ELEMENTS;
            let constant = value.constant.as_ref().filter(large);
            constant.is_some_and(|c| self.held.knows(&named(c.hash, c.dtype)))
        })
    }

    fn check(&self) -> Result<()> {
        match self.held.far.lost() {
            Some(why) => {
                Err(Error::new(Kind::DeviceLost, format!("what the lane '{}' asks is gone: {why}", self.name)))
            }
            None => Ok(()),
        }
    }

    fn cause(&self, error: Error) -> Task<'_, Error> {
        Box::pin(async move { self.check().err().unwrap_or(error) })
    }

    fn prepare<'a>(&'a self, holder: u64, order: Order<'_>, progress: &'a Progress<'a>) -> Task<'a, Result<Compiled>> {
        let special = order.special;
        let (ordered, large) = Ordered::of(order.graph, special);
        let names: Vec<String> = special.outputs.iter().map(|id| special.tensors[id.0].name.clone()).collect();
        let types = |ids: &[crate::graph::TensorId]| -> Vec<TensorType> {
            ids.iter().map(|id| special.tensors[id.0].ty.clone()).collect()
        };
        let moved = |types: &[TensorType], stays: &dyn Fn(usize) -> bool| -> f64 {
            let bytes = types.iter().enumerate().filter(|(i, _)| !stays(*i)).map(|(_, ty)| ty.host_bytes());
            bytes.sum::<u64>() as f64
        };
        let (inputs, outputs) = (types(&special.inputs), types(&special.outputs));
        let residency = order.residency;
        let upload_bytes = moved(&inputs, &|i| residency.input(i));
        let readback_bytes = moved(&outputs, &|i| residency.output(i));
        let constants = special.tensors.iter().filter_map(|t| match t.source {
            Source::Constant(hash, _) => Some((named(hash, t.ty.dtype), hash)),
            _ => None,
        });
        let constants: Vec<_> = constants.collect();
        let outputs = outputs.into_iter().enumerate().map(|(i, ty)| (ty, residency.output(i))).collect();
        let program = Program::new(&self.held, outputs);
        Box::pin(async move {
            let began = now_ms();
            self.check()?;
            let (program, built_ms) = self.prepared(holder, ordered, large, program, progress).await?;
            let prepared = &program.prepared;
            let known: BTreeSet<_> = prepared.known.iter().collect();
            Ok(Compiled {
                cost: ProgramCost {
                    model: String::new(),
                    dispatches: prepared.costs.clone(),
                    upload_bytes,
                    readback_bytes,
                    alone: Cell::default(),
                },
                extent: Extent { dispatches: prepared.costs.len(), arena_bytes: prepared.arena },
                outputs: names,
                footprint: Footprint {
                    parameters: 0,
                    arena: prepared.arena,
                    live: prepared.live,
                    steps: prepared.costs.len() + 2,
                    layout: prepared.layout.clone(),
                },
                weights: constants.iter().filter(|(name, _)| known.contains(name)).map(|(_, hash)| *hash).collect(),
                brought_ms: now_ms() - began - built_ms,
                built_ms,
                own: Rc::new(program),
            })
        })
    }

    fn turn(&self) -> Task<'_, Turn<'_>> {
        Box::pin(self.turn.lock())
    }

    fn execute<'a>(&'a self, works: &'a [Work], schedule: &'a Schedule, share: usize) -> Task<'a, Result<Outcome>> {
        Box::pin(async move {
            self.check()?;
            let began = now_ms();
            let mut order = FarLane::order(works.len(), schedule);
            if schedule.slots.bytes.len() > 1 {
                // The longest first: whoever has the last is done soonest then.
                let flops = |work: &usize| works[*work].compiled.cost.dispatches.iter().map(|d| d.flops).sum::<f64>();
                order.sort_by(|a, b| flops(b).total_cmp(&flops(a)));
            }
            let (mut runs, mut parts, mut stays) = (vec![], vec![], vec![]);
            let programs = works.iter().map(|work| own(&work.compiled)).collect::<Result<Vec<_>>>()?;
            let (room, arenas) = self.rooms(programs.into_iter(), &schedule.slots);
            let more = self.held.arena_bytes_with(room, arenas) - self.held.arena_bytes_with(Room::default(), arenas);
            self.room(more)?;
            self.held.computes_in(room, arenas);
            for &work in &order {
                let work = &works[work];
                let program = own(&work.compiled)?;
                let mut inputs = vec![];
                for input in &work.inputs {
                    inputs.push(match input {
                        Input::Host(tensor) => {
                            self.traffic.uploaded(tensor.bytes().len() as u64);
                            parts.push(&**tensor);
                            Fed::Part(tensor.shape().to_vec())
                        }
                        Input::Resident(tensor) => Fed::Kept(kept(tensor)?.number),
                    });
                }
                let stay = |(ty, stays): &(TensorType, bool)| stays.then(|| self.resident(ty.clone()));
                let residents: Vec<_> = program.outputs.iter().map(stay).collect();
                let kept = residents.iter().map(|r| r.as_ref().map(|(_, number)| *number)).collect();
                runs.push(Run { program: program.number, inputs, kept });
                stays.push(residents);
            }
            let (threads, side_by_side) = ((self.threads / share.max(1)).max(1), schedule.slots.bytes.len() > 1);
            let asked = self.held.execute(runs, threads, side_by_side, &parts);
            let record_ms = now_ms() - began;
            let (Answer::Executed(spans, alone), told) = asked.await? else { return Err(unexpected()) };
            for (&work, alone) in order.iter().zip(alone) {
                works[work].compiled.cost.alone.set(alone);
            }
            let mut parts = told.parts.into_iter();
            let mut outputs: Vec<Vec<Output>> = works.iter().map(|_| vec![]).collect();
            let (mut read, mut left) = (0, 0);
            for (&work, residents) in order.iter().zip(stays) {
                let types = &own(&works[work].compiled)?.outputs;
                for ((ty, _), resident) in types.iter().zip(residents) {
                    outputs[work].push(match resident {
                        Some((resident, _)) => {
                            left += resident.bytes;
                            Output::Resident(Rc::new(resident))
                        }
                        None => {
                            let data = parts.next().ok_or_else(unexpected)?;
                            read += ty.host_bytes();
                            Output::Host(HostTensor::new(ty.shape.clone(), data)?)
                        }
                    });
                }
            }
            self.traffic.executed();
            if read > 0 {
                self.traffic.read_back(read);
            }
            let submits = order.iter().zip(&spans).map(|(&work, &(begin, end))| SubmitSpan {
                programs: vec![work],
                submitted_ms: record_ms + begin,
                done_ms: record_ms + end,
            });
            let submits = submits.collect();
            Ok(Outcome {
                outputs,
                total_ms: now_ms() - began,
                record_ms,
                submits,
                bytes: self.needed(works.iter().map(|work| &work.compiled), &schedule.slots) + left,
                awaited: true,
            })
        })
    }

    fn stop(&self) {
        self.held.stop();
    }

    fn upload<'a>(&'a self, tensor: &'a HostTensor) -> Task<'a, Result<Resident>> {
        Box::pin(async move {
            self.check()?;
            self.room(tensor.bytes().len() as u64)?;
            let (resident, number) = self.resident(TensorType::new(tensor.dtype(), tensor.shape()));
            self.traffic.uploaded(resident.bytes);
            self.held.ask(&Request::Keep { tensor: number, shape: tensor.shape().to_vec() }, &[tensor]).await?;
            Ok(resident)
        })
    }

    fn read<'a>(&'a self, tensor: &'a Resident) -> Task<'a, Result<HostTensor>> {
        Box::pin(async move {
            self.check()?;
            let (_, told) = self.held.ask(&Request::Read(kept(tensor)?.number), &[]).await?;
            self.traffic.read_back(tensor.bytes);
            HostTensor::new(tensor.ty.shape.clone(), told.parts.into_iter().next().ok_or_else(unexpected)?)
        })
    }

    fn counts(&self) -> Counts {
        Counts {
            weights: self.held.weights.borrow().bytes() + self.held.far.twice(),
            arenas: self.held.arena_bytes(),
            tensors: self.held.tensors.get(),
            ..Counts::default()
        }
    }

    fn most_bytes(&self) -> u64 {
        // What runs where it is called is held there, too, which is noted nowhere.
        self.held.most().max(self.counts().total())
    }

    fn weights_of(&self, holder: u64) -> (u64, u64) {
        self.held.weights.borrow().bytes_of(holder)
    }

    fn predict_bytes(&self, programs: &[Rc<Compiled>], slots: &SlotPlan) -> u64 {
        self.needed(programs.iter(), slots)
    }

    fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    fn release(&self, holder: u64) {
        self.held.release(holder);
    }

    fn trim(&self) {
        self.held.forget_arenas();
        self.held.tell(&Request::Trim);
    }

    fn close(&self) {
        self.held.far.close();
    }

    fn kernels(&self) -> Result<String> {
        Ok(format!("{} {}", env!("CARGO_PKG_VERSION"), self.facts.features.join(" ")))
    }

    fn measure(&self, _known: Option<Tuning>) -> Task<'_, Result<Measured>> {
        Box::pin(async move {
            let measured = measured(&self.held, |ty| self.resident(ty)).await?;
            self.measured.set(measured);
            Ok(measured)
        })
    }

    fn measured(&self) -> Measured {
        self.measured.get()
    }

    fn tuning(&self) -> Tuning {
        Tuning::default()
    }

    fn tune(&self) -> Task<'_, Result<()>> {
        Box::pin(async move { self.check() })
    }

    fn prepare_classes(&self) -> Task<'_, Result<()>> {
        Box::pin(async move { self.check() })
    }

    fn utilisation(&self, class: Class) -> Task<'_, Result<Option<f64>>> {
        Box::pin(async move {
            match self.held.ask(&Request::Utilisation(class), &[]).await? {
                (Answer::Reached(share), _) => Ok(Some(share)),
                _ => Err(unexpected()),
            }
        })
    }

    fn passes(&self) -> usize {
        PASSES
    }
}
