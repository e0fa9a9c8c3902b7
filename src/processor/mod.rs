//! A processor that executes programs of routines: weights, an arena, one step after another. Knows `program::cpu`;
//! must never know sessions, a page or a graphics device. It is no lane yet.

mod engine;
mod store;
mod team;

pub use engine::{Arena, execute};
pub use store::{Loaded, Store};
pub use team::{Alone, Scoped, Team};
