//! The lane itself, and programs made ready on it: pipelines, parameters, weights, bind groups.

use super::Gpu;
use super::alloc::{Allocator, Block, Purpose};
use super::pipelines::{Pipeline, Pipelines};
use super::resident::{Input, block, resident_bytes};
use super::staging::{Arena, Staging};
use super::tape::{Encoder, Group, Tape, group};
use super::weights::{Held, Weights, weight_of};
use crate::error::{Error, Kind, Result};
use crate::graph::ContentHash;
use crate::kernels::{QUAD, Tuning};
use crate::lane::interface::NOBODY;
use crate::lane::measured::{Counts, Facts, Measured};
use crate::lane::pace::Pace;
use crate::lane::tensor::Resident;
use crate::lane::tensor::opening;
use crate::lane::traffic::{Traffic, TrafficCounts};
use crate::lane::work::Progress;
use crate::memory::{SlotPlan, align, weight_bytes};
use crate::program::{Dispatch, Making, Place, Program};
use futures_util::lock::{Mutex, MutexGuard};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// A program with all that the device needs to replay it.
pub struct Prepared {
    /// The program.
    pub program: Rc<Program>,
    /// Whether its traffic is counted.
    pub(super) counted: bool,
    pub(super) pipelines: Vec<Rc<Pipeline>>,
    pub(super) params: Option<Block>,
    pub(super) weights: HashMap<ContentHash, Rc<Block>>,
    tapes: RefCell<BTreeMap<u64, Rc<Tape>>>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("dispatches", &self.program.dispatches.len()).finish_non_exhaustive()
    }
}

/// The `gpu` lane.
pub struct GpuLane {
    pub(super) gpu: Rc<Gpu>,
    pub(super) opening: u64,
    pub(super) allocator: Allocator,
    pub(super) staging: Staging,
    pub(super) nudge: Cell<bool>,
    tuning: Cell<Tuning>,
    pub(super) measured: Cell<Measured>,
    turn: Mutex<()>,
    /// For what it measures of itself once it is open.
    pace: RefCell<Option<Pace>>,
    pub(super) traffic: Traffic,
    weights: Weights,
    pipelines: Pipelines,
}

impl std::fmt::Debug for GpuLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuLane").field("adapter", &self.gpu.facts.description).finish_non_exhaustive()
    }
}

impl GpuLane {
    /// A lane on `gpu` that holds at most `budget` bytes.
    pub fn new(gpu: Gpu, budget: Option<u64>) -> Self {
        let gpu = Rc::new(gpu);
        GpuLane {
            opening: opening(),
            allocator: Allocator::new(Rc::clone(&gpu), budget),
            staging: Staging::default(),
            nudge: Cell::new(false),
            tuning: Cell::default(),
            measured: Cell::default(),
            turn: Mutex::default(),
            pace: RefCell::default(),
            traffic: Traffic::default(),
            weights: Weights::default(),
            pipelines: Pipelines::new(Rc::clone(&gpu)),
            gpu,
        }
    }

    /// What the adapter says of itself.
    pub fn facts(&self) -> &Facts {
        &self.gpu.facts
    }

    /// An error where the device was lost.
    pub fn check(&self) -> Result<()> {
        self.gpu.check()
    }

    /// `error` of an operation here, or the loss of the device where that is its cause.
    pub async fn cause(&self, error: Error) -> Error {
        self.gpu.cause(error).await
    }

    /// Bytes allocated now.
    pub fn counts(&self) -> Counts {
        self.allocator.counts()
    }

    /// Most bytes that were ever allocated at one time.
    pub fn most_bytes(&self) -> u64 {
        self.allocator.most()
    }

    /// What crossed between host and device so far.
    pub fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    /// Says whether empty submits follow while a map is awaited; see the probes.
    pub fn set_nudge(&self, nudge: bool) {
        self.nudge.set(nudge);
    }

    /// Waits for the lane: one execution at a time, and none beside a run of what the lane measures itself with. What is
    /// compiled or brought meanwhile needs no turn.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Has it take what it measures of itself in moments of `pace`.
    pub fn set_pace(&self, pace: Pace) {
        self.pace.replace(Some(pace));
    }

    /// By what it takes what it measures of itself.
    pub fn pace(&self) -> Option<Pace> {
        self.pace.borrow().clone()
    }

    /// The kernel variants that programs for this lane are built with.
    pub fn tuning(&self) -> Tuning {
        self.tuning.get()
    }

    /// Says which kernel variants are fastest here; see the probes. Subgroups and f16 are used as
    /// far as this device has them.
    pub fn set_tuning(&self, tuning: Tuning) {
        let subgroups = if tuning.subgroups <= self.gpu.subgroups { tuning.subgroups } else { 0 };
        let quads = tuning.quads && self.gpu.subgroups >= QUAD;
        self.tuning.set(Tuning { subgroups, quads, halved: tuning.halved && self.gpu.f16, ..tuning });
    }

    /// Threads that every subgroup of the device has at least; 0 where kernels cannot use them.
    pub fn subgroups(&self) -> usize {
        self.gpu.subgroups
    }

    /// Whether shaders of the device may compute in f16.
    pub fn has_f16(&self) -> bool {
        self.gpu.f16
    }

    /// Compiles and uploads what `program` needs, for `holder`. What the host held of its weights is let go.
    pub async fn prepare(&self, holder: u64, mut program: Program, progress: &Progress<'_>) -> Result<Prepared> {
        self.check()?;
        let widest = program.dispatches.iter().flat_map(|d| &d.bindings).map(|b| b.bytes).max().unwrap_or(0);
        let most = self.gpu.limits.max_storage_buffer_binding_size;
        if widest > most {
            let text = format!("a tensor of {widest} bytes is above this adapter's binding limit of {most}");
            return Err(Error::new(Kind::OutOfMemory, text));
        }
        let pipelines = self.pipelines.get(&program.kernels, progress.compile);
        let weights = self.weights.hold(&self.gpu, &self.allocator, holder, &program, progress);
        // Both wait for the browser: side by side.
        let (pipelines, weights) = futures_util::future::join(pipelines, weights).await;
        let params = if program.params.is_empty() {
            None
        } else {
            let block = self.allocator.allocate(Purpose::Parameters, program.params.len() as u64).await?;
            self.gpu.queue.write_buffer(&block.buffer, 0, &program.params);
            Some(block)
        };
        let (pipelines, Held { mut weights, making }) = (pipelines?, weights?);
        if let Some(params) = params.as_ref().filter(|_| !making.is_empty()) {
            weights.extend(self.make(holder, &program, &pipelines, params, making).await?);
        }
        program.weights.values_mut().for_each(|weight| weight.tensor = None);
        program.making = Making::default();
        Ok(Prepared {
            program: Rc::new(program),
            counted: holder != NOBODY,
            pipelines,
            params,
            weights,
            tapes: RefCell::default(),
        })
    }

    /// Runs what makes the weights of `program` that are not resident; these, for `holder`.
    async fn make(
        &self,
        holder: u64,
        program: &Program,
        pipelines: &[Rc<Pipeline>],
        params: &Block,
        blocks: HashMap<ContentHash, Rc<Block>>,
    ) -> Result<HashMap<ContentHash, Rc<Block>>> {
        let missing = |what: &str| Error::new(Kind::Internal, format!("a weight is made without its {what}"));
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let record = || {
            let mut tape = Tape::default();
            let there = |hash| blocks.contains_key(&hash);
            let needed = |d: &&Dispatch| d.bindings.iter().all(|b| weight_of(b.place).is_some_and(there));
            let needed: Vec<&Dispatch> = program.making.dispatches.iter().filter(needed).collect();
            for dispatch in &needed {
                let pipeline = pipelines.get(dispatch.kernel).ok_or_else(|| missing("pipeline"))?;
                let mut ranges = vec![(&params.buffer, dispatch.params_offset, 256)];
                for bound in &dispatch.bindings {
                    let block = weight_of(bound.place).and_then(|hash| blocks.get(&hash));
                    let block = block.ok_or_else(|| missing("sources"))?;
                    ranges.push((&block.buffer, bound.offset, bound.bytes));
                }
                tape.append(pipeline, Some(&group(&self.gpu, pipeline, &ranges)), dispatch.workgroups);
            }
            let mut encoder = Encoder::new(&self.gpu);
            encoder.replay(&tape, 0..needed.len());
            encoder.submit();
            Ok(())
        };
        let recorded = record();
        if let Some(error) = scope.pop().await {
            return Err(self.gpu.fault(Kind::Internal, format!("the making of a weight was refused: {error}")));
        }
        recorded?;
        let made = program.weights.iter().filter(|(_, weight)| weight.made);
        let made = made.filter_map(|(hash, weight)| Some((*hash, weight.bytes, Rc::clone(blocks.get(hash)?))));
        Ok(made.map(|(hash, bytes, block)| (hash, self.weights.made(holder, hash, bytes, block))).collect())
    }

    /// Lets go of the weights that only `holder` held.
    pub fn release(&self, holder: u64) {
        self.weights.release(holder);
    }

    /// Bytes of weights that `holder` holds, and how many of these others hold too.
    pub fn weights_of(&self, holder: u64) -> (u64, u64) {
        self.weights.bytes_of(holder)
    }

    /// GPU bytes that executing `programs` in `slots` will hold: each weight once, parameters of each program once,
    /// arenas and staging as they are or will be made.
    pub fn predict_bytes(&self, programs: &[Rc<Program>], slots: &SlotPlan) -> u64 {
        let mut weights: BTreeMap<ContentHash, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut params = 0;
        for program in programs {
            if seen.insert(Rc::as_ptr(program)) {
                weights.extend(program.weights.iter().map(|(hash, weight)| (*hash, weight_bytes(weight.bytes))));
                params += program.params.len() as u64;
            }
        }
        let staging = self.staging.predict(slots, upload_bytes(programs), readback_bytes(programs));
        // Every request has outputs of its own.
        let kept: u64 = programs.iter().map(|p| resident_bytes(&p.outputs)).sum();
        weights.values().sum::<u64>() + params + staging.arenas + staging.staging + kept
    }

    /// Frees arenas and staging, which the next execution makes anew.
    pub fn trim(&self) {
        self.staging.clear();
    }

    /// Frees everything and gives the device back.
    pub fn close(&self) {
        self.staging.clear();
        self.gpu.close();
    }

    /// The dispatches of `prepared` in `arena`, recorded once for each arena; bind groups with tensors of one call, anew.
    pub(super) fn recorded(&self, prepared: &Prepared, arena: &Arena, own: &Own<'_>) -> Result<Recorded> {
        let known = prepared.tapes.borrow().get(&arena.generation).map(Rc::clone);
        let tape = match known {
            Some(tape) => tape,
            None => {
                let mut tape = Tape::default();
                for (i, dispatch) in prepared.program.dispatches.iter().enumerate() {
                    let group = match dispatch.binds_own() {
                        true => None,
                        false => Some(self.bind_group(prepared, arena, own, i)?),
                    };
                    let pipeline = prepared.pipelines.get(dispatch.kernel);
                    let pipeline = pipeline.ok_or_else(|| Error::new(Kind::Internal, "a dispatch has no pipeline"))?;
                    tape.append(pipeline, group.as_ref(), dispatch.workgroups);
                }
                let tape = Rc::new(tape);
                let mut cache = prepared.tapes.borrow_mut();
                // Generations only grow: beyond a handful, the lowest belong to arenas that are gone.
                while cache.len() >= 8 {
                    cache.pop_first();
                }
                cache.insert(arena.generation, Rc::clone(&tape));
                tape
            }
        };
        let of_call = tape
            .of_call()
            .iter()
            .map(|&i| Ok((i, self.bind_group(prepared, arena, own, i)?)))
            .collect::<Result<_>>()?;
        Ok(Recorded { tape, of_call })
    }

    fn bind_group(&self, prepared: &Prepared, arena: &Arena, own: &Own<'_>, index: usize) -> Result<Group> {
        let missing = |what: &str| Error::new(Kind::Internal, format!("dispatch {index} has no {what}"));
        let dispatch = &prepared.program.dispatches[index];
        let pipeline = prepared.pipelines.get(dispatch.kernel).ok_or_else(|| missing("pipeline"))?;
        let params = prepared.params.as_ref().ok_or_else(|| missing("parameters"))?;
        let mut ranges = vec![(&params.buffer, dispatch.params_offset, 256)];
        for bound in &dispatch.bindings {
            ranges.push(match bound.place {
                Place::Arena(offset) => (&arena.block.buffer, offset + bound.offset, bound.bytes),
                Place::Own(slot) => {
                    (own.buffer(slot).ok_or_else(|| missing("tensor of its own"))?, bound.offset, bound.bytes)
                }
                Place::Weight(hash) => {
                    let block = prepared.weights.get(&hash).ok_or_else(|| missing("weight"))?;
                    (&block.buffer, bound.offset, bound.bytes)
                }
            });
        }
        Ok(group(&self.gpu, pipeline, &ranges))
    }
}

/// The buffers that one request brings: tensors that stay on the device, by [`Place::Own`]'s number.
pub(super) struct Own<'a> {
    pub(super) inputs: &'a [Input],
    pub(super) outputs: &'a [Option<Rc<Resident>>],
}

impl Own<'_> {
    pub(super) fn buffer(&self, slot: usize) -> Option<&wgpu::Buffer> {
        let tensor = match self.inputs.get(slot) {
            Some(Input::Resident(tensor)) => Some(tensor),
            Some(Input::Words(_)) => None,
            None => self.outputs.get(slot - self.inputs.len()).and_then(Option::as_ref),
        };
        tensor.and_then(|t| block(t)).map(|b| &b.buffer)
    }
}

/// The dispatches of one request.
pub(super) struct Recorded {
    pub(super) tape: Rc<Tape>,
    /// Bind groups of this call, by dispatch.
    pub(super) of_call: BTreeMap<usize, Group>,
}

/// Bytes that the inputs of `programs` take in the upload buffer.
pub(super) fn upload_bytes(programs: &[Rc<Program>]) -> u64 {
    let ports = programs.iter().flat_map(|p| &p.inputs).filter(|p| matches!(p.place, Some(Place::Arena(_))));
    ports.map(|p| align(p.bytes(), 4)).sum()
}

/// Bytes that the outputs of `programs` take in the readback buffer.
pub(super) fn readback_bytes(programs: &[Rc<Program>]) -> u64 {
    let read = |p: &&crate::program::Port| p.place.is_some() && !p.resident;
    programs.iter().flat_map(|p| &p.outputs).filter(read).map(|p| align(p.bytes(), 4)).sum()
}
