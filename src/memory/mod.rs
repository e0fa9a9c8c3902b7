//! Memory as plain values: which tensor lies where in an arena, which arena slots an execution needs, which
//! weights are held for whom. Knows bytes and lifetimes; must never know a device, a graph's meaning or JS.

mod arena;
mod slots;
mod weights;

pub use arena::{ArenaPlan, Item, plan_arena};
pub use slots::{SlotPlan, align, assign_slots, staging_bytes, weight_bytes};
pub use weights::WeightBook;

/// Offsets that WebGPU accepts for storage and uniform bindings on every adapter, in bytes.
pub const ALIGNMENT: u64 = 256;
