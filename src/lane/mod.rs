//! Lanes: places that execute programs and measure what that took.
//! Knows `program` and a device; must never know the predictor, sessions or JS values.

pub mod gpu;
pub mod host;
