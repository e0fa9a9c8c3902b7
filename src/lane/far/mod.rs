//! Lanes that ask: a processor in a worker or here, or what a browser has for graphs, by the messages of `processor::wire`. Knows
//! what it asked for; must never compute.

mod held;
mod lane;
mod measuring;
#[cfg(not(target_arch = "wasm32"))]
mod near;

pub use lane::FarLane;
#[cfg(not(target_arch = "wasm32"))]
pub use near::Near;
