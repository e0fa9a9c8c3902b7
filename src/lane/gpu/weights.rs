//! Resident weights: one read-only buffer for each content, shared by every session that holds it.

use super::alloc::{Allocator, Block, Purpose};
use super::device::Gpu;
use crate::error::{Error, Kind, Result};
use crate::graph::ContentHash;
use crate::lane::work::Progress;
use crate::memory::{WeightBook, weight_bytes};
use crate::program::{Place, Program, Weight};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes handed to the queue at once: progress is seen, and the page keeps its turns.
const CHUNK: usize = 4 << 20;

/// What a program reads.
#[derive(Debug)]
pub(super) struct Held {
    /// Its weights that are resident.
    pub weights: HashMap<ContentHash, Rc<Block>>,
    /// What those are made of that are not, and room for them.
    pub making: HashMap<ContentHash, Rc<Block>>,
}

/// The weight that lies at a place.
pub(super) fn weight_of(place: Place) -> Option<ContentHash> {
    if let Place::Weight(hash) = place { Some(hash) } else { None }
}

/// A buffer with the elements of `weight`; `done` hears of the bytes that the queue has.
async fn upload(gpu: &Gpu, allocator: &Allocator, weight: &Weight, done: &dyn Fn(u64)) -> Result<Block> {
    let tensor = weight
        .tensor
        .as_ref()
        .ok_or_else(|| Error::new(Kind::Internal, format!("a weight of {} bytes is held by nobody", weight.bytes)))?;
    let data = if weight.halves { tensor.to_half_bytes()?.into() } else { tensor.to_device_bytes()? };
    let block = allocator.allocate(Purpose::Weights, weight_bytes(weight.bytes)).await?;
    for (i, chunk) in data.chunks(CHUNK).enumerate() {
        gpu.queue.write_buffer(&block.buffer, (i * CHUNK) as u64, chunk);
        done((i * CHUNK + chunk.len()) as u64);
    }
    Ok(block)
}

#[derive(Debug, Default)]
pub(super) struct Weights {
    book: RefCell<WeightBook>,
    blocks: RefCell<HashMap<ContentHash, Rc<Block>>>,
}

impl Weights {
    /// Makes every weight of `program` resident for `holder`, but for those that are to be made.
    pub(super) async fn hold(
        &self,
        gpu: &Gpu,
        allocator: &Allocator,
        holder: u64,
        program: &Program,
        progress: &Progress<'_>,
    ) -> Result<Held> {
        let total: u64 = program.weights.values().filter(|w| !w.made).map(|w| w.bytes).sum();
        let (mut done, mut missing) = (0, vec![]);
        let mut held = HashMap::with_capacity(program.weights.len());
        for (hash, weight) in &program.weights {
            let block = match self.resident(hash) {
                Some(block) => block,
                None if weight.made => {
                    missing.push(*hash);
                    continue;
                }
                None => {
                    let block = upload(gpu, allocator, weight, &|bytes| (progress.upload)(done + bytes, total)).await?;
                    self.keep(*hash, block)
                }
            };
            self.book.borrow_mut().hold(holder, *hash, weight.bytes);
            held.insert(*hash, block);
            done += if weight.made { 0 } else { weight.bytes };
        }
        let making = self.bring_sources(gpu, allocator, program, &held, &missing).await?;
        (progress.upload)(total, total);
        Ok(Held { weights: held, making })
    }

    /// Room for the weights that are `missing`, and what they are made of.
    async fn bring_sources(
        &self,
        gpu: &Gpu,
        allocator: &Allocator,
        program: &Program,
        held: &HashMap<ContentHash, Rc<Block>>,
        missing: &[ContentHash],
    ) -> Result<HashMap<ContentHash, Rc<Block>>> {
        let mut brought = HashMap::with_capacity(missing.len());
        for hash in missing {
            let bytes = program.weights.get(hash).map_or(0, |weight| weight.bytes);
            brought.insert(*hash, Rc::new(allocator.allocate(Purpose::Weights, weight_bytes(bytes)).await?));
        }
        for dispatch in &program.making.dispatches {
            let bound: Vec<ContentHash> = dispatch.bindings.iter().filter_map(|b| weight_of(b.place)).collect();
            // Of those that are there already nothing is read.
            if !bound.iter().any(|hash| missing.contains(hash)) {
                continue;
            }
            for hash in bound {
                let block = match held.get(&hash).map(Rc::clone).or_else(|| self.resident(&hash)) {
                    Some(block) => block,
                    None if brought.contains_key(&hash) => continue,
                    None => {
                        let weight = program.making.weights.get(&hash);
                        let weight = weight.ok_or_else(|| Error::new(Kind::Internal, "a weight is made of nothing"))?;
                        Rc::new(upload(gpu, allocator, weight, &|_| ()).await?)
                    }
                };
                brought.insert(hash, block);
            }
        }
        Ok(brought)
    }

    fn resident(&self, hash: &ContentHash) -> Option<Rc<Block>> {
        self.blocks.borrow().get(hash).cloned()
    }

    /// Notes that a weight is resident; another session may have brought the same content while this one waited.
    fn keep(&self, hash: ContentHash, block: Block) -> Rc<Block> {
        Rc::clone(self.blocks.borrow_mut().entry(hash).or_insert_with(|| Rc::new(block)))
    }

    /// Notes that `holder` made a weight.
    pub(super) fn made(&self, holder: u64, hash: ContentHash, bytes: u64, block: Rc<Block>) -> Rc<Block> {
        self.book.borrow_mut().hold(holder, hash, bytes);
        Rc::clone(self.blocks.borrow_mut().entry(hash).or_insert(block))
    }

    /// Lets go of what `holder` held.
    pub(super) fn release(&self, holder: u64) {
        let freed = self.book.borrow_mut().release(holder);
        let mut blocks = self.blocks.borrow_mut();
        for hash in freed {
            blocks.remove(&hash);
        }
    }

    /// Bytes that `holder` holds, and how many of these others hold too.
    pub(super) fn bytes_of(&self, holder: u64) -> (u64, u64) {
        self.book.borrow().bytes_of(holder)
    }
}
