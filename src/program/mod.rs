//! Programs: a graph with shapes, kernels and memory plan as commands in plain data, and what they should cost.
//! Knows graph, kernels and memory plans; must never know a device or JS.

#[cfg(feature = "wgsl")]
mod build;
mod cost;
pub mod cpu;
mod data;
pub mod examples;
mod fuse;
#[cfg(feature = "wgsl")]
mod hoist;
#[cfg(feature = "wgsl")]
mod planes;
#[cfg(feature = "wgsl")]
pub mod probe;
mod schedule;

#[cfg(feature = "wgsl")]
pub use build::{build, build_sliced};
pub use cost::{DispatchCost, ProgramCost};
pub use data::{BoundRange, Dispatch, KernelSource, Making, Place, Placed, Port, Program, Residency, Weight, halved};
pub use fuse::{Fused, fuse};
#[cfg(feature = "wgsl")]
pub use planes::apart;
pub use schedule::{Command, Extent, Schedule, Strategy, schedule};
