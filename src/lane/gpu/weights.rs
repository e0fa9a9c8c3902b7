//! Resident weights: one read-only buffer for each content, shared by every session that holds it.

use super::alloc::{Allocator, Block, Purpose};
use super::{Gpu, Progress};
use crate::error::{Error, Kind, Result};
use crate::graph::ContentHash;
use crate::memory::{WeightBook, weight_bytes};
use crate::program::{Program, Weight};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes handed to the queue at once: progress is seen, and the page keeps its turns.
const CHUNK: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Weights {
    book: RefCell<WeightBook>,
    blocks: RefCell<HashMap<ContentHash, Rc<Block>>>,
}

impl Weights {
    /// Makes every weight of `program` resident for `holder`.
    pub(super) async fn hold(
        &self,
        gpu: &Gpu,
        allocator: &Allocator,
        holder: u64,
        program: &Program,
        progress: &Progress<'_>,
    ) -> Result<HashMap<ContentHash, Rc<Block>>> {
        let total: u64 = program.weights.values().map(|w| w.bytes).sum();
        let mut done = 0;
        let mut held = HashMap::with_capacity(program.weights.len());
        for (hash, Weight { bytes, halves, tensor }) in &program.weights {
            let resident = self.blocks.borrow().get(hash).cloned();
            let block = match resident {
                Some(block) => block,
                None => {
                    let tensor = tensor.as_ref().ok_or_else(|| {
                        Error::new(Kind::Internal, format!("a weight of {bytes} bytes is held by nobody"))
                    })?;
                    let data = if *halves { tensor.to_half_bytes()?.into() } else { tensor.to_device_bytes()? };
                    let block = allocator.allocate(Purpose::Weights, weight_bytes(*bytes)).await?;
                    for (i, chunk) in data.chunks(CHUNK).enumerate() {
                        gpu.queue.write_buffer(&block.buffer, (i * CHUNK) as u64, chunk);
                        (progress.upload)(done + (i * CHUNK + chunk.len()) as u64, total);
                    }
                    // Another session may have brought the same content while this one waited for memory.
                    Rc::clone(self.blocks.borrow_mut().entry(*hash).or_insert_with(|| Rc::new(block)))
                }
            };
            self.book.borrow_mut().hold(holder, *hash, *bytes);
            held.insert(*hash, block);
            done += bytes;
        }
        (progress.upload)(total, total);
        Ok(held)
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
