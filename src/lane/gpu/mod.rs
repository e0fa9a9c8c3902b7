//! The `gpu` lane: executes programs through wgpu, in a browser by WebGPU and natively by Vulkan.
//! Knows devices, buffers and pipelines; must never know models' meaning, the predictor or JS values.

pub mod ability;
mod alloc;
mod device;
mod execute;
mod pipelines;
mod prepare;
pub mod probe;
mod progress;
mod resident;
#[cfg(target_arch = "wasm32")]
mod shadow;
mod staging;
mod tape;
mod traffic;
mod transfer;
mod wait;
mod weights;

pub use alloc::{Block, Counts, Purpose};
pub use device::{AdapterFacts, Gpu};
pub use execute::{Outcome, Pending, SubmitSpan, Work};
pub use prepare::{GpuLane, Prepared};
pub use progress::Progress;
pub use resident::{Input, Output, Resident};
pub use traffic::TrafficCounts;
