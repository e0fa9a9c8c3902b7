//! Every buffer of the lane is made here and counted here, so that a report is what was allocated.

use super::Gpu;
use crate::error::{Error, Kind, Result};
use crate::lane::measured::Counts;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Read-only content shared by sessions.
    Weights,
    /// Activations of programs.
    Arena,
    /// Uniform parameters of one program.
    Parameters,
    /// A tensor that stays between calls.
    Tensor,
    /// On the way to the GPU.
    Upload,
    /// On the way back.
    Readback,
}

/// Where buffers of `purpose` are counted.
fn of(counts: &mut Counts, purpose: Purpose) -> &mut u64 {
    match purpose {
        Purpose::Weights => &mut counts.weights,
        Purpose::Arena => &mut counts.arenas,
        Purpose::Parameters => &mut counts.parameters,
        Purpose::Tensor => &mut counts.tensors,
        Purpose::Upload | Purpose::Readback => &mut counts.staging,
    }
}

/// A counted buffer, freed when dropped.
#[derive(Debug)]
pub struct Block {
    pub(super) buffer: wgpu::Buffer,
    purpose: Purpose,
    counts: Rc<RefCell<Counts>>,
}

impl Block {
    /// Its size in bytes, as the device holds it.
    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Without this the memory would wait for the browser's garbage collection.
        self.buffer.destroy();
        *of(&mut self.counts.borrow_mut(), self.purpose) -= self.buffer.size();
    }
}

/// Makes and counts buffers within a budget.
#[derive(Debug)]
pub(super) struct Allocator {
    gpu: Rc<Gpu>,
    most: Cell<u64>,
    counts: Rc<RefCell<Counts>>,
    budget: Option<u64>,
}

impl Allocator {
    pub(super) fn new(gpu: Rc<Gpu>, budget: Option<u64>) -> Self {
        Allocator { gpu, most: Cell::new(0), counts: Rc::default(), budget }
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Most bytes that were ever held at one time.
    pub(super) fn most(&self) -> u64 {
        self.most.get()
    }

    /// A buffer of exactly `bytes`, or `OutOfMemory` where the device or the budget has no room.
    pub(super) async fn allocate(&self, purpose: Purpose, bytes: u64) -> Result<Block> {
        let held = self.counts.borrow().total();
        if let Some(budget) = self.budget
            && held + bytes > budget
        {
            let text = format!("{bytes} bytes more would pass the memory budget of {budget} ({held} are held)");
            return Err(Error::new(Kind::OutOfMemory, text));
        }
        let most = self.gpu.limits.max_buffer_size;
        if bytes > most {
            let text = format!("a buffer of {bytes} bytes is above this adapter's limit of {most}");
            return Err(Error::new(Kind::OutOfMemory, text));
        }
        use wgpu::BufferUsages as U;
        let usage = match purpose {
            Purpose::Weights => U::STORAGE | U::COPY_DST | U::COPY_SRC,
            Purpose::Arena | Purpose::Tensor => U::STORAGE | U::COPY_DST | U::COPY_SRC,
            Purpose::Parameters => U::UNIFORM | U::COPY_DST,
            Purpose::Upload => U::COPY_SRC | U::COPY_DST,
            Purpose::Readback => U::MAP_READ | U::COPY_DST,
        };
        let device = &self.gpu.device;
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
        let buffer = device.create_buffer(&descriptor);
        *of(&mut self.counts.borrow_mut(), purpose) += bytes;
        self.most.set(self.most.get().max(self.counts.borrow().total()));
        let block = Block { buffer, purpose, counts: Rc::clone(&self.counts) };
        let (validation, memory) = (validation.pop(), memory.pop());
        if let Some(error) = memory.await {
            return Err(self.gpu.fault(Kind::OutOfMemory, format!("the GPU has no {bytes} bytes left: {error}")));
        }
        if let Some(error) = validation.await {
            return Err(self.gpu.fault(Kind::Internal, format!("a buffer of {bytes} bytes was refused: {error}")));
        }
        Ok(block)
    }
}
