//! A processor that executes programs of routines: weights, an arena, one step after another; and the messages by which a page
//! asks for that from afar. Knows `program::cpu`; must never know sessions, a page or a graphics device.

mod alone;
mod beside;
mod ceilings;
mod engine;
mod execution;
mod pace;
mod server;
mod slice;
mod store;
mod team;
mod warm;
pub mod wire;

pub use ceilings::Clock;
pub use engine::{Arena, execute};
pub use server::{Reply, Server};
pub use store::{Loaded, Store};
pub use team::{Alone, Scoped, Team};
