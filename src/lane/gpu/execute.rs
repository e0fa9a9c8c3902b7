//! Replays a schedule: one upload, the recorded dispatches, one map for the outputs of all requests.

use super::alloc::Block;
use super::prepare::{GpuLane, Own, Prepared, Recorded, readback_bytes, upload_bytes};
use super::resident::{Input, block};
use super::tape::Encoder;
use crate::error::{Error, Kind, Result};
use crate::graph::{ContentHash, HostTensor};
use crate::lane::host::now_ms;
use crate::lane::tensor::{Output, Resident};
use crate::lane::work::{Outcome, SubmitSpan};
use crate::program::{Command, Place, Program, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// One request: a prepared program and its inputs, in the order of [`Program::inputs`].
#[derive(Clone, Debug)]
pub struct Work {
    /// The program.
    pub prepared: Rc<Prepared>,
    /// Each input.
    pub inputs: Vec<Input>,
}

/// An execution that the queue has.
pub struct Pending {
    counted: bool,
    programs: Vec<Rc<Program>>,
    kept: Vec<Vec<Option<Rc<Resident>>>>,
    readback: Option<Block>,
    readback_bytes: u64,
    started_ms: f64,
    recorded_ms: f64,
    bytes: u64,
    submits: Vec<(Vec<usize>, f64)>,
    done: Arc<Mutex<Vec<(usize, f64)>>>,
    refused: std::pin::Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("submits", &self.submits.len()).finish_non_exhaustive()
    }
}

impl GpuLane {
    /// Records and submits `works` by `schedule`. Returns once the queue has it all; [`GpuLane::finish`] waits.
    pub async fn submit(&self, works: &[Work], schedule: &Schedule) -> Result<Pending> {
        self.check()?;
        let programs: Vec<Rc<Program>> = works.iter().map(|w| Rc::clone(&w.prepared.program)).collect();
        let readback_bytes = readback_bytes(&programs);
        // Everything that waits comes first: from here to the last submit nothing else can get in between.
        let arenas = self.staging.arenas(&self.allocator, &schedule.slots).await?;
        let upload = self.staging.upload(&self.allocator, upload_bytes(&programs)).await?;
        let readback = self.staging.readback(&self.allocator, readback_bytes).await?;
        let mut kept = Vec::with_capacity(works.len());
        for work in works {
            kept.push(self.allocate_outputs(&work.prepared).await?);
        }
        let started_ms = now_ms();
        let scope = self.gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let recording =
            Recording { lane: self, works, schedule, arenas: &arenas, upload: upload.as_deref(), kept: &kept };
        let recorded = recording.record(readback.as_ref(), started_ms);
        let recorded_ms = now_ms();
        let refused = Box::pin(scope.pop());
        let (submits, done) = recorded?;
        let bytes = touched_bytes(works, &arenas.iter().map(|a| a.block.bytes()).collect::<Vec<_>>())
            + upload.as_ref().map_or(0, |b| b.bytes())
            + readback.as_ref().map_or(0, Block::bytes)
            + kept.iter().flatten().flatten().map(|t| t.bytes).sum::<u64>();
        let counted = works.iter().all(|w| w.prepared.counted);
        if counted {
            self.traffic.executed();
        }
        Ok(Pending {
            counted,
            programs,
            kept,
            readback,
            readback_bytes,
            started_ms,
            recorded_ms,
            bytes,
            submits,
            done,
            refused,
        })
    }

    /// Waits for `pending` and reads all its outputs through one map.
    pub async fn finish(&self, pending: Pending) -> Result<Outcome> {
        let data = match &pending.readback {
            Some(block) => self.gpu.read(&block.buffer, pending.readback_bytes, self.nudge.get()).await,
            None => Ok(Vec::new()),
        };
        let ended_ms = now_ms();
        if let Some(error) = pending.refused.await {
            return Err(self.gpu.fault(Kind::Internal, format!("the execution was refused: {error}")));
        }
        let data = data?;
        if let Some(block) = pending.readback {
            self.staging.give_back(block);
            if pending.counted {
                self.traffic.read_back(pending.readback_bytes);
            }
        }
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&data);
        let mut at = 0;
        let mut outputs = Vec::with_capacity(pending.programs.len());
        let awaited = pending.readback_bytes > 0;
        for (program, kept) in pending.programs.iter().zip(pending.kept) {
            let mut tensors = Vec::with_capacity(program.outputs.len());
            for (port, kept) in program.outputs.iter().zip(kept) {
                if let Some(tensor) = kept {
                    tensors.push(Output::Resident(tensor));
                    continue;
                }
                let count = if port.place.is_some() { port.ty.len() } else { 0 };
                let words = words
                    .get(at..at + count)
                    .ok_or_else(|| Error::new(Kind::Internal, format!("output '{}' was not read", port.name)))?;
                let tensor = HostTensor::from_device_words(port.ty.dtype, port.ty.shape.clone(), words)?;
                tensors.push(Output::Host(tensor));
                at += count;
            }
            outputs.push(tensors);
        }
        let done: BTreeMap<usize, f64> =
            pending.done.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let submits = pending
            .submits
            .into_iter()
            .enumerate()
            .map(|(i, (programs, submitted))| SubmitSpan {
                programs,
                submitted_ms: submitted - pending.started_ms,
                // A browser may settle the map first and tell of the submit after: they ended together.
                done_ms: done.get(&i).copied().unwrap_or(ended_ms).min(ended_ms) - pending.started_ms,
            })
            .collect();
        Ok(Outcome {
            outputs,
            total_ms: ended_ms - pending.started_ms,
            record_ms: pending.recorded_ms - pending.started_ms,
            submits,
            bytes: pending.bytes,
            awaited,
        })
    }
}

/// Bytes of the weights, parameters and arenas that `works` touch, each buffer once.
fn touched_bytes(works: &[Work], arenas: &[u64]) -> u64 {
    let mut weights: BTreeMap<ContentHash, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut params = 0;
    for work in works {
        if seen.insert(Rc::as_ptr(&work.prepared)) {
            weights.extend(work.prepared.weights.iter().map(|(hash, block)| (*hash, block.bytes())));
            params += work.prepared.params.as_ref().map_or(0, Block::bytes);
        }
    }
    weights.values().sum::<u64>() + params + arenas.iter().sum::<u64>()
}

/// Submits with the requests in each and when, and the place where the queue notes their ends.
type Submitted = (Vec<(Vec<usize>, f64)>, Arc<Mutex<Vec<(usize, f64)>>>);

struct Recording<'a> {
    lane: &'a GpuLane,
    works: &'a [Work],
    schedule: &'a Schedule,
    arenas: &'a [super::staging::Arena],
    upload: Option<&'a Block>,
    kept: &'a [Vec<Option<Rc<Resident>>>],
}

impl Recording<'_> {
    fn record(&self, readback: Option<&Block>, started_ms: f64) -> Result<Submitted> {
        let gpu = &self.lane.gpu;
        let arena = |program: usize| &self.arenas[self.schedule.slots.slot_of[program]];
        let mut recorded = Vec::with_capacity(self.works.len());
        for (program, work) in self.works.iter().enumerate() {
            let own = Own { inputs: &work.inputs, outputs: &self.kept[program] };
            recorded.push(self.lane.recorded(&work.prepared, arena(program), &own)?);
        }
        let upload_at = self.write_inputs()?;
        let mut read_at = 0;
        let mut submits: Vec<(Vec<usize>, f64)> = Vec::new();
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut inside: Vec<usize> = Vec::new();
        let mut encoder = Encoder::new(gpu);
        let commands = &self.schedule.commands;
        for (at, command) in commands.iter().enumerate() {
            match *command {
                Command::Dispatches { program, from, to } => {
                    let Recorded { tape, of_call } = &recorded[program];
                    let mut from = from;
                    for (&own, group) in of_call.range(from..to) {
                        encoder.replay(tape, from..own);
                        encoder.replay_with(tape, own, group);
                        from = own + 1;
                    }
                    encoder.replay(tape, from..to);
                    // Dispatches of one request mostly follow each other.
                    if inside.last() != Some(&program) && !inside.contains(&program) {
                        inside.push(program);
                    }
                }
                Command::Upload { program } => {
                    let mut from = upload_at[program];
                    let work = &self.works[program];
                    for (port, input) in work.prepared.program.inputs.iter().zip(&work.inputs) {
                        let Some(Place::Arena(to)) = port.place else { continue };
                        let to_buffer = &arena(program).block.buffer;
                        match input {
                            Input::Words(_) => {
                                let upload =
                                    self.upload.ok_or_else(|| Error::new(Kind::Internal, "no upload buffer"))?;
                                encoder.copy((&upload.buffer, from), (to_buffer, to), port.bytes());
                                from += port.bytes();
                            }
                            Input::Resident(tensor) => {
                                let block = block(tensor);
                                let block =
                                    block.ok_or_else(|| Error::new(Kind::Internal, "an empty tensor is read"))?;
                                encoder.copy((&block.buffer, 0), (to_buffer, to), port.bytes());
                            }
                        }
                    }
                }
                Command::Download { program } => {
                    let prepared = &self.works[program].prepared;
                    let own = Own { inputs: &self.works[program].inputs, outputs: &self.kept[program] };
                    for (i, port) in prepared.program.outputs.iter().enumerate() {
                        let Some(place) = port.place else { continue };
                        if port.resident && place == Place::Own(prepared.program.inputs.len() + i) {
                            continue;
                        }
                        let (buffer, offset) = match place {
                            Place::Arena(offset) => (&arena(program).block.buffer, offset),
                            Place::Weight(hash) => match prepared.weights.get(&hash) {
                                Some(block) => (&block.buffer, 0),
                                None => return Err(Error::new(Kind::Internal, "an output's constant is not resident")),
                            },
                            Place::Own(slot) => match own.buffer(slot) {
                                Some(buffer) => (buffer, 0),
                                None => return Err(Error::new(Kind::Internal, "an output's buffer is not there")),
                            },
                        };
                        if port.resident {
                            // It is also another port, or a constant: the tensor that stays is a copy.
                            let to = own.buffer(prepared.program.inputs.len() + i);
                            let to =
                                to.ok_or_else(|| Error::new(Kind::Internal, "an output has no buffer to stay in"))?;
                            encoder.copy((buffer, offset), (to, 0), port.bytes());
                        } else if let Some(readback) = readback {
                            encoder.copy((buffer, offset), (&readback.buffer, read_at), port.bytes());
                            read_at += port.bytes();
                        }
                    }
                }
                Command::Submit => {
                    encoder.submit();
                    // The last one's end is that of the map.
                    if readback.is_none() || at + 1 < commands.len() {
                        let (number, note) = (submits.len(), Arc::clone(&done));
                        gpu.queue.on_submitted_work_done(move || {
                            note.lock().unwrap_or_else(PoisonError::into_inner).push((number, now_ms()));
                        });
                    }
                    inside.sort_unstable();
                    submits.push((std::mem::take(&mut inside), now_ms().max(started_ms)));
                }
            }
        }
        Ok((submits, done))
    }

    /// Writes all inputs through one call; the offset of each request's first.
    fn write_inputs(&self) -> Result<Vec<u64>> {
        let mut words: Vec<u32> = Vec::new();
        let mut offsets = Vec::with_capacity(self.works.len());
        for work in self.works {
            offsets.push(words.len() as u64 * 4);
            for (port, input) in work.prepared.program.inputs.iter().zip(&work.inputs) {
                if let (Some(Place::Arena(_)), Input::Words(input)) = (port.place, input) {
                    if input.len() != port.ty.len() {
                        return Err(Error::new(Kind::Internal, format!("input '{}' has a wrong length", port.name)));
                    }
                    words.extend_from_slice(input);
                }
            }
        }
        if let Some(upload) = self.upload {
            self.lane.gpu.queue.write_buffer(&upload.buffer, 0, bytemuck::cast_slice(&words));
            if self.works.iter().all(|w| w.prepared.counted) {
                self.lane.traffic.uploaded(words.len() as u64 * 4);
            }
        }
        Ok(offsets)
    }
}
