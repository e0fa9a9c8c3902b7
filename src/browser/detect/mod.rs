//! What this browser can do here, found out live by trying, never from its name. Each probe has a time limit; one that fails
//! says why and harms nothing.
//! Knows WebGPU, WebNN, WebAssembly and the machine as a page sees them; must never know a lane.

mod facts;
#[cfg(target_arch = "wasm32")]
mod probe;
mod wasm;

pub use facts::{
    Detected, Found, Here, Missing, Nothing, Pressure, Storage, System, Timestamps, WebGpu, WebNn, WebNnContext,
};
#[cfg(target_arch = "wasm32")]
pub use probe::detect;
pub use wasm::Wasm;
