//! Consort runs several machine-learning models at once in one web page: it decodes ONNX, runs it on a shared
//! pool of GPU memory, predicts what each way of running costs, measures, and corrects its own predictions.
//!
//! `ARCHITECTURE.md` is the map; each module's opening doc says what it knows and must never know.

#![cfg_attr(not(feature = "references"), allow(dead_code, unused_imports))]

pub mod error;
pub mod graph;
pub mod kernels;
#[cfg(feature = "gpu")]
pub mod lane;
pub mod memory;
pub mod onnx;
#[cfg(feature = "gpu")]
pub mod pool;
pub mod predict;
pub mod processor;
pub mod program;
pub mod records;
pub mod refine;

#[cfg(feature = "gpu")]
pub mod browser;
#[cfg(all(target_arch = "wasm32", feature = "gpu"))]
pub mod js;

pub use error::{Error, Kind, Result};
