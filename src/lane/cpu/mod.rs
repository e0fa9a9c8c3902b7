//! The `cpu` lane: it asks a processor, elsewhere or here, by the messages of `processor::wire`. Knows what it asked for;
//! must never compute.

mod held;
mod lane;
#[cfg(not(target_arch = "wasm32"))]
mod near;

pub use lane::{CpuLane, NAME};
#[cfg(not(target_arch = "wasm32"))]
pub use near::Near;
