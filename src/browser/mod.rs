//! What only a browser has: files in pieces, signals that abort, and what it can do here.
//! Knows web APIs; must never know models, lanes or predictions.

pub mod detect;
#[cfg(target_arch = "wasm32")]
mod fetch;

#[cfg(target_arch = "wasm32")]
pub use detect::detect;
#[cfg(target_arch = "wasm32")]
pub use fetch::{Files, Piece, aborted, resolve};
