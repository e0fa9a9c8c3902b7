//! What a set of programs costs under each strategy, and which strategy is best.
//! Knows programs' costs and measured rates; must never know a device, a lane, sessions or JS.

mod choose;
mod conditions;
mod forecast;
mod model;

pub use crate::program::Strategy;
pub use choose::{Candidate, Choice, Goal, choose};
pub use conditions::{Conditions, Machine, Pressure};
pub use forecast::{Forecast, Span, SpanKind};
pub use model::{CONDITIONS, Coefficients, FIXED, MACHINE, OVERLAP, Rates, RequestTerms, Terms, longest_first};
