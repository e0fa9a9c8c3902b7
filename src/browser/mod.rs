//! What only a browser has: files over HTTP with progress, and signals that abort.
//! Knows web APIs; must never know models, lanes or predictions.

mod fetch;

pub use fetch::{aborted, fetch, resolve};
