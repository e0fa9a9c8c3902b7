//! The `gpu` lane: executes programs through wgpu, in a browser by WebGPU and natively by Vulkan.
//! Knows devices, buffers and pipelines; must never know models' meaning, the predictor or JS values.

pub mod ability;
mod alloc;
mod device;
mod execute;
mod lane;
mod pipelines;
mod prepare;
pub mod probe;
mod resident;
#[cfg(target_arch = "wasm32")]
mod shadow;
mod staging;
mod tape;
mod transfer;
mod types;
mod wait;
mod weights;

pub use alloc::{Block, Purpose};
pub use device::Gpu;
pub use execute::{Pending, Work};
pub use prepare::{GpuLane, Prepared};
pub use resident::Input;
