//! Observations → validation → refit → forecasts that state their doubt.
//! Knows the physical model and the records; must never know a device, sessions or JS.

mod accuracy;
mod fit;
mod learned;
mod predictor;
mod recall;
#[cfg(test)]
mod tests;
mod trial;

pub use accuracy::{Accuracy, Past};
pub use learned::Learned;
pub use predictor::Predictor;
pub use recall::Imported;
