//! What changes size from one execution to the next and is kept between them: arenas, the upload buffer, and the
//! readback buffers.

use super::alloc::{Allocator, Block, Purpose};
use crate::error::Result;
use crate::memory::{SlotPlan, staging_bytes};
use std::cell::RefCell;
use std::rc::Rc;

/// Readback buffers kept for the next execution.
const SPARE_READBACKS: usize = 4;

/// An arena with a number that changes when it is made anew, so that bind groups of the old one are not used.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub(super) block: Rc<Block>,
    pub(super) generation: u64,
}

#[derive(Debug, Default)]
pub(super) struct Staging {
    arenas: RefCell<Vec<Arena>>,
    made: RefCell<u64>,
    upload: RefCell<Option<Rc<Block>>>,
    readbacks: RefCell<Vec<Block>>,
}

/// Bytes that an execution holds beside weights and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagingBytes {
    /// All its arenas.
    pub arenas: u64,
    /// Its upload and readback buffers.
    pub staging: u64,
}

impl Staging {
    /// What an execution with these needs will hold, from what is there now.
    pub(super) fn predict(&self, slots: &SlotPlan, upload: u64, readback: u64) -> StagingBytes {
        let arenas = self.arenas.borrow();
        let slot = |(i, &bytes): (usize, &u64)| arenas.get(i).map_or(0, |a| a.block.bytes()).max(bytes);
        let upload = match upload {
            0 => 0,
            bytes => self.upload.borrow().as_ref().map_or(0, |b| b.bytes()).max(staging_bytes(bytes)),
        };
        let readback = if readback == 0 { 0 } else { staging_bytes(readback) };
        StagingBytes { arenas: slots.bytes.iter().enumerate().map(slot).sum(), staging: upload + readback }
    }

    /// The arenas of `slots`, made or made larger where needed.
    pub(super) async fn arenas(&self, allocator: &Allocator, slots: &SlotPlan) -> Result<Vec<Arena>> {
        for (i, &bytes) in slots.bytes.iter().enumerate() {
            let held = self.arenas.borrow().get(i).map_or(0, |a| a.block.bytes());
            if held >= bytes && held > 0 {
                continue;
            }
            if i < self.arenas.borrow().len() {
                // Freed first: old and new need not fit beside each other.
                let smaller = self.arenas.borrow_mut().drain(i..).count();
                debug_assert!(smaller > 0);
            }
            let block = Rc::new(allocator.allocate(Purpose::Arena, bytes.max(256)).await?);
            *self.made.borrow_mut() += 1;
            self.arenas.borrow_mut().push(Arena { block, generation: *self.made.borrow() });
        }
        Ok(self.arenas.borrow().iter().take(slots.bytes.len()).cloned().collect())
    }

    /// The upload buffer, of `bytes` at least.
    pub(super) async fn upload(&self, allocator: &Allocator, bytes: u64) -> Result<Option<Rc<Block>>> {
        if bytes == 0 {
            return Ok(None);
        }
        let held = self.upload.borrow().as_ref().map_or(0, |b| b.bytes());
        if held < bytes {
            drop(self.upload.borrow_mut().take());
            let block = Rc::new(allocator.allocate(Purpose::Upload, staging_bytes(bytes)).await?);
            *self.upload.borrow_mut() = Some(block);
        }
        Ok(self.upload.borrow().clone())
    }

    /// A readback buffer that nobody maps now.
    pub(super) async fn readback(&self, allocator: &Allocator, bytes: u64) -> Result<Option<Block>> {
        if bytes == 0 {
            return Ok(None);
        }
        let class = staging_bytes(bytes);
        let spare = {
            let mut spares = self.readbacks.borrow_mut();
            spares.iter().position(|b| b.bytes() == class).map(|i| spares.remove(i))
        };
        match spare {
            Some(block) => Ok(Some(block)),
            None => allocator.allocate(Purpose::Readback, class).await.map(Some),
        }
    }

    /// Keeps a readback buffer for later.
    pub(super) fn give_back(&self, block: Block) {
        let mut spares = self.readbacks.borrow_mut();
        spares.push(block);
        if spares.len() > SPARE_READBACKS {
            spares.remove(0);
        }
    }

    /// Frees everything; the next execution makes it anew.
    pub(super) fn clear(&self) {
        self.arenas.borrow_mut().clear();
        self.readbacks.borrow_mut().clear();
        drop(self.upload.borrow_mut().take());
    }
}
