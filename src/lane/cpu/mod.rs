//! The `cpu` lane: it asks a processor, elsewhere or here, by the messages of `processor::wire`. Knows what it asked for;
//! must never compute.

mod far;
mod held;
mod lane;

#[cfg(not(target_arch = "wasm32"))]
pub use far::Near;
pub use far::{Far, Told};
pub use lane::CpuLane;
