//! Lanes: places that execute programs and measure what that took, all behind one interface.
//! Knows `program` and a device; must never know the predictor, sessions or JS values.

pub mod far;
pub mod gpu;
pub mod host;
mod interface;
mod measured;
mod open;
mod pace;
mod tensor;
mod traffic;
mod work;
mod workers;

pub use interface::{Lane, NOBODY, Turn};
pub use measured::{Counts, Facts, Measured, Precision};
pub use open::{NAMES, expected, hopeful, one, open, rivals, unasked};
pub use pace::{Moment, Pace};
pub use tensor::{Input, Output, Resident, opening};
pub use traffic::{Traffic, TrafficCounts};
pub use work::{Compiled, Footprint, Order, Outcome, Progress, SubmitSpan, Work};
pub use workers::{About, Far, Opening, Told, Workers};
