//! One lowered operator on a device, compared with the operator's CPU reference. Knows operators and a device; must never
//! know a lane.

mod check;
mod given;
mod lower;
mod processor;
mod special;
mod steps;

pub(crate) use check::{head, relative_error};
pub use given::{Case, Read, f32s, i64s, random};
pub use lower::Lowered;
