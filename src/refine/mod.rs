//! Observations → validation → refit → forecasts that state their doubt.
//! Knows the physical model and the records; must never know a device, sessions or JS.

mod accuracy;
mod fit;
mod predictor;

pub use accuracy::{Accuracy, Past};
pub use predictor::Predictor;
